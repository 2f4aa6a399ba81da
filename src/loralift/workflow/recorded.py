"""The records of a run, on the disk as they are made: answers, their times, and likelihoods, each by its id."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from loralift.errors import RunDirectoryError
from loralift.kept import keep
from loralift.records import Answer, ById, IdKeeper, ReferenceLikelihood
from loralift.workflow import files
from loralift.workflow.codec import decode, plain
from loralift.workflow.damage import within
from loralift.workflow.run_directory import RunDirectory

# Seconds between two fsyncs: a power cut loses so much work, a killed process none, since every line is flushed.
SYNC_SECONDS = 1.0

MADE_WITH = "made_with"
"""The key, in every line of answers and likelihoods, of `RunDirectory.made_with`."""


def read_records[Record: (Answer, ReferenceLikelihood)](
    path: Path, kind: type[Record], *, signed: bool = False, seconds: Mapping[str, float] | None = None
) -> ById[Record]:
    """The records of an append-only file by id; an incomplete last line is ignored.

    Args:
        path: ``RUN/VARIANT/FILE``.
        kind: What its lines are.
        signed: Whether every line must say what it was made with; one that says something else is always refused.
        seconds: The seconds of answers, by id.

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
            names.append(record.id)
            yield record

    with within(path):
        rows = keep(records())
        ids = names.ids()
        if ids.twice:
            number = ids.twice[0]
            raise RunDirectoryError(f"{path}, line {number + 1}: the id {ids[number]!r} is there twice")
    return ById(ids, rows)


def read_answers(directory: RunDirectory, variant: str, *, signed: bool = False) -> ById[Answer]:
    """A variant's answers by id, with their times where those were kept; `signed` as of `read_records`.

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
    return read_records(directory.answers(variant), Answer, signed=signed, seconds=times)


@dataclass(frozen=True, slots=True)
class Time:
    """A line of times.jsonl."""

    id: str
    seconds: float


def append_answers(directory: RunDirectory, variant: str, answers: Iterable[Answer]) -> None:
    """Append answers and their times as they come."""
    with files.appending(directory.times(variant)) as times:
        append(directory.answers(variant), _timed(times, answers))


def _timed(times: TextIO, answers: Iterable[Answer]) -> Iterator[Answer]:
    """The answers, whose times are noted in a file of their own: no other run has the same."""
    for answer in answers:
        if answer.seconds is not None:
            files.append_line(times, {"id": answer.id, "seconds": answer.seconds}, sync=False)
        yield answer


def line_of(record: Answer | ReferenceLikelihood, made: str) -> dict[str, Any]:
    """A record's line in its file, which says what it was made with; an answer's time is noted elsewhere."""
    return {key: value for key, value in plain(record).items() if key != "seconds"} | {MADE_WITH: made}


def append(path: Path, records: Iterable[Answer | ReferenceLikelihood]) -> None:
    """Append records as they come, each on the disk before the next one is asked for."""
    made = RunDirectory(path.parents[1]).made_with(path.parent.name)
    due = time.monotonic() + SYNC_SECONDS
    with files.appending(path) as file:
        for record in records:
            late = time.monotonic() > due
            files.append_line(file, line_of(record, made), sync=late)
            if late:
                due = time.monotonic() + SYNC_SECONDS
