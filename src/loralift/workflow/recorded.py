"""The records of a run, on the disk as they are made: answers, their times, and likelihoods, each by its id."""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from loralift.errors import MixedError, ModelError, RunDirectoryError, some
from loralift.kept import chosen, keep
from loralift.records import Answer, ById, IdKeeper, Ids, Prompt, ReferenceLikelihood
from loralift.workflow import files
from loralift.workflow.codec import decode, plain
from loralift.workflow.damage import within
from loralift.workflow.run_directory import RunDirectory

# Seconds between two fsyncs: a power cut loses so much work, a killed process none, since every line is flushed.
SYNC_SECONDS = 1.0

MIXED = ".mixed"
"""How the name of a file ends whose records may be of two servers."""

MADE_WITH = "made_with"
"""The key, in every line of answers and likelihoods, of `RunDirectory.made_with`."""


def read_records[Record: (Answer, ReferenceLikelihood)](
    path: Path,
    kind: type[Record],
    *,
    signed: bool = False,
    seconds: Mapping[str, float] | None = None,
    only: Container[str] | None = None,
) -> ById[Record]:
    """The records of an append-only file by id; an incomplete last line is ignored.

    Args:
        path: ``RUN/VARIANT/FILE``.
        kind: What its lines are.
        signed: Whether every line must say what it was made with; one that says something else is always refused.
        seconds: The seconds of answers, by id.
        only: The ids of those that are kept, though all are looked at; None: all.

    Raises:
        RunDirectoryError: The file is damaged, has an id twice, or a line of another run or variant.
    """
    directory = RunDirectory(path.parents[1])
    made = directory.made_with(path.parent.name) if directory.run.exists() else None
    names = IdKeeper()

    def records() -> Iterator[Record]:
        for number, row in enumerate(files.read_jsonl(path, torn=True), start=1):
            record = decode(kind, row if seconds is None else {**row, "seconds": seconds.get(row.get("id", ""))})
            if made is not None and row.get(MADE_WITH, None if signed else made) != made:
                raise RunDirectoryError(
                    f"{path}, line {number} was not written by this run for {path.parent.name}: put the right file "
                    "back, or remove it and let --resume make it anew"
                )
            if only is None or record.id in only:
                names.append(record.id)
                yield record

    with within(path):
        rows = keep(records())
        ids = names.ids()
        if ids.twice:
            number = ids.twice[0]
            line = f"{path}, line {number + 1}" if only is None else str(path)
            raise RunDirectoryError(f"{line}: the id {ids[number]!r} is there twice")
    return ById(ids, rows)


def read_answers(
    directory: RunDirectory, variant: str, *, signed: bool = False, only: Container[str] | None = None
) -> ById[Answer]:
    """A variant's answers by id, with their times where those were kept; `signed` and `only` as of `read_records`.

    Raises:
        RunDirectoryError: A file is damaged, or has an id twice.
    """
    place = directory.times(variant)
    names, seconds = IdKeeper(), array("d")
    with within(place):
        for row in files.read_jsonl(place, torn=True) if place.exists() else ():
            noted = decode(Time, row)
            names.append(noted.id)
            seconds.append(noted.seconds)
    ids = names.ids()
    # of an answer that was given twice, since the first was lost with the process, the last time counts
    times = dict(zip(ids, seconds, strict=True)) if ids.twice else ById(ids, seconds)
    return read_records(directory.answers(variant), Answer, signed=signed, seconds=times, only=only)


@dataclass(frozen=True, slots=True)
class Time:
    """A line of times.jsonl."""

    id: str
    seconds: float


@contextmanager
def unmixed(path: Path) -> Iterator[None]:
    """Put a file of records aside where a server became another while it was asked for them: no resume takes them.

    Which lines are of which server nobody knows, so it is the whole file.

    Raises:
        ModelError: It did; the message says where the file is.
    """
    try:
        yield
    except MixedError as error:
        aside = path.with_name(f"{path.name}{MIXED}")
        with files.disk_errors(path):
            path.replace(aside)
        raise ModelError(
            f"{error}, which makes {path.parent.name}/{path.name} anew: what was replied meanwhile may be of either, "
            f"so that file is put aside as {aside}"
        ) from error


