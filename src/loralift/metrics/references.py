"""Several references a row: a metric of pairs is asked about every pair, and the best one is the row's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loralift.metrics.base import MetricSettings
from loralift.records import Example, Question


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every answer with each of its references, row after row.

    Attributes:
        answers: One a pair.
        references: As many.
        starts: The first pair of each row.
    """

    answers: list[str]
    references: list[str]
    starts: list[int]

    def best(self, values: Sequence[float] | NDArray[Any]) -> NDArray[Any]:
        """The largest value of each row, shape (rows, ...), of values of shape (pairs, ...); NaN where one is."""
        of_pairs = np.asarray(values)
        return of_pairs if len(self.starts) == len(self.answers) else np.maximum.reduceat(of_pairs, self.starts)


def pairs_of(examples: Sequence[Example]) -> Pairs:
    """The pairs of these rows; as many as rows where each has one reference."""
    starts: list[int] = []
    answers: list[str] = []
    references: list[str] = []
    for example in examples:
        starts.append(len(answers))
        for reference in example.question.references:
            answers.append(example.answer.text)
            references.append(reference)
    return Pairs(answers, references, starts)


def nrefs_of(questions: Iterable[Question]) -> str:
    """How many references the rows have, in sacrebleu's words: ``1``, ``3``, or ``var`` where they differ."""
    counts = {len(question.references) for question in questions}
    return str(counts.pop()) if len(counts) == 1 else "var" if counts else "1"


def best_of(settings: MetricSettings) -> dict[str, str]:
    """What a signature says where rows have several references, of which the best counts."""
    return {} if settings.nrefs == "1" else {"refs": "best"}


def all_of(settings: MetricSettings) -> dict[str, str]:
    """What sacrebleu's signatures say of references, and that all are passed where rows have several."""
    return {"nrefs": settings.nrefs} | ({} if settings.nrefs == "1" else {"refs": "all"})
