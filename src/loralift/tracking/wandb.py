"""Weights & Biases: a group of runs, one for the whole evaluation and one for each variant."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb
from wandb.errors import CommError  # ./wandb, the folder that it writes, passes for the package, and has none

from loralift.errors import TrackingError
from loralift.records import TrackedRun
from loralift.tracking.base import KEY, PROJECT, OpenRun

UPLOAD_SECONDS = 600.0
"""Longest wait for uploads at a run's end: W&B itself tries for days."""

LOGIN_SECONDS = 60
IMAGES = (".png",)


def connect(project: str | None) -> WandbTracker:
    """The project on the server that W&B's own settings name; WANDB_MODE=offline keeps it in a folder.

    Raises:
        TrackingError: W&B is switched off.
    """
    settings = wandb.setup().settings
    if settings.mode not in ("online", "offline"):
        raise TrackingError(
            f"wandb: its mode is {settings.mode}, so nothing would be kept: set WANDB_MODE to online or offline"
        )
    return WandbTracker(project or os.environ.get("WANDB_PROJECT") or PROJECT, settings)


class WandbTracker:
    """One project."""

    def __init__(self, project: str, settings: wandb.Settings) -> None:
        self.project, self.settings, self.local = project, settings, settings.mode == "offline"

    def find(self, key: str) -> str | None:
        """Where the export with a key is; see `Tracker`. Offline, what lies in W&B's folder."""
        folder = Path(self.settings.wandb_dir)
        here = sorted(folder.glob(f"offline-run-*-{key}-*/run-*.wandb"))
        if here or self.settings.mode == "offline":
            return str(here[0].parent) if here else None
        path = "/".join(part for part in (self.settings.entity, self.project) if part)
        try:
            found = list(wandb.Api().runs(path, filters={f"config.{KEY}": key, "state": "finished"}, per_page=1))
        except (CommError, ValueError) as error:
            if "not find" in str(error) or "not found" in str(error):  # the project is made by its first run
                return None
            raise
        return str(found[0].url) if found else None

    def start(self, name: str, settings: Mapping[str, str], *, within: OpenRun | None = None, key: str = "") -> OpenRun:
        """Open a run; see `Tracker`."""
        quiet = wandb.Settings(
            silent=True,
            console="off",
            disable_code=True,
            disable_git=True,
            x_disable_stats=True,
            login_timeout=LOGIN_SECONDS,
            finish_timeout=UPLOAD_SECONDS,
            finish_timeout_raises=True,
        )
        unique = uuid.uuid4().hex[:8]
        group = within.group if isinstance(within, WandbRun) else f"{name} {unique}"
        run = wandb.init(
            project=self.project,
            name=name,
            id=f"{key}-{unique}" if key else unique,
            group=group,
            job_type="variant" if within is not None else "evaluation",
            config={**settings, **({KEY: key} if key else {})},
            settings=quiet,
            reinit="create_new",
        )
        return WandbRun(run, group, last=bool(key))


class WandbRun:
    """One run."""

    def __init__(self, run: Any, group: str, *, last: bool) -> None:
        self.run, self.group, self.last = run, group, last
        self.place = str(Path(run.dir).parent) if run.offline else str(run.url)

    def progress(self, figures: Mapping[str, float], step: int) -> None:
        """Figures as an evaluation goes; see `OpenRun`."""
        self.run.log(dict(figures), step=step)

    def write(self, run: TrackedRun) -> None:
        """Write all that a run holds; see `OpenRun`."""
        self.run.config.update(dict(run.settings))
        self.run.summary.update({**run.figures, **run.words})
        shown: dict[str, Any] = {
            f"tables/{title}": wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows])
            for title, table in run.tables.items()
        }
        shown |= {name: wandb.Image(str(place)) for name, place in run.files.items() if place.suffix in IMAGES}
        shown |= {name: wandb.Html(str(place)) for name, place in run.files.items() if place.suffix == ".html"}
        self.run.log({**run.figures, **shown})
        if run.files:
            artifact = wandb.Artifact(f"report-{self.run.id}", type="report")
            for name, place in run.files.items():
                artifact.add_file(str(place), name=name)
            self.run.log_artifact(artifact)

    def end(self, *, whole: bool) -> None:
        """Close it; see `OpenRun`."""
        self.run.finish(exit_code=0 if whole else 1)
        if self.last or not whole:
            # finish() returns before W&B's own process has written the file: of six offline runs two had none of theirs
            wandb.teardown()