def append_answers(directory: RunDirectory, variant: str, answers: Iterable[Answer], order: Iterable[str]) -> None:
    """Append answers and their times as they come; then put all into order.

    Args:
        directory: The run.
        variant: Who answers.
        answers: What is appended, each on the disk before the next one is asked for.
        order: The ids of all rows that may be there, in the order of the data; read when all is appended.
    """
    with unmixed(directory.answers(variant)), files.appending(directory.times(variant)) as times:
        _append(directory.answers(variant), _timed(times, answers))
    ids = Ids.of(order)
    put_in_order(directory.answers(variant), ids)
    put_in_order(directory.times(variant), ids, last=True)


def append_likelihoods(path: Path, likelihoods: Iterable[ReferenceLikelihood], order: Iterable[str]) -> None:
    """Append likelihoods as they come; then put all into order. See `append_answers`."""
    with unmixed(path):
        _append(path, likelihoods)
    put_in_order(path, order)


def _timed(times: TextIO, answers: Iterable[Answer]) -> Iterator[Answer]:
    """The answers, whose times are noted in a file of their own: no other run has the same."""
    for answer in answers:
        if answer.seconds is not None:
            files.append_line(times, {"id": answer.id, "seconds": answer.seconds}, sync=False)
        yield answer


def line_of(record: Answer | ReferenceLikelihood, made: str) -> dict[str, Any]:
    """A record's line in its file, which says what it was made with; an answer's time is noted elsewhere."""
    return {key: value for key, value in plain(record).items() if key != "seconds"} | {MADE_WITH: made}


def _append(path: Path, records: Iterable[Answer | ReferenceLikelihood]) -> None:
    made = RunDirectory(path.parents[1]).made_with(path.parent.name)
    due = time.monotonic() + SYNC_SECONDS
    with files.appending(path) as file:
        for record in records:
            late = time.monotonic() > due
            files.append_line(file, line_of(record, made), sync=late)
            if late:
                due = time.monotonic() + SYNC_SECONDS


def put_in_order(path: Path, ids: Iterable[str], *, last: bool = False) -> None:
    """Bring lines into the order of the data, so that equal runs have equal files, however their rows came.

    The file is replaced as a whole: a process that is killed here leaves it as it was.

    Args:
        path: A file of lines with ids.
        ids: Of all rows that may be in it, in the order of the data.
        last: Whether of lines of one id the last one stays alone; else none may be there twice.

    Raises:
        RunDirectoryError: It cannot be written, a line is of no such row, or an id is there twice.
    """
    names, begins, ends, end = IdKeeper(), array("q"), array("q"), 0
    with within(path), path.open("rb") as file:
        for line in file:
            begin, end = end, end + len(line)
            if line.strip():
                names.append(json.loads(line)["id"])
                begins.append(begin)
                ends.append(end)
    found, wanted = names.ids(), Ids.of(ids)
    if (wanted.places_of(found) < 0).any() or (found.twice and not last):
        raise RunDirectoryError(f"{path} has a row twice, or one that is not asked here: remove that file")
    places = found.places_of(wanted)
    places = places[places >= 0]
    if len(places) < len(found) or (places[1:] < places[:-1]).any():
        with files.disk_errors(path):
            files.replace(path, _lines(path, [(begins[place], ends[place]) for place in places.tolist()]))


def _lines(path: Path, bounds: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Lines by where they stand; the file is closed before the last one is used, as it is about to be replaced."""
    with path.open("rb") as file:
        for begin, end in bounds:
            file.seek(begin)
            yield file.read(end - begin)


def not_yet(path: Path, done: Collection[str], prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    """The prompts whose ids are not done; ids that are no prompt's show that the file is of another run.

    Raises:
        RunDirectoryError: There are such ids.
    """
    if not done:
        return prompts
    if strange := set(done) - {prompt.id for prompt in prompts}:
        raise RunDirectoryError(
            f"{path} has rows of questions that are not asked here ({some(sorted(strange))}): it is of another run; "
            "remove that file to make them anew, or put the right one back"
        )
    return where(prompts, lambda prompt: prompt.id not in done)


def where(prompts: Sequence[Prompt], wanted: Callable[[Prompt], bool]) -> Sequence[Prompt]:
    """The prompts of which something holds."""
    return chosen(prompts, [place for place, prompt in enumerate(prompts) if wanted(prompt)])
