"""A workplace without Ray: workers in this process, which die when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from loralift.errors import LoraLiftError
from loralift.generation.base import Description
from loralift.generation.ray.cluster import Call, Died, Ended, Room
from loralift.generation.ray.worker import Loaded, Part, Result
from loralift.records import Answer

KILLED = Died("killed")

type Script = Callable[[int, str, Sequence[Any]], Iterator[Any]]
"""What a worker does: given the number of its start, the method and the arguments, yields what the call gives."""


def loaded(**more: Any) -> Loaded:
    """What a worker says of itself."""
    said = {"identity": {"base": "b"}, "numerics": {"dtype": "float32"}, "information": {"device_name": "cpu"}, **more}
    return Loaded("here", "1", Description(**said), (), ("it was loaded",))


def answers(start: int, method: str, arguments: Sequence[Any]) -> Iterator[Any]:
    """Answers each row, in parts of two, with who answered."""
    rows = list(arguments[0])
    for place in range(0, len(rows), 2):
        yield Part([Answer(row, str(start), "stop", 1, 1) for row in rows[place : place + 2]])
    yield Ended()


@dataclass
class Scripted:
    """A ``pool.Workplace`` that takes turns among its workers; they are numbered by the order of their starts."""

    workers: int
    script: Script = answers
    loads: Callable[[int], Loaded | Died | LoraLiftError] = lambda start: loaded()
    starts: int = 0
    ended: list[int] = field(default_factory=list)
    asked: list[tuple[int, str, list[Any]]] = field(default_factory=list)
    closed: bool = False
    _streams: dict[Call, Iterator[Any]] = field(default_factory=dict)
    _turn: int = 0

    @property
    def room(self) -> Room:
        return Room(self.workers, 1, 0)

    def begin(self, load: Any, ends: Sequence[int]) -> tuple[int, Call]:
        start, self.starts = self.starts, self.starts + 1
        return start, self._call(iter([self.loads(start), Ended()]))

    def call(self, actor: int, method: str, arguments: Sequence[Any]) -> Call:
        self.asked.append((actor, method, list(arguments)))
        return self._call(self.script(actor, method, arguments))

    def wait(self, calls: Sequence[Call], seconds: float) -> tuple[Call, Any] | None:
        assert calls, "nothing would ever happen"
        call = calls[self._turn % len(calls)]
        self._turn += 1
        event = next(self._streams[call])
        if isinstance(event, LoraLiftError):
            raise event
        return call, event

    def end(self, actor: int) -> None:
        self.ended.append(actor)

    def close(self) -> None:
        self.closed = True

    def _call(self, stream: Iterator[Any]) -> Call:
        call = Call(None)
        self._streams[call] = stream
        return call


def value(of: Any) -> Iterator[Any]:
    """What a method gives that gives one value."""
    yield Part([Result(of)])
    yield Ended()
