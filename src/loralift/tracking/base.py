"""What every tracker is to LoraLift, and the one place where its client's errors become one line."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from loralift.errors import LoraLiftError, TrackingError, first_line
from loralift.records import TrackedRun

PROJECT = "loralift"
"""Where runs go that were given no project."""

KEY = "loralift_key"
"""The setting that says which export a variant's run is the last one of: by it an export is found again."""

_SECRET = re.compile(r"key|token|password|secret", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@")
_LEAST_SECRET = 6


class OpenRun(Protocol):
    """A run in a tracker that is being written."""

    place: str
    """Where it can be looked at: a URL, or its id and where that lies."""

    def progress(self, figures: Mapping[str, float], step: int) -> None:
        """Figures as an evaluation goes.

        Args:
            figures: Name to finite number.
            step: Counts from 0.
        """

    def write(self, run: TrackedRun) -> None:
        """Write figures, words, tables and files, and settings besides those of its start."""

    def end(self, *, whole: bool) -> None:
        """Close it once everything has arrived; a run that is not whole is marked as failed."""


class Tracker(Protocol):
    """An experiment tracker. Whatever its client raises may come out of these."""

    local: bool
    """Whether it reaches no network."""

    def find(self, key: str) -> str | None:
        """Where the export with a key is, if it is there whole."""

    def start(self, name: str, settings: Mapping[str, str], *, within: OpenRun | None = None, key: str = "") -> OpenRun:
        """Open a run.

        Args:
            name: As the tracker lists it.
            settings: How it was made.
            within: The run of the whole evaluation, where this is of one variant; it may have ended.
            key: Of the export whose last run this is; by it `find` finds it.
        """


@contextlib.contextmanager
def asking(name: str) -> Iterator[None]:
    """Turn whatever a tracker's client raises into one line, and keep what it prints off standard output.

    Raises:
        TrackingError: It raised; no credentials are in the line.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except LoraLiftError:
        raise
    except Exception as error:  # noqa: BLE001 - what a client raises is not known
        said = first_line(error)
        raise TrackingError(f"{name}: {without_secrets(said, os.environ)}") from None


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """A text without what stands before a host's name in a URL, and without the values of secret variables.

    >>> without_secrets("https://me:pw@host/ said no to t0ken-1", {"MLFLOW_TRACKING_TOKEN": "t0ken-1"})
    'https://***@host/ said no to ***'
    """
    text = _CREDENTIALS.sub("***@", text)
    for name, value in environment.items():
        if _SECRET.search(name) and len(value) >= _LEAST_SECRET:
            text = text.replace(value, "***")
    return text
