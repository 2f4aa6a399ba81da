"""What speaks against a verdict, the strongest first: one is said with the verdict, all of them in the findings.

A finding is marked as a warning where a doubt of the same kind is here, and takes its condition from here, so that the
headline and the findings cannot disagree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from loralift.records import Comparison, Confounds, CutComparison, MetricComparison, Protocols, Report
from loralift.reporting import formatting
from loralift.reporting.traced_figures import DECIDED, Case
from loralift.visible import clipped

Kind = Literal[
    "depends",
    "elsewhere",
    "allowed",
    "unfinished",
    "leaks",
    "best",
    "stop",
    "half",
    "perplexity",
    "composition",
    "length",
    "unsound",
]

PERPLEXITY = "perplexity"
MUCH_EXPLAINED = 0.5
"""Least share of a difference that goes with length from which it is doubted."""

MUCH_UNSOUND = 0.01
"""Least share of rows with an unsound answer from which the parts of a difference are told."""

UNFINISHED = "unfinished"
"""The descriptive metric that flags answers which never came, since their thinking did not finish."""

FLAWS = {
    UNFINISHED: ("never finished thinking, and have no score", 0.01),
    "truncated": ("were cut off at the limit of new tokens", 0.05),
    "empty": ("are empty", 0.01),
    "repeating": ("end in a loop", 0.01),
    "run_on": ("run on into a next question", 0.01),
    "copied_prompt": ("only copy the question", 0.01),
}
"""Descriptive metric to what its share says of answers, and the share, on either side, from which it is said."""

NOT_UNSOUND = ("truncated", UNFINISHED)

SAID = {"better": "better", "worse": "worse", "equivalent": "equivalent", "inconclusive": "undecided"}
"""Verdict to the word for people."""

MOST_IN_NAME = 60
"""Characters of a protocol's name or a stop string in a headline."""

MOST_WAYS = 4
"""Protocols that a headline names."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that speaks against a verdict.

    Attributes:
        candidate: The candidate variant.
        kind: What it is; its place in RANKED says how much it weighs.
        words: What follows the verdict and "but"; of ``depends`` what is found under which protocol.
    """

    candidate: str
    kind: Kind
    words: str


def doubts(
    comparison: Comparison, confounds: Confounds | None = None, protocols: Protocols | None = None
) -> tuple[Doubt, ...]:
    """Everything that speaks against the verdicts of a comparison.

    Args:
        comparison: Whose verdicts are doubted.
        confounds: What else than quality may stand behind its differences; None: nothing is known.
        protocols: What becomes of it when all are asked another way; None: they were asked in one.

    Returns:
        Candidate by candidate, each one's strongest first, in the order of RANKED.
    """
    found = []
    for candidate in comparison.candidates:
        case = Case(comparison, {}, confounds or Confounds(), (), candidate, protocols)
        for kind, verdicts, words in RANKED:
            if comparison.verdicts[candidate] in verdicts and (said := words(case)):
                found.append(Doubt(candidate, kind, said))
    return tuple(found)


def doubts_of(report: Report) -> tuple[Doubt, ...]:
    """Everything that speaks against the verdicts of a report's own comparison."""
    if report.comparison is None:
        return ()
    return doubts(report.comparison, report.confounds, report.protocols)


def strongest(found: Iterable[Doubt]) -> dict[str, Doubt]:
    """Candidate to its strongest doubt."""
    first: dict[str, Doubt] = {}
    for doubt in found:
        first.setdefault(doubt.candidate, doubt)
    return first


def depends(case: Case) -> bool:
    """Whether two protocols establish different verdicts."""
    return len(_established(case)) > 1


def elsewhere(case: Case) -> bool:
    """Whether what is undecided under the first protocol is worse under another, and better under none."""
    return not case.established and _established(case) == {"worse"}


def stands(verdict: str | None, other: str | None) -> bool:
    """Whether a verdict stands beside that of the same comparison made in another way.

    One that decides nothing claims nothing; only its candidate being worse speaks against it.
    """
    return other is None or verdict == other or (verdict == "inconclusive" and other != "worse")


def beaten(case: Case) -> MetricComparison | None:
    """The comparison, asked as trained, with the base at its best, where that beats the candidate."""
    for best in case.protocols.best if case.protocols else ():
        if best.candidate == case.candidate and best.asked == "as trained" and best.row.verdict == "worse":
            return best.row
    return None


