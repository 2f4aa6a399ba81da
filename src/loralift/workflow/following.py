"""A tracker that follows a run as it goes; whatever becomes of it, the run goes on."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from loralift.config import RunConfig
from loralift.errors import LoraLiftError, TrackingError
from loralift.reporting.tracked import line, plain_name
from loralift.tracking import OpenRun, Tracker, asking
from loralift.workflow.exporting import Exported, export
from loralift.workflow.progress import Advance, Watcher


@dataclass(frozen=True, slots=True)
class Track:
    """Where a run is tracked.

    Attributes:
        name: Of the tracker.
        tracker: The tracker.
        project: As it was asked for; None: the tracker's own.
    """

    name: str
    tracker: Tracker
    project: str | None = None

    def later(self, root: Path) -> str:
        """The command that exports a run there later."""
        project = () if self.project is None else ("--project", self.project)
        return shlex.join(["loralift", "export", str(root), "--to", self.name, *project])


class Following:
    """A run in a tracker and the watcher that tells it what was done."""

    def __init__(self, track: Track, live: OpenRun, watcher: Watcher) -> None:
        self.track, self.live, self.watcher = track, live, watcher
        self.step, self.lost, self.done = 0, False, False

    def say(self, text: str) -> None:
        """One line about what is done; the tracker is not told."""
        self.watcher.say(text)

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """A task; once it is done the tracker is told its rows, tokens and seconds."""
        began, tokens = time.monotonic(), 0
        with self.watcher.task(description, total) as advance:

            def counted(rows: int, output_tokens: int = 0) -> None:
                nonlocal tokens
                tokens = output_tokens
                advance(rows, output_tokens)

            yield counted
        figures = {"rows": float(total), "seconds": time.monotonic() - began}
        if tokens:  # likelihoods and a task's requests do not say how many
            figures["output_tokens"] = tokens
        name = "/".join(plain_name(part) for part in description.split(": "))
        self._progress({f"progress/{name}/{what}": value for what, value in figures.items()})

    def _progress(self, figures: dict[str, float]) -> None:
        if self.lost:
            return
        try:
            with asking(self.track.name):
                self.live.progress(figures, self.step)
            self.step += 1
        except TrackingError as error:
            self.lost = True
            self.say(f"{error}; the run goes on without telling it, and all is exported at the end if that can be")

    def export(self, root: Path, tell: Callable[[Exported], None]) -> None:
        """Export the finished run; a failure is said with the line that exports it later."""
        try:
            exported = export(root, self.track.name, self.track.tracker, live=self.live)
            self.done = True
            tell(exported)
        except LoraLiftError as error:
            self.say(f"{error}; the run is whole, and `{self.track.later(root)}` exports it later")


@contextmanager
def following(track: Track, config: RunConfig, watcher: Watcher) -> Iterator[Following]:
    """Open a run in the tracker with the settings; it is marked as failed unless it was exported.

    Raises:
        TrackingError: It cannot be opened, which is known before anything is generated.
    """
    values = config.model_dump(mode="json", exclude_defaults=True)
    settings = {f"config/{name}": line(str(value)) for name, value in values.items()}
    with asking(track.name):
        live = track.tracker.start(f"loralift run {time.strftime('%Y-%m-%d %H:%M:%S')}", settings)
    follow = Following(track, live, watcher)
    try:
        yield follow
    finally:
        if not follow.done:
            with suppress(Exception), asking(track.name):
                live.end(whole=False)
