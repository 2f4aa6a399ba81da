"""Experiment trackers: one file each, which has `connect(project)`, and one line in TRACKERS."""

from __future__ import annotations

from importlib import import_module

from loralift.errors import MissingExtraError, UsageError, wrong_argument
from loralift.tracking.base import OpenRun, Tracker, asking

TRACKERS = {
    "mlflow": "loralift.tracking.mlflow",
    "wandb": "loralift.tracking.wandb",
    "trackio": "loralift.tracking.trackio",
}
"""Name, which is the extra's that brings its client too, to module."""

__all__ = ["TRACKERS", "OpenRun", "Tracker", "asking", "connect"]


def connect(name: str, project: str | None, flag: str) -> Tracker:
    """A tracker, before anything is sent.

    Args:
        name: One of TRACKERS.
        project: What it files runs under; None: as its own variables say, else ``loralift``.
        flag: That gave the name, for messages.

    Raises:
        UsageError: There is no such tracker (``MissingExtraError`` if its client is not installed).
        TrackingError: Its client does not come up.
    """
    if name not in TRACKERS:
        raise UsageError(wrong_argument(flag, f"one of {', '.join(TRACKERS)}", name))
    if project is not None and not project.strip():
        raise UsageError(wrong_argument("--project", "a name", project))
    with asking(name):
        try:
            module = import_module(TRACKERS[name])
        except ImportError:  # also where a folder of the client's name stands in its way, as ./wandb does
            raise MissingExtraError(f"`{flag} {name}`", name) from None
        tracker: Tracker = module.connect(project)
        return tracker