def turned_by_parts(case: Case) -> str:
    """Why a decided difference is not one of answers that are sound on both sides; empty where it is.

    As ``loralift.comparison.contributions`` parts it: where both answers are sound it is the other way round, or less
    than half of the whole.
    """
    _, row, _ = case.primary
    parts = [part for part in case.confounds.contributions if part.candidate == case.candidate and part.rows]
    sound = sum(part.contribution for part in parts if part.kind == "both sound")
    unsound = sum(part.share for part in parts if part.kind != "both sound")
    if row.difference is None or not case.decided or unsound < MUCH_UNSOUND:
        return ""
    if all(part.kind != "both sound" for part in parts):
        return "on no row are both answers sound"
    if sound * row.difference < 0:
        return "where both answers are sound it is the other way round"
    return "where both answers are sound it is the smaller part" if abs(sound) < abs(row.difference) / 2 else ""


def explained_by_length(case: Case) -> str:
    """How length stands behind a decided difference; empty where it explains less than half, or cannot be told."""
    metric = case.primary[1].metric
    for at_length in case.confounds.lengths:
        known = at_length.candidate == case.candidate and at_length.metric == metric and case.decided
        if not known or at_length.adjusted is None:
            continue
        if at_length.explained is None:
            return "at equal length the difference turns" if at_length.adjusted * at_length.difference < 0 else ""
        if at_length.explained >= MUCH_EXPLAINED:
            return "most of the difference goes with length"
    return ""


def _established(case: Case) -> set[str]:
    """The verdicts that are established under any protocol, and by the comparison itself."""
    rows = case.protocols.rows_of(case.candidate).values() if case.protocols else ()
    return {verdict for verdict in (case.verdict, *(row.verdict for row in rows)) if verdict} - {"inconclusive"}


def _allowed(case: Case) -> str:
    """What the user allowed to differ, all of it: with each the difference may have come."""
    found = case.confounds.allowed.get(case.candidate, ())
    said = [f"{one.field} differs ({one.baseline} and {one.candidate})" for one in found]
    return f"compared although {', '.join(said)}" if said else ""


def _depends(case: Case) -> str:
    return _ways(case) if depends(case) else ""


def _ways(case: Case) -> str:
    """What is found under which protocol: the first, one of every other verdict, then more while there is room."""
    rows = case.protocols.rows_of(case.candidate) if case.protocols else {}
    telling = {row.verdict: name for name, row in reversed(list(rows.items()))}  # the first that has the verdict
    chosen = sorted(rows, key=lambda name: name not in telling.values())[:MOST_WAYS]
    said = ", ".join(_under(case, name, rows[name]) for name in rows if name in chosen)
    left = len(rows) - len(chosen)
    return said + (f" and {left} more protocol{'s' if left > 1 else ''}" if left else "")


def _under(case: Case, protocol: str, row: MetricComparison) -> str:
    return f"{SAID[row.verdict or 'inconclusive']} under {clipped(protocol, MOST_IN_NAME)} ({_figures(case, row)})"


def _elsewhere(case: Case) -> str:
    rows = case.protocols.rows_of(case.candidate) if case.protocols else {}
    worse = [_under(case, name, row) for name, row in rows.items() if row.verdict == "worse"]
    return worse[0] if worse and elsewhere(case) else ""


def _unfinished(case: Case) -> str:
    """Answers that never came are missing from the comparison, and not by chance."""
    row = case.rows.get(UNFINISHED, ("", None))[1]
    if row is None or case.comparison.primary == PERPLEXITY:
        return ""
    said, least = FLAWS[UNFINISHED]
    sides = ((case.candidate, row.candidate_value), (case.comparison.baseline, row.baseline_value))
    found = [
        f"{round(share * row.answers):,} of {row.answers:,} of {clipped(name, MOST_IN_NAME)}'s answers"
        for name, share in sides
        if share is not None and share >= least
    ]
    return f"{' and '.join(found)} {said}" if found else ""


