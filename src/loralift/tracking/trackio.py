"""Trackio: a group of runs in its local store, one for the whole evaluation and one for each variant."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import trackio

from loralift.errors import TrackingError, some
from loralift.records import TrackedRun
from loralift.tracking.base import KEY, PROJECT, OpenRun

ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


def connect(project: str | None) -> TrackioTracker:
    """The local store, in TRACKIO_DIR or trackio's own place.

    Raises:
        TrackingError: Runs would go elsewhere: trackio sends them in the background and only warns of what is lost.
    """
    name = project or PROJECT
    if there := [variable for variable in ELSEWHERE if os.environ.get(variable)]:
        raise TrackingError(
            f"trackio: {some(there)} sends runs elsewhere, and what is lost on the way cannot be known: unset it, "
            f"export, then `trackio sync --project {name} --space-id SPACE`"
        )
    return TrackioTracker(name)


class TrackioTracker:
    """One project."""

    def __init__(self, project: str) -> None:
        self.project, self.local = project, True

    def find(self, key: str) -> str | None:
        """Where the export with a key is; see `Tracker`."""
        try:
            runs = trackio.Api().runs(self.project)
        except ValueError:  # the project is made by its first run
            return None
        for run in runs:
            if (run.config or {}).get(KEY) == key:
                return f"{run.config.get('_Group') or run.name} in the project {self.project} at {trackio.TRACKIO_DIR}"
        return None

    def start(self, name: str, settings: Mapping[str, str], *, within: OpenRun | None = None, key: str = "") -> OpenRun:
        """Open a run; see `Tracker`."""
        group = within.group if isinstance(within, TrackioRun) else f"{name} {uuid.uuid4().hex[:8]}"
        config = {**settings, **({KEY: key} if key else {})}
        with _heard():
            run = trackio.init(
                project=self.project,
                name=f"{name} {uuid.uuid4().hex[:8]}",
                group=group,
                config=config,
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return TrackioRun(run, group)


class TrackioRun:
    """One run."""

    def __init__(self, run: Any, group: str) -> None:
        self.run, self.group, self.logged = run, group, 0
        self.place = f"{group} in the project {run.project} at {trackio.TRACKIO_DIR}"

    def progress(self, figures: Mapping[str, float], step: int) -> None:
        """Figures as an evaluation goes; see `OpenRun`."""
        self._log(dict(figures), step)

    def write(self, run: TrackedRun) -> None:
        """Write all that a run holds; see `OpenRun`.

        Trackio keeps a run's settings with the first figures that it is sent: those of a run that had some already are
        a table.
        """
        late = {} if self.logged else {**run.settings, **run.words}
        self.run.config.update(late)
        shown: dict[str, Any] = {
            f"tables/{title}": trackio.Table(columns=list(table.columns), data=[list(row) for row in table.rows])
            for title, table in run.tables.items()
        }
        if self.logged:
            rows = [[name, text] for name, text in run.settings.items()]
            shown["tables/settings"] = trackio.Table(columns=["setting", "value"], data=rows)
        if run.words:
            lines = "\n".join(f"- **{name}**: {text}" for name, text in run.words.items())
            shown["verdicts"] = trackio.Markdown(lines)
        shown |= {name: trackio.Image(str(place)) for name, place in run.files.items() if place.suffix == ".png"}
        self._log({**run.figures, **shown})
        if run.files:
            with _heard(), tempfile.TemporaryDirectory() as folder:
                for name, place in run.files.items():
                    (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(place, Path(folder) / name)
                self.run.log_artifact(folder, name=f"report-{self.run.id[:12]}", type="report")

    def end(self, *, whole: bool) -> None:
        """Close it; see `OpenRun`.

        Raises:
            TrackingError: Not all has arrived.
        """
        if not whole:
            self._log({"failed": 1.0})
        with _heard():
            trackio.finish()  # which is of this run, the last one begun; its own would be called again at exit
        there = trackio.SQLiteStorage.get_log_count(self.run.project, self.run.name, run_id=self.run.id)
        if there != self.logged:
            raise TrackingError(f"trackio: of {self.logged} entries of {self.run.name} only {there} are in its store")

    def _log(self, entries: Mapping[str, Any], step: int | None = None) -> None:
        with _heard():
            self.run.log(dict(entries), step=step)
        self.logged += 1


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """Take trackio's warnings for what they are: it goes on where something is lost.

    Raises:
        TrackingError: It warned.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    lost = [str(one.message) for one in said if "trackio" in str(one.message).lower() or "buffered" in str(one.message)]
    if lost:
        raise TrackingError(f"trackio: {lost[0]}")
