"""How a run tells what it is doing; the command line shows it, the Python API is silent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


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
