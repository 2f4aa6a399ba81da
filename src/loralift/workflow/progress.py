"""How a run tells what it is doing, and counts the time of every stage; the Python API is silent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from loralift.config import RunConfig


class Advance(Protocol):
    """Tells how far a task is; a generator's `OnProgress`."""

    def __call__(self, rows: int, output_tokens: int = 0) -> None:
        """So many rows are done and so many tokens were made, since the task began."""


class Watcher(Protocol):
    """Watches a run."""

    def say(self, text: str) -> None:
        """One line about what is done."""

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """A task of `total` rows begins; it ends with the context."""


class Silent:
    """Watches and says nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """Nothing."""
        del description, total
        yield _nothing


def _nothing(rows: int, output_tokens: int = 0) -> None:
    del rows, output_tokens


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds of each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time until the context ends."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


@dataclass(frozen=True, slots=True)
class RunContext:
    """What every stage of a run is given.

    Attributes:
        config: What is evaluated and how.
        watcher: Told what is being done.
        clock: Counts the time of every stage.
    """

    config: RunConfig
    watcher: Watcher
    clock: Clock
