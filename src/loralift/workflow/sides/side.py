"""One side of a comparison, however it was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loralift.records import AllowedDifference, Example, MetricInfo, Score, Thinking

DOC_HASH = "doc_hash"
ALL_REFERENCES = "list of references"


@dataclass(frozen=True, slots=True)
class Shown:
    """A row's texts for a reader; None where the side does not have one."""

    question: str | None = None
    reference: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: Its name in tables.
        scores: One for each row.
        metrics: Descriptions of its metrics, by name.
        ours: Whether LoraLift made the values (a run, our benchmark, predictions scored here): then their scale,
            direction and margin are known. A file of scores only has column names.
        primary: The primary metric of its run, if it is of a run.
        documents: Id to what the side knows of the document and of how it was asked: its ``question``, ``reference``
            and ``ALL_REFERENCES``, its ``doc_hash``, and what `loralift.workflow.sides.asked` found.
        notes: What was chosen or left out when reading it, one sentence each.
        filters: The filters that its log has lines of, the one that was taken first; empty where it names none.
        id_columns: The columns by which the rows of its file could be known, the one that was taken first; empty where
            it is of another kind, or has none.
        repeated: Whether questions were answered several times, under ids like ``q7#2``; None: not known.
        every_turn: Whether its rows are turns of conversations, each conversation one observation.
        run: Its run's run.json, if it is of a run.
        root: The folder of its run, if it is of one.
        scored: Whether its answers were scored here, with a tokenizer that could be chosen.
        no_ids: Where the rows have no ids, so that their ids are their positions: the sentence that refuses it; empty
            where they have some.
        logged: Whether it is another tool's log, whose ids may be positions that the tool counted.
        examples: Gives the answers that the rows are of, by the rows' ids; None where there are only scores.
        own: The metrics of the user's own that were scored here, for this comparison.
        thinking: How thinking is parted from its answers.
        allowed: Of a candidate, how it was asked otherwise than the baseline, which the user allows.
        kind: What it is, in words.
        place: Where it lies.
        lines: Id to the line of its file, or to the document in it, with whatever columns that has.
        shown: Id to the texts to read, where there are no `examples` but texts all the same.
    """

    name: str
    scores: Sequence[Score]
    metrics: Mapping[str, MetricInfo]
    ours: bool = False
    primary: str | None = None
    documents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    id_columns: tuple[str, ...] = ()
    repeated: bool | None = None
    every_turn: bool = False
    run: Mapping[str, Any] | None = None
    root: Path | None = None
    scored: bool = False
    no_ids: str = ""
    logged: bool = False
    examples: Callable[[], Sequence[Example]] | None = None
    own: frozenset[str] = frozenset()
    thinking: Thinking = field(default_factory=Thinking)
    allowed: tuple[AllowedDifference, ...] = ()
    kind: str = "scores"
    place: Path = Path()
    lines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shown: Mapping[str, Shown] = field(default_factory=dict)


def document(question: str, reference: str, others: Sequence[str] | None = None) -> dict[str, str]:
    """A document's question and reference, with white space normalised; without an empty question.

    Args:
        question: May be empty.
        reference: The first one.
        others: All further references that the answers are scored against, which two sides must share: against more
            references the same answers score higher. None: it is not known whether there are any.
    """
    parts = {"question": question, "reference": reference}
    known = {part: _normal(text) for part, text in parts.items() if text.strip()}
    if others is None:
        return known
    return known | {ALL_REFERENCES: "\n".join(sorted(set(map(_normal, (reference, *others)))))}


def _normal(text: str) -> str:
    return " ".join(text.split())
