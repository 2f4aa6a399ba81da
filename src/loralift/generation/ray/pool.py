"""The workers: rows are handed to whoever is free; one that dies is started again, one that keeps dying is left out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from loralift.errors import ModelError, shown, some
from loralift.generation.ray.blocks import Block, take
from loralift.generation.ray.cluster import Call, Died, Room
from loralift.generation.ray.worker import Load, Loaded, Part, Result

MOST_DEATHS = 3
"""How often a worker may die, or workers may die of one block, before it is left out, or the run stops."""

REMEDY = (
    "if memory ran out, give fewer --workers or a smaller --batch-size; --resume then goes on with what is not answered"
)

PATIENCE = 60.0
"""Seconds after which a user is told that workers are still being waited for."""

type Arguments = Callable[[Sequence[Any]], Sequence[Any]]
"""Makes a method's arguments of the rows of a block."""


class Workplace(Protocol):
    """The part of `cluster.Cluster` that a pool needs."""

    @property
    def room(self) -> Room:
        """How many workers there are."""

    def begin(self, load: Load, ends: Sequence[int]) -> tuple[Any, Call]:
        """Start a worker."""

    def call(self, actor: Any, method: str, arguments: Sequence[Any]) -> Call:
        """Ask a worker."""

    def wait(self, calls: Sequence[Call], seconds: float) -> tuple[Call, Any] | None:
        """The next that happens."""

    def end(self, actor: Any) -> None:
        """Kill a worker."""

    def close(self) -> None:
        """Leave."""


@dataclass(frozen=True, slots=True)
class Witness:
    """What all workers agreed on, which one that is started again must agree on too.

    Attributes:
        method: Of a generator.
        arguments: Its arguments.
        refuse: Called with the worker's number and what it gives; raises where that is another thing.
    """

    method: str
    arguments: Sequence[Any]
    refuse: Callable[[int, Any], None]


@dataclass
class _Member:
    """A worker of the pool.

    Attributes:
        number: Its name: the first is 0.
        actor: The process; None: it is to be started.
        call: What it is doing; None: it is free.
        block: What it answers; None: it is loading, or free.
        again: The ids of rows that it does once more, since the rest of their batch is not done.
        known: Whether it is loaded, and as all others are.
        deaths: How often it died.
    """

    number: int
    actor: Any = None
    call: Call | None = None
    block: Block | None = None
    again: set[str] = field(default_factory=set)
    known: bool = False
    deaths: int = 0


