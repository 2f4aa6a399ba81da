"""`--track`: an experiment tracker that follows a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loralift.cli.export import tell
from loralift.cli.offline import offline_asked
from loralift.cli.options import Once
from loralift.errors import UsageError

if TYPE_CHECKING:
    from loralift.config import RunConfig
    from loralift.workflow.following import Track
    from loralift.workflow.progress import Watcher


def track_options[Command: Callable[..., Any]](command: Command) -> Command:
    """Give a command `--track` and `--project`."""
    names = "mlflow|wandb|trackio"
    project, to = (
        "Of --track: project or experiment [default: loralift].",
        "A tracker that is told of the run.",
    )
    command = click.option("--project", cls=Once, metavar="NAME", help=project)(command)
    return click.option("--track", cls=Once, metavar=names, help=to)(command)


def asked_track(track: str | None, project: str | None) -> Track | None:
    """The tracker that the flags ask for, before any work.

    Raises:
        UsageError: There is no such tracker, or it is elsewhere and no network is to be reached.
        TrackingError: Its client does not come up.
    """
    if track is None:
        if project is not None:
            raise UsageError("`--project` is of a tracker: give --track, too")
        return None
    from loralift.tracking import connect
    from loralift.workflow.following import Track

    tracker = connect(track, project, "--track")
    offline = offline_asked()
    if offline and not tracker.local:
        raise UsageError("`--track` is not on this machine, and --offline reaches no network: leave one of them out")
    return Track(track, tracker, project)


@contextmanager
def follow(
    track: Track | None, config: RunConfig, watcher: Watcher
) -> Iterator[tuple[Watcher, Callable[[Path], None]]]:
    """The run's watcher, and what exports the run at its end: as it was, and nothing, where no tracker is told."""
    if track is None:
        yield watcher, lambda root: None
        return
    from loralift.workflow.following import following

    with following(track, config, watcher) as followed:
        yield followed, lambda root: followed.export(root, tell)
