"""Two texts for one question, asked in both orders, and what comes of the two verdicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from loralift.judge.reply import Label, Reply, read_verdict
from loralift.judge.rubric import Rubric

Kind = Literal["won", "lost", "tie", "flip", "wavering", "identical", "unscored"]


@dataclass(frozen=True, slots=True)
class Contest:
    """Two texts for one question.

    Attributes:
        id: Of the row that it is about.
        about: Which adapter, or which check of the proof.
        question: What was asked.
        one: The text whose preference counts as +1: the adapter's, or the reference.
        other: The other text.
    """

    id: str
    about: str
    question: str
    one: str
    other: str


@dataclass(frozen=True, slots=True)
class Request:
    """One message to a judge.

    Attributes:
        key: Digest of judge, rubric, question and both texts in their order: what is never asked twice.
        prompt: The message.
        contest: What it is about.
        one_first: Whether ``contest.one`` is answer A.
    """

    key: str
    prompt: str
    contest: Contest
    one_first: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What two verdicts make of a contest.

    Attributes:
        kind: ``flip``: each order preferred the answer in the same place; ``wavering``: one order was a tie, the other
            not; ``unscored``: a reply has no verdict; ``identical``: the texts are the same, so nothing was asked.
        value: 1: ``one`` is better; -1: ``other`` is; 0: a tie, a flip, or wavering; None: unscored.
        labels: Of the order with ``one`` first, and of the other; empty where nothing was asked.
        why: Why it is unscored; else empty.
    """

    kind: Kind
    value: int | None
    labels: tuple[Label | None, ...] = ()
    why: str = ""


def requests(contest: Contest, rubric: Rubric, judge: str) -> tuple[Request, Request]:
    """Both orders of a contest, the one that shows ``contest.one`` first before the other; alike for equal texts.

    Args:
        contest: The two texts.
        rubric: What the judge is told.
        judge: Digest of who is asked with which rubric.
    """
    orders = ((contest.one, contest.other), (contest.other, contest.one))
    first, second = (
        Request(
            _key(judge, contest.question, *texts), rubric.filled(contest.question, *texts), contest, texts is orders[0]
        )
        for texts in orders
    )
    return first, second


def _key(judge: str, *texts: str) -> str:
    document = json.dumps([judge, *texts], ensure_ascii=True)
    return hashlib.sha256(document.encode()).hexdigest()[:32]


def outcome(asked: tuple[Request, Request], replies: Mapping[str, Reply]) -> Outcome:
    """What two replies make of a contest: a preference only where both orders agree on it.

    Args:
        asked: Both orders, as `requests` gives them.
        replies: Key to reply; both must be there.

    Raises:
        KeyError: One is not.
    """
    read = [read_verdict(replies[request.key]) for request in asked]
    labels = tuple(label for label, _ in read)
    if None in labels:
        return Outcome("unscored", None, labels, next(why for _, why in read if why))
    worth = {"A": 1, "B": -1, "C": 0}
    with_one_first, with_one_second = worth[str(labels[0])], -worth[str(labels[1])]
    if with_one_first == with_one_second:
        return Outcome({1: "won", -1: "lost", 0: "tie"}[with_one_first], with_one_first, labels)  # type: ignore[arg-type]
    return Outcome("flip" if with_one_first == -with_one_second else "wavering", 0, labels)
