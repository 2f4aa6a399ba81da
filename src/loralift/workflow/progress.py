"""Progress messages of a run, and the time of every stage. In the Python API the default is silent."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from loralift.config import RunConfig
from loralift.workflow.sharding import Shard

if TYPE_CHECKING:
    from loralift.generation.model.base_model import BaseModel


AT_ONCE = 10_000
"""Most prompts that an engine is given at a time: it holds, sorts and batches all of them."""


class Advance(Protocol):
    """Reports the progress of a task; has the signature of a generator's `OnProgress`."""

    def __call__(self, rows: int, output_tokens: int = 0) -> None:
        """Rows finished and tokens generated since the task began."""


class Watcher(Protocol):
    """Receives the progress messages of a run."""

    def say(self, text: str) -> None:
        """One line about what is done."""

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """A task of `total` rows begins; it ends with the context."""


class Silent:
    """A watcher that shows nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """Do nothing."""
        del description, total
        yield _nothing


def _nothing(rows: int, output_tokens: int = 0) -> None:
    del rows, output_tokens


@dataclass
class Told:
    """The progress of several calls of a generator as one.

    Attributes:
        advance: Told of all of them.
        total: Rows that are to be told; what is scored besides is not.
        rows: Finished by the calls before this one.
        tokens: Likewise.
        now: Tokens of this call.
    """

    advance: Advance
    total: int
    rows: int = 0
    tokens: int = 0
    now: int = 0

    def __call__(self, rows: int, output_tokens: int) -> None:
        """See `OnProgress`."""
        self.now = output_tokens
        self.advance(min(self.rows + rows, self.total), self.tokens + output_tokens)

    def end(self, rows: int) -> None:
        """A call ended, after so many rows."""
        self.rows, self.tokens, self.now = self.rows + rows, self.tokens + self.now, 0


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
        shard: Which part of the questions is asked; None: all.
        base: The base as `inspect_model` found it, its weights in memory already; None: it is found by the
            configuration.
        notes: What a reader must know of the run, one sentence each.
    """

    config: RunConfig
    watcher: Watcher
    clock: Clock
    shard: Shard | None = None
    base: BaseModel | None = None
    notes: tuple[str, ...] = ()

    def part[Row](self, rows: Sequence[Row]) -> Sequence[Row]:
        """Those of all rows that are asked here."""
        return rows if self.shard is None else self.shard.part(rows)
