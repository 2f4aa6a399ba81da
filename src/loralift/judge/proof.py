"""The proof that a judge judges: contests whose answer is known, and what a judge must make of them.

Each question's reference is set against the reference of another question. Half of the references are longer than what
they are set against and half are shorter, so that one who goes by length is right half of the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loralift.judge.contest import Contest, Outcome
from loralift.records import CheckName, JudgeProof, ProofCheck, Question

PAIRS = 32
FEWEST = 12
"""Questions with references of their own below which no judge can be proved: the bound is never above `BOUND`."""

SHARE = 0.9
"""Least share of a check's contests that must end as they should."""

BOUND = 0.75
"""What the lower end of that share's 95 % interval must be above."""

MOSTLY = 0.9
"""Share of choices from which a judge is said to go by place or by length."""

REFERENCE, ITSELF, CUT = "reference", "itself", "cut"


def proof_contests(questions: Sequence[Question]) -> dict[str, list[Contest]]:
    """The contests of a proof, by check.

    Args:
        questions: The run's, in the order of the data; PAIRS of them are used, spread evenly.

    Returns:
        Empty where fewer than FEWEST have a reference of their own.
    """
    own = list({" ".join(question.reference.split()).casefold(): question for question in reversed(questions)}.values())
    own.reverse()
    count = min(PAIRS, len(own)) // 2 * 2
    if count < FEWEST:
        return {}
    chosen = [own[(2 * at + 1) * len(own) // (2 * count)] for at in range(count)]
    chosen.sort(key=lambda question: len(question.reference.split()))  # stable, so the same each time
    half = count // 2
    others = [chosen[(at + half) % count] for at in range(count)]
    shorter = [(chosen[at], chosen[at - by]) for at in range(half, count) for by in (half, half // 2)]
    return {
        REFERENCE: [_contest(REFERENCE, one, one.reference, other) for one, other in zip(chosen, others, strict=True)],
        ITSELF: [_contest(ITSELF, one, one.reference, one) for one in chosen],
        CUT: [_contest(CUT, one, _cut(one.reference, len(other.reference.split())), other) for one, other in shorter],
    }


def _contest(check: str, question: Question, text: str, other: Question) -> Contest:
    return Contest(question.id, check, question.question, text, other.reference)


def _cut(text: str, words: int) -> str:
    """A text's first words, as they are written.

    >>> _cut("one  two three", 2)
    'one  two'
    """
    found = list(re.finditer(r"\S+", text))[:words]
    return text[found[0].start() : found[-1].end()] if found else ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of a judge where the right answer is known.

    Attributes:
        contests: Of the check REFERENCE.
        outcomes: Theirs.
    """

    contests: Sequence[Contest]
    outcomes: Sequence[Outcome]

    @property
    def first(self) -> tuple[int, int]:
        """How often the answer shown first was chosen, and how often one was."""
        labels = [label for outcome in self.outcomes for label in outcome.labels if label in ("A", "B")]
        return labels.count("A"), len(labels)

    @property
    def longer(self) -> tuple[int, int]:
        """How often the longer text was preferred in both orders, and how often one of two lengths was."""
        found = [
            (len(contest.one.split()) > len(contest.other.split())) == (outcome.value == 1)
            for contest, outcome in zip(self.contests, self.outcomes, strict=True)
            if outcome.value and len(contest.one.split()) != len(contest.other.split())
        ]
        return sum(found), len(found)

    def count(self, *kinds: str) -> int:
        """How many ended so."""
        return sum(outcome.kind in kinds for outcome in self.outcomes)


def judged_proof(
    contests: Mapping[str, Sequence[Contest]],
    outcomes: Mapping[str, Sequence[Outcome]],
    lower: Callable[[int, int], float],
) -> JudgeProof:
    """Whether a judge judges, and if not, why.

    Args:
        contests: As `proof_contests` makes them.
        outcomes: What the judge made of each.
        lower: Successes and trials to the lower end of the 95 % interval of their share.
    """
    every = [outcome for of in outcomes.values() for outcome in of]
    seen = _Seen(contests[REFERENCE], outcomes[REFERENCE])
    right: dict[CheckName, tuple[int, int]] = {
        "readable": (sum(outcome.value is not None for outcome in every), len(every)),
        "order": (seen.count("won", "lost", "tie"), len(seen.outcomes)),
        "reference": (seen.count("won"), len(seen.outcomes)),
        "cut": (sum(outcome.kind == "won" for outcome in outcomes[CUT]), len(outcomes[CUT])),
        "itself": (sum(outcome.kind == "tie" for outcome in outcomes[ITSELF]), len(outcomes[ITSELF])),
    }
    checks = tuple(_check(name, *counts, lower) for name, counts in right.items())
    failed = next((check.name for check in checks if not check.holds), None)
    why = max((outcome.why for outcome in every if outcome.why), default="", key=[o.why for o in every].count)
    return JudgeProof(
        checks=checks,
        first=_share(*seen.first),
        longer=_share(*seen.longer),
        refused=_REASONS[failed](seen, right[failed], why) if failed else "",
    )


def _check(name: CheckName, passed: int, of: int, lower: Callable[[int, int], float]) -> ProofCheck:
    bound = lower(passed, of)
    return ProofCheck(name, passed, of, bound, passed >= SHARE * of and bound > BOUND)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _unreadable(seen: _Seen, counts: tuple[int, int], why: str) -> str:
    del seen
    return f"its replies cannot be read: {counts[1] - counts[0]} of {counts[1]} contests got no verdict ({why})"


def _swayed(seen: _Seen, counts: tuple[int, int], why: str) -> str:
    del why
    first, of = seen.first
    said = f"in {counts[1] - counts[0]} of {counts[1]} pairs its verdict changes when the order does"
    if of and not 1 - MOSTLY < first / of < MOSTLY:
        place = "first" if 2 * first > of else "second"
        return f"it goes by position: it chose the answer shown {place} in {max(first, of - first)} of {of} replies"
    return f"{said}, as if it answered at random (it chose the answer shown first in {first} of {of} replies)"


def _wrong(seen: _Seen, counts: tuple[int, int], why: str) -> str:
    del why
    longer, of = seen.longer
    if of >= FEWEST / 2 and not 1 - MOSTLY < longer / of < MOSTLY:
        kind = "longer" if 2 * longer > of else "shorter"
        return f"it goes by length: it preferred the {kind} text in {max(longer, of - longer)} of {of} pairs"
    ties = seen.count("tie", "wavering", "flip")
    return (
        f"it does not tell a question's answer from another question's: it preferred the right one in {counts[0]} of "
        f"{counts[1]} pairs, the wrong one in {seen.count('lost')}, and called {ties} a tie"
    )


def _length(seen: _Seen, counts: tuple[int, int], why: str) -> str:
    del seen, why
    return (
        "it goes by length: once the right answer is cut to the length of the wrong one, it prefers it in "
        f"{counts[0]} of {counts[1]} pairs only"
    )


def _no_tie(seen: _Seen, counts: tuple[int, int], why: str) -> str:
    del seen, why
    return (
        f"it sees differences where there are none: it called a text as good as itself in {counts[0]} of {counts[1]} "
        "cases only"
    )


_REASONS: Mapping[CheckName, Callable[[_Seen, tuple[int, int], str], str]] = {
    "readable": _unreadable,
    "order": _swayed,
    "reference": _wrong,
    "cut": _length,
    "itself": _no_tie,
}
"""The checks in the order in which the first that fails is the reason, from what makes the others fail too."""