def _leaks(case: Case) -> str:
    leaks, without = case.confounds.leaks.get(case.candidate), case.confounds.without_leaks.get(case.candidate)
    if not leaks:
        return ""
    rows = f"the rows that leaked, {len({leak.id for leak in leaks}):,} of them"
    if without is None or without.difference is None:
        return f"there is no comparison without {rows}"
    other = without.verdict
    return "" if stands(case.verdict, other) else f"{SAID[other or '']} without {rows} ({_figures(case, without)})"


def _best(case: Case) -> str:
    row = beaten(case)
    return f"the base at its best beats it ({_figures(case, row)})" if row is not None else ""


def _cut(case: Case, kind: str, said: Callable[[CutComparison], str]) -> str:
    for cut in case.confounds.cuts:
        if cut.candidate == case.candidate and cut.kind == kind and not stands(case.verdict, cut.row.verdict):
            return f"{SAID[cut.row.verdict or '']} if answers end {said(cut)} ({_figures(case, cut.row)})"
    return ""


def _stop(case: Case) -> str:
    return _cut(case, "stop", lambda cut: f"at {quoted(cut.stop)}")


def quoted(stop: str) -> str:
    """A stop string as JSON writes it, so that a line feed in it is seen."""
    return json.dumps(clipped(stop, MOST_IN_NAME), ensure_ascii=False)


def _half(case: Case) -> str:
    return _cut(case, "half", lambda cut: f"after {cut.max_new_tokens:,} tokens")


def _perplexity(case: Case) -> str:
    """The references became less likely: what the adapter knows of them fell, whatever its answers look like."""
    _, row = case.rows.get(PERPLEXITY, ("", None))
    if row is None or row.verdict != "worse" or row.metric == case.comparison.primary:
        return ""
    info = case.comparison.metrics[row.metric]
    before, after = (formatting.value(value, info) for value in (row.baseline_value, row.candidate_value))
    return f"the references became less likely (perplexity {before} to {after})"


def _unsound(case: Case) -> str:
    """Answers that fail in a way in which next to none of the base's did, and more of them than chance makes."""
    found = []
    # what was cut off may be good, and answers that never came are a doubt of their own
    for metric, (said, least) in ((name, flaw) for name, flaw in FLAWS.items() if name not in NOT_UNSOUND):
        _, row = case.rows.get(metric, ("", None))
        if row is None or row.candidate_value is None or row.baseline_value is None:
            continue
        surely = row.p_value is not None and row.p_value < case.comparison.alpha
        if surely and row.baseline_value < least <= row.candidate_value:
            shares = formatting.percent(row.candidate_value), formatting.percent(row.baseline_value)
            base = clipped(case.comparison.baseline, MOST_IN_NAME)
            found.append((-row.candidate_value, f"{shares[0]} of its answers {said}, against {shares[1]} of {base}'s"))
    return min(found)[1] if found else ""


def _figures(case: Case, row: MetricComparison) -> str:
    info = case.primary[2]
    return f"{formatting.difference(row.difference, info)} {formatting.interval(row.interval, info)}".strip()


ALL = frozenset({"better", "worse", "equivalent", "inconclusive"})
NO_LOSS = ALL - {"worse"}
GOOD = frozenset({"better", "equivalent"})
UNDECIDED = frozenset({"inconclusive"})

RANKED: tuple[tuple[Kind, frozenset[str], Callable[[Case], str]], ...] = (
    # the same question, answered otherwise
    ("depends", ALL, _depends),
    ("elsewhere", UNDECIDED, _elsewhere),
    # not the same question; never within one run, whose protocols the two above are of
    ("allowed", ALL, _allowed),
    ("unfinished", ALL, _unfinished),
    ("leaks", ALL, _leaks),
    ("best", NO_LOSS, _best),
    # the same answers, judged otherwise
    ("stop", ALL, _stop),
    ("half", ALL, _half),
    ("perplexity", GOOD, _perplexity),
    # the same figures, explained otherwise
    ("composition", frozenset(DECIDED), turned_by_parts),
    ("length", frozenset(DECIDED), explained_by_length),
    ("unsound", GOOD, _unsound),
)
"""Kind of doubt, the verdicts that it speaks against, and how it is told; the strongest first.

First what was measured and says the opposite, by how near it is to the question that the verdict answers; then what
only explains the difference. docs/reading-a-verdict.md has the argument.
"""
