"""What a report counts over all of its rows, gathered in one pass: there may be millions, read from a file."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from loralift.records import IdKeeper, Ids, Report, Row, conversation_of

if TYPE_CHECKING:  # a report of few rows is a command that should begin at once
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

NOWHERE = -1
"""In place of words where there is no text, and of a flag where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Columns over the rows, n of them, in their order.

    Attributes:
        ids: Of the rows.
        questions: Of the question of each row, the row's own where it has one answer; None: each row is a question.
        turns: Whether any row is a turn of a conversation.
        primary: Variant to its values of the metric that decides, shape (n,); NaN where there is none.
        flags: Variant and descriptive metric to its values, shape (n,): 1 where an answer fails, NOWHERE if not known.
        words: Variant to the words of its answers, shape (n,).
        reference_words: Of the references, shape (n,).
        parts: Slice column to the parts that rows are in, in the order in which they come.
    """

    ids: Ids
    questions: Ids | None
    turns: bool
    primary: Mapping[str, Floats]
    flags: Mapping[tuple[str, str], Integers]
    words: Mapping[str, Integers]
    reference_words: Integers
    parts: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=1)
def tally_of(report: Report, flags: tuple[str, ...] = ()) -> Tally:
    """Gather what is counted over a report's rows.

    Args:
        report: Its rows are read once.
        flags: The descriptive metrics that are 1 where an answer fails.
    """
    gathered = _Gathered(report, flags)
    for row in report.rows:
        gathered.add(row)
    return gathered.tally()


class _Gathered:
    """The columns as rows come."""

    def __init__(self, report: Report, flags: tuple[str, ...]) -> None:
        self._primary_metric = report.comparison.primary if report.comparison is not None else ""
        self._ids, self._questions = IdKeeper(), IdKeeper()
        self._repeated = self._turns = False
        self._primary = {variant: array("d") for variant in report.variants}
        self._flags = {(variant, flag): array("b") for variant in report.variants for flag in flags}
        self._words = {variant: array("i") for variant in report.variants}
        self._reference_words = array("i")
        self._parts: dict[str, dict[str, None]] = {}

    def add(self, row: Row) -> None:
        self._ids.append(row.id)
        self._questions.append(row.question_id or row.id)
        self._repeated = self._repeated or bool(row.question_id)
        self._turns = self._turns or conversation_of(row.id) != row.id
        self._reference_words.append(len(row.reference.split()))
        for variant, words in self._words.items():
            answer = row.answers.get(variant)
            words.append(NOWHERE if answer is None else len(answer.split()))
            value = row.values.get(variant, {}).get(self._primary_metric)
            self._primary[variant].append(float("nan") if value is None else value)
        for (variant, flag), column in self._flags.items():
            value = row.values.get(variant, {}).get(flag)
            column.append(NOWHERE if value is None else int(value == 1))
        for column_name, part in row.parts.items():
            self._parts.setdefault(column_name, {})[part] = None

    def tally(self) -> Tally:
        import numpy as np

        return Tally(
            self._ids.ids(),
            self._questions.ids() if self._repeated else None,
            self._turns,
            {variant: np.array(of, dtype=np.float64) for variant, of in self._primary.items()},
            {key: np.array(of, dtype=np.int8) for key, of in self._flags.items()},
            {variant: np.array(of, dtype=np.int32) for variant, of in self._words.items()},
            np.array(self._reference_words, dtype=np.int32),
            {name: tuple(parts) for name, parts in self._parts.items()},
        )