class Pool:
    """Workers that are all the same.

    Attributes:
        ends: Tokens that end answers besides the model's own, which a worker that is started again is told.
        witness: What it must agree on then; None: nothing but what it says of itself.
    """

    def __init__(self, cluster: Workplace, load: Load, say: Callable[[str], None]) -> None:
        """Start the workers and wait until all are loaded.

        Args:
            cluster: Where.
            load: Loads a worker's generator.
            say: Told what a user must know.

        Raises:
            LoraLiftError: A worker cannot load the model, or all keep dying.
            ModelError: Two workers are not the same.
        """
        self._cluster, self._load, self._say = cluster, load, say
        self.ends: tuple[int, ...] = ()
        self.witness: Witness | None = None
        self._first: Loaded | None = None
        self._closed = False
        self._members = [_Member(number) for number in range(cluster.room.workers)]
        try:
            self._start()
            while not all(member.known for member in self._members):
                self._step([])
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._members)

    @property
    def loaded(self) -> Loaded:
        """What every worker says of itself."""
        assert self._first is not None
        return self._first

    @property
    def room(self) -> Room:
        """What each worker gets."""
        return self._cluster.room

    def close(self) -> None:
        """End all workers."""
        self._closed = True
        self._cluster.close()

    def one(self, method: str, *arguments: Any) -> Any:
        """What a method of a worker's generator gives; any worker is asked.

        Raises:
            LoraLiftError: As of the method.
        """
        [(_, value)] = self._results([Block({"": None})], method, arguments)
        return value

    def all(self, method: str, *arguments: Any) -> list[tuple[int, Any]]:
        """What a method gives of each worker that is not left out, with the worker's number; in their order.

        Raises:
            LoraLiftError: As of the method.
        """
        blocks = [Block({str(member.number): None}, only=member.number) for member in self._members]
        return self._results(blocks, method, arguments)

    def end_at(self, token: int) -> None:
        """Let a further token end answers.

        Raises:
            ModelError: A worker died right after it was told, and was started again without being told.
        """
        self.all("end_at", token)
        self.ends = (*self.ends, token)
        (_, description), *others = self.all("describe")
        self._first = replace(self.loaded, description=description)
        for number, said in others:
            if difference(self.loaded, replace(self.loaded, description=said)):
                raise ModelError(f"worker {number} died while all were told where answers end: run it once more")

    def run(self, blocks: Sequence[Block], method: str, arguments: Arguments) -> Generator[list[Any], None, None]:
        """Let the workers do blocks; yields records as they come, each row's once.

        Args:
            blocks: Whose rows are done, the first ones first.
            method: Of a generator; yields records with the ids of the rows.
            arguments: Makes its arguments of rows.

        Raises:
            LoraLiftError: As of the method; also if a block's rows kill every worker, or no worker is left.
        """
        if any(member.block is not None for member in self._members):
            raise RuntimeError("the answers of an earlier call must be taken, or given up, before the next is asked")
        waiting = list(blocks)
        try:
            self._start()
            while waiting or any(member.block is not None for member in self._members):
                self._hand_out(waiting, method, arguments)
                if found := self._step(waiting):
                    yield found
        finally:
            self._give_up()

    @property
    def _numbers(self) -> list[int]:
        return [member.number for member in self._members]

    def _results(self, blocks: Sequence[Block], method: str, arguments: Sequence[Any]) -> list[tuple[int, Any]]:
        found = [one for records in self.run(blocks, method, lambda rows: arguments) for one in records]
        return sorted(((int(one.id or 0), one.value) for one in found), key=lambda pair: pair[0])

    def _start(self) -> None:
        for member in self._members:
            if member.actor is None:
                member.actor, member.call = self._cluster.begin(self._load, self.ends)

    def _hand_out(self, waiting: list[Block], method: str, arguments: Arguments) -> None:
        for member in self._members:
            free = member.known and member.call is None
            if free and (block := take(waiting, member.number, self._numbers)) is not None:
                asked = block.whole
                member.block, member.again = block, asked.keys() - block.rows.keys()
                member.call = self._cluster.call(member.actor, method, arguments(list(asked.values())))

    def _step(self, waiting: list[Block]) -> list[Any]:
        """Wait for the next that happens; returns the records that came, if any did."""
        calls = {member.call: member for member in self._members if member.call is not None}
        while (event := self._cluster.wait(list(calls), PATIENCE)) is None:
            if loading := [member.number for member in self._members if not member.known]:
                self._say(f"waiting for workers to be placed and loaded: {some(loading)} of {len(self._members)}")
        call, what = event
        member = calls[call]
        if isinstance(what, Died):
            self._died(member, what.why, waiting)
        elif isinstance(what, Loaded):
            self._came(member, what)
        elif isinstance(what, Part):
            return self._gave(member, what)
        else:
            self._ended(member)
        return []

    def _came(self, member: _Member, loaded: Loaded) -> None:
        """Make sure that a worker that is loaded is as the others are."""
        if self._first is None:
            self._first = loaded
            for line in loaded.said:
                self._say(line)
        if other := difference(self._first, loaded):
            raise ModelError(
                f"worker {member.number} ({loaded.host}) is not as those before it ({self._first.host}): {other}; give "
                "all machines of the cluster the same packages, models and adapters"
            )
        member.known = self.witness is None

    def _gave(self, member: _Member, part: Part) -> list[Any]:
        """Note what a worker gave; returns the records of its block."""
        for line in part.said:
            self._say(f"worker {member.number}: {line}")
        if member.block is None:
            assert self.witness is not None
            self.witness.refuse(member.number, part.records[0].value)
            member.known = True
            return []
        asked = next(iter(member.block.rows), "")
        records = [replace(one, id=asked) if isinstance(one, Result) else one for one in part.records]
        new = []
        for record in records:
            if record.id in member.block.rows:
                del member.block.rows[record.id]
                new.append(record)
            elif record.id in member.again:
                member.again.remove(record.id)
            else:
                raise RuntimeError(f"worker {member.number} answered {record.id!r}, which it was not asked")
        return new

    def _ended(self, member: _Member) -> None:
        """Note that a call ended; one that was started again is asked what the others agreed on."""
        if member.block is not None and member.block.rows:
            raise RuntimeError(f"worker {member.number} ended without an answer to {some(member.block.rows)}")
        member.call = member.block = None
        if not member.known and self.witness is not None:
            member.call = self._cluster.call(member.actor, self.witness.method, self.witness.arguments)

    def _died(self, member: _Member, why: str, waiting: list[Block]) -> None:
        """Let others do what a worker had to do, and start it again or leave it out."""
        member.deaths += 1
        block, member.block, member.call, member.known = member.block, None, None, False
        if block is not None and not block.rows:  # it died after its last row
            block = None
        left_out = member.deaths >= MOST_DEATHS
        if left_out:
            self._members.remove(member)
            waiting[:] = [one for one in waiting if one.only != member.number]
        where = (
            "while it was free or loading" if block is None else f"with {len(block.rows)} rows, which are done again"
        )
        then = f"left out, as it died {member.deaths} times" if left_out else "started again"
        self._say(f"worker {member.number} died {where} ({why}); it is {then}")
        if not self._members:
            raise ModelError(
                f"all {self.room.workers} workers died {MOST_DEATHS} times each, the last: {why}; {REMEDY}"
            )
        if block is not None and not (left_out and block.only is not None):
            block.deaths += 1
            block.killed.add(member.number)
            waiting.insert(0, block)
            self._refuse_deadly(block, why)
        member.actor = None
        self._start()

    def _refuse_deadly(self, block: Block, why: str) -> None:
        """Refuse rows that kill whoever is asked.

        Raises:
            ModelError: They do.
        """
        everyone = block.deaths >= MOST_DEATHS and block.killed.issuperset(self._numbers)
        if everyone and block.rows.keys() != {""}:
            raise ModelError(
                f"workers {some(sorted(block.killed))} died {block.deaths} times with the same {len(block.rows)} rows "
                f"({some(block.rows)}), the last: {why}; leave these rows out, or {REMEDY}"
            )

    def _give_up(self) -> None:
        """End workers whose call was given up before its end; the next call starts others in their place."""
        for member in self._members:
            if member.block is not None and not self._closed:
                self._cluster.end(member.actor)
                member.actor = member.call = member.block = None
                member.known = False


def difference(one: Loaded, other: Loaded) -> str:
    """The first thing in which two workers differ that may change an answer, with both values; empty if none.

    Args:
        one: A worker.
        other: Another.
    """
    for name, mine in _facts(one).items():
        if mine != (its := _facts(other).get(name)):
            return f"{name} is {shown(its)} and not {shown(mine)}"
    return ""


def _facts(loaded: Loaded) -> Mapping[str, Any]:
    said = loaded.description
    device = {"device_name": said.information.get("device_name")}
    return {"loralift": loaded.version, **said.identity, **said.numerics, **device}
