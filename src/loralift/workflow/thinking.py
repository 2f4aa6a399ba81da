"""How thinking is parted from the answers of a run, as its files say it; and what a reader must know of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralift.errors import RunDirectoryError
from loralift.records import KEPT, Answer, Parted, Thinking, holds_tags, part, unopened
from loralift.workflow.codec import decode
from loralift.workflow.damage import within
from loralift.workflow.run_directory import RunDirectory


def thinking_of(directory: RunDirectory) -> Thinking:
    """How it is parted where answers are scored now.

    Raises:
        RunDirectoryError: There is no run.json, or it is damaged.
    """
    return decode_thinking(directory.read_run().get("thinking"), directory.run)


def decode_thinking(value: Any, place: Path) -> Thinking:
    """How it is parted, of what a file says; kept where it says nothing, as a LoraLift did that parted none.

    Raises:
        RunDirectoryError: It is no such thing.
    """
    if value is None:
        return KEPT
    with within(place):
        how = decode(Thinking, value)
    openings = [opening for opening, _ in how.tags]
    if not all(map(all, how.tags)) or how.opened not in ("", *openings):
        raise RunDirectoryError(f"{place}: thinking must have tags that are not empty, and opened be one of them")
    return how


@dataclass(frozen=True, slots=True)
class Read:
    """What notes are made of.

    Attributes:
        answer: The answer alone; None: its thinking never finished.
        thought: Whether thinking was parted from it.
        at_limit: Whether its generation was cut at the limit of new tokens.
    """

    answer: str | None
    thought: bool
    at_limit: bool


def parted(answers: Mapping[str, Answer], how: Thinking) -> dict[str, Parted]:
    """Id to an answer, parted."""
    return {key: part(answer.text, how) for key, answer in answers.items()}


def thinking_notes(name: str, answers: Iterable[Read], how: Thinking) -> Iterator[str]:
    """What a reader must know of a side's thinking, one sentence each; none where its answers hold none.

    Args:
        name: Of the side.
        answers: All of them.
        how: How they were parted.
    """
    thought = unfinished = cut = tags = 0
    for one in answers:
        thought += one.thought
        unfinished += one.answer is None
        cut += one.answer is None and one.at_limit
        tags += one.answer is not None and holds_tags(one.answer)
    if thought:
        yield f"{_hold(thought, name)} thinking (<think> or the like), which is parted: the answer alone is scored."
    if unfinished:
        which = f" ({cut} of them at the limit of new tokens)" if cut else ""
        yield (
            f"{unfinished} answers of {name} ended before their thinking did{which}, and are no answers: they have no "
            "score. Raise --max-new-tokens, ask without thinking, or score all that is there with --thinking keep."
        )
    if tags:
        parting = "tags of thinking that part nothing (further on, or of another model)"
        what = "thinking (<think> or the like)" if how.keep else parting
        yield f"{_hold(tags, name)} {what}, scored as a part of the answer."


def reference_notes(references: Iterable[str], how: Thinking) -> Iterator[str]:
    """What a reader must know of references that hold thinking, in one sentence; none where none does."""
    if held := sum(bool(part(text, unopened(how)).spans) for text in references):
        yield (
            f"{held} references hold thinking (<think> or the like), which is parted as that of answers is: what they "
            "say behind it is compared."
        )


def _hold(count: int, name: str) -> str:
    return f"{count} answer of {name} holds" if count == 1 else f"{count} answers of {name} hold"


def notes_of_texts(name: str, texts: Iterable[str], how: Thinking) -> tuple[str, ...]:
    """The notes on answers from elsewhere, of which nobody knows how they ended."""
    found = (part(text, how) for text in texts)
    return tuple(thinking_notes(name, (Read(one.answer, bool(one.spans), False) for one in found), how))


def notes_of_file(name: str, answers: Path, how: Thinking) -> tuple[str, ...]:
    """The notes on a run's recorded answers, if they were kept; its scores are read though they be damaged."""
    if not answers.is_file():
        return ()
    with answers.open(encoding="utf-8", errors="replace") as lines:
        rows = [row for row in map(_row, lines) if row is not None]
    texts = [(part(row["text"], how), row.get("finish_reason") == "length") for row in rows]
    return tuple(thinking_notes(name, (Read(one.answer, bool(one.spans), cut) for one, cut in texts), how))


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("text"), str) else None
