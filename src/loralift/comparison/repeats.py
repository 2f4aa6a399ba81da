"""Several answers to one question are one observation: their values are averaged before anything else.

The K-th answer to the question ``q7`` has the id ``q7#K``: ``repeat_id`` writes it, ``question_of`` reads it, and
nothing else knows how it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MARK = "#"

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


def repeat_id(question: str, number: int) -> str:
    """The id of one of several answers to a question, counted from 0.

    >>> repeat_id("q7", 2)
    'q7#2'
    """
    return f"{question}{MARK}{number}"


def question_of(row: str) -> str:
    """The question's id of one of several answers; the id itself where it is not written so.

    >>> question_of("q7#2"), question_of("q7"), question_of("#2")
    ('q7', 'q7', '#2')
    """
    head, _, number = row.rpartition(MARK)
    return head if head and number.isascii() and number.isdigit() else row


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
    heads = {row: head for row in known if (head := question_of(row)) != row}
    repeats = {row: head for row, head in heads.items() if head in known or repeat_id(head, 0) in known}
    if len({repeats.get(row, row) for row in known}) == len(known):
        return None
    return lambda row: repeats.get(row, row)
