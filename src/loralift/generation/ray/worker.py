"""What a worker is: an ordinary generator in a process of its own, which says what it warns of."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loralift.errors import ModelError, first_line
from loralift.generation.base import Description, Generator
from loralift.version import VERSION

PART_SECONDS = 0.25
"""Seconds between two parts of a block: what is lost at most of a worker's answers when it is killed."""

type Load = Callable[[Callable[[str], None]], Generator]
"""Loads a generator; told what a user must be told meanwhile."""


@dataclass(frozen=True, slots=True)
class Where:
    """In which surroundings a worker runs, which are those of the process that asks.

    Attributes:
        folder: The working folder, from which relative paths go.
        environment: Variables that keep libraries from the network.
        threads: How many torch computes with.
    """

    folder: str
    environment: Mapping[str, str]
    threads: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a worker says of itself once its model is loaded.

    Attributes:
        host: Its machine.
        version: Of LoraLift.
        description: What makes its answers.
        notes: What a reader must know of how the model is run.
        said: What a user must be told.
    """

    host: str
    version: str
    description: Description
    notes: tuple[str, ...]
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What a method that gives one value gave.

    Attributes:
        value: What it gave.
        id: Of the one row of the block that asked for it; the pool fills it in.
    """

    value: Any
    id: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of what was asked for, as it came.

    Attributes:
        records: Answers, likelihoods, or one `Result`.
        said: Warnings.
    """

    records: Sequence[Any]
    said: tuple[str, ...] = ()


class Worker:
    """One generator; its methods are called by Ray, one at a time."""

    def __init__(self) -> None:
        self._heard = _Heard()
        self._generator: Generator | None = None

    def load(self, where: Where, load: Load, ends: Sequence[int]) -> Iterator[Loaded]:
        """Load the model.

        Args:
            where: The surroundings.
            load: Loads it.
            ends: Tokens that end answers besides the model's own.

        Raises:
            LoraLiftError: As of ``load``; or the working folder is not on this machine.
        """
        os.environ.update(where.environment)
        host = platform.node()
        try:
            os.chdir(where.folder)
        except OSError as error:
            raise ModelError(
                f"the working folder {where.folder} cannot be entered on {host} ({first_line(error)}): start the run "
                "in a folder that all machines of the cluster share, as they must share models and adapters"
            ) from None
        logging.getLogger("loralift").addHandler(self._heard)
        import torch

        torch.set_num_threads(where.threads)
        said: list[str] = []
        generator = load(said.append)
        for token in ends:
            generator.end_at(token)
        self._generator = generator
        yield Loaded(host, VERSION, generator.describe(), generator.notes, tuple(said))

    def do(self, method: str, *arguments: Any) -> Iterator[Part]:
        """Call a method of the generator; what comes one by one is handed on a few times a second."""
        given = getattr(self._generator, method)(*arguments)
        if not isinstance(given, Iterator):
            yield Part([Result(given)], self._heard.taken())
            return
        for records in in_parts(given):
            yield Part(records, self._heard.taken())


def in_parts(records: Iterable[Any], seconds: float = PART_SECONDS) -> Iterator[list[Any]]:
    """Collect what comes one by one until some time has passed; none of the parts is empty."""
    part: list[Any] = []
    due = time.monotonic() + seconds
    for record in records:
        part.append(record)
        if time.monotonic() >= due:
            yield part
            part, due = [], time.monotonic() + seconds
    if part:
        yield part


class _Heard(logging.Handler):
    """Keeps LoraLift's own warnings, which nobody would see in a worker's log file."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self._lines.append(record.getMessage())

    def taken(self) -> tuple[str, ...]:
        """Those that were not taken yet."""
        lines, self._lines = tuple(self._lines), []
        return lines
