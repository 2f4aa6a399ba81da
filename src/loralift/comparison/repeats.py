"""Several answers to one question are one observation: their values are averaged before anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Clusters = Callable[[str], str]
"""A row's id to the question it belongs to, where one question was answered several times."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """n rows by the m questions they belong to.

    Attributes:
        questions: The m questions, sorted.
        group: Which question each row belongs to, shape (n,).
    """

    questions: tuple[str, ...]
    group: NDArray[np.intp]

    @classmethod
    def of(cls, ids: Sequence[str], clusters: Clusters) -> Grouping:
        """Of rows by their ids, in their order."""
        belongs = [clusters(row) for row in ids]
        questions = sorted(set(belongs))
        number = {question: i for i, question in enumerate(questions)}
        return cls(tuple(questions), np.array([number[question] for question in belongs], dtype=np.intp))

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means within each question, shape (m,), of row values, shape (n,)."""
        counts = np.bincount(self.group, minlength=len(self.questions))
        return np.asarray(np.bincount(self.group, values, minlength=len(self.questions)) / counts)

    def total(self, statistics: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums within each question, shape (m, k), of row statistics, shape (n, k)."""
        summed = np.zeros((len(self.questions), statistics.shape[1]))
        np.add.at(summed, self.group, statistics)
        return summed


def clusters_of(ids: Iterable[str]) -> Clusters | None:
    """What row belongs to which question, read off ids such as ``q1#0``, ``q1#1`` or ``q1``, ``q1#1``.

    ``HEAD#K``, K a number, is a repeat of ``HEAD`` only where ``HEAD`` or ``HEAD#0`` is an id too, so that data whose
    own ids end in a number sign and a number (``thread#17``) stay as they are. Where such ids happen to begin at 0,
    rows are averaged that need not be: n is then smaller, and no interval too narrow.

    Args:
        ids: Of the rows on every side.

    Returns:
        Id to question; None where no question was answered more than once.
    """
    known = set(ids)
    repeats = {row: head for row in known if (head := _head(row)) and (head in known or f"{head}#0" in known)}
    if len({repeats.get(row, row) for row in known}) == len(known):
        return None
    return lambda row: repeats.get(row, row)


def _head(row: str) -> str:
    """What stands before ``#K``; nothing where the id does not end so."""
    head, _, number = row.rpartition("#")
    return head if number.isascii() and number.isdigit() else ""
