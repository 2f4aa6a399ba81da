"""A tracker in memory, as a stranger's module would be: `connect`, and what `Tracker` and `OpenRun` say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loralift.records import TrackedRun

KEPT: list[FakeRun] = []
"""Every run that was opened, in order."""

FAILS: set[str] = set()
"""What fails, as `write mine` or `progress followed`; of a run that was followed the name is `followed`."""


def connect(project: str | None) -> FakeTracker:
    return FakeTracker(project)


class FakeTracker:
    def __init__(self, project: str | None) -> None:
        self.project, self.local = project, False

    def find(self, key: str) -> str | None:
        return next((run.place for run in KEPT if run.key == key and run.ended), None)

    def start(self, name: str, settings: Mapping[str, str], *, within: Any = None, key: str = "") -> FakeRun:
        fail("start", name)
        run = FakeRun(name, dict(settings), within, key)
        KEPT.append(run)
        return run


class FakeRun:
    def __init__(self, name: str, settings: dict[str, str], within: Any, key: str) -> None:
        self.name, self.settings, self.within, self.key = name, settings, within, key
        self.place = f"fake://{len(KEPT)}"
        self.told: list[dict[str, float]] = []
        self.written: TrackedRun | None = None
        self.ended: bool | None = None

    def progress(self, figures: Mapping[str, float], step: int) -> None:
        fail("progress", self.name)
        assert step == len(self.told)
        self.told.append(dict(figures))

    def write(self, run: TrackedRun) -> None:
        fail("write", self.name)
        self.written = run

    def end(self, *, whole: bool) -> None:
        self.ended = whole


def fail(what: str, name: str) -> None:
    name = "followed" if name.startswith("loralift run ") else name
    if f"{what} {name}" in FAILS:
        raise ConnectionError("no route to https://me:hunter22@host/?t=s3cret-token\nsecond line")
