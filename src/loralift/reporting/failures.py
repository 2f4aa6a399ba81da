"""Answers that failed in a way that can be counted: how many, how many new, and the mean difference on their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import TYPE_CHECKING

from loralift.errors import some
from loralift.records import Report, Row
from loralift.reporting import formatting, tables
from loralift.reporting.doubts import FLAWS
from loralift.reporting.formatting import percent
from loralift.reporting.tally import NOWHERE, Tally, tally_of

if TYPE_CHECKING:
    from loralift.reporting.tally import Integers

SHORTER = 1 / 4
LONGER = 4

MODES = {name: said for name, (said, _) in FLAWS.items()} | {
    "far_shorter": "are far shorter than the reference",
    "far_longer": "are far longer than the reference",
}
"""Failure mode to what is said of its answers; the first ones are the flags of descriptive metrics."""

TITLES = {"far_shorter": "Far shorter", "far_longer": "Far longer"}


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How often one variant's answers show a failure mode.

    Attributes:
        variant: Its name.
        n: Answers for which it is known.
        count: Those that show the failure.
        new: Of them, those where the baseline's answer did not; None for the baseline.
        gone: Answers that do not show it where the baseline's did; None for the baseline.
        difference: Mean difference of the primary metric from the baseline over the rows counted; None for the
            baseline, and where no such row has a value on both sides.
    """

    variant: str
    n: int
    count: int
    new: int | None = None
    gone: int | None = None
    difference: float | None = None

    @property
    def share(self) -> float:
        """Of the answers of which it is known, in [0, 1]."""
        return self.count / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class FailureMode:
    """One way to fail, counted for every variant.

    Attributes:
        name: A key of ``MODES``, as ``failure_modes_of`` names it.
        title: For people, short.
        said: What is said of the answers: ``end in a loop``.
        counts: One a variant of which it is known, the baseline first.
    """

    name: str
    title: str
    said: str
    counts: tuple[FailureCount, ...]

    @property
    def occurs(self) -> bool:
        """Whether any answer shows it."""
        return any(count.count for count in self.counts)


def failure_modes_of(row: Row, variant: str) -> tuple[str, ...]:
    """The failure modes that a variant's answer to one row shows, in the order of ``MODES``."""
    return tuple(name for name in MODES if _shows(row, variant, name))


def tallied(report: Report) -> Tally:
    """What is counted over the report's rows, the flags of FLAWS among it."""
    return tally_of(report, tuple(FLAWS))


@lru_cache(maxsize=1)
def failures(report: Report) -> tuple[FailureMode, ...]:
    """Every failure mode for which there are values, counted; without the metrics that were not computed.

    The page, its chart and report.md all use it, and counting is slow, so it is done once for each report.
    """
    import numpy as np

    found, tally = [], tallied(report)
    for name, said in MODES.items():
        shown = {variant: _shown(tally, variant, name) for variant in report.variants}
        here = [variant for variant in report.variants if np.any(shown[variant] != NOWHERE)]
        counts = tuple(_count(report, tally, variant, shown) for variant in here)
        if counts:
            info = report.metrics.get(name)
            title = info.title if info else TITLES.get(name, name)
            found.append(FailureMode(name, title, said, counts))
    return tuple(found)


def own_answers(report: Report) -> str:
    """How many answers of each variant are counted, where what was compared does not all have the same; else empty."""
    counts = {name: int((tallied(report).words[name] != NOWHERE).sum()) for name in report.answering}
    if not report.inputs or len(set(counts.values())) < 2:
        return ""
    return f"answers: {some((f'{name} {count:,}' for name, count in counts.items()), tables.MOST_NAMED)}"


def failure_table(report: Report) -> tables.Table:
    """The failure modes that occur, a row a mode and variant."""
    modes = failures(report)
    comparison = report.comparison
    info = comparison.metrics[comparison.primary] if comparison else None
    rows = []
    for mode in (mode for mode in modes if mode.occurs):
        for count in mode.counts:
            cells = [mode.said, count.variant, f"{count.count:,}", percent(count.share)]
            if info is not None:
                changed = (count.new, count.gone)
                cells += [formatting.NOT_THERE if number is None else f"{number:,}" for number in changed]
                cells.append(formatting.difference(count.difference, info))
            rows.append(tuple(cells))
    heads = ["answers that", "of", "count", "share"]
    if info is not None:
        heads += ["new", "gone", f"difference in {info.title}"]
    return tables.Table("How answers fail", tuple(heads), tuple(rows), _caption(report, modes))


def _caption(report: Report, modes: Sequence[FailureMode]) -> str:
    caption = (
        f"far shorter: fewer than a quarter of the reference's words, far longer: more than {LONGER} times as many"
    )
    if report.comparison is not None:
        base = report.comparison.baseline
        caption = (
            f"new: {base}'s answer did not, gone: {base}'s did · difference: mean over the answers counted · {caption}"
        )
    if tallied(report).questions is not None:
        caption = f"counted over answers, not questions, each beside the baseline's of the same number · {caption}"
    caption = " · ".join(filter(None, (own_answers(report), caption)))
    never = [mode.title for mode in modes if not mode.occurs]
    return f"{caption} · none: {', '.join(never)}" if never else caption


def _shows(row: Row, variant: str, mode: str) -> bool | None:
    """Whether an answer shows a mode; None where that is not known."""
    if mode in FLAWS:
        flag = row.values.get(variant, {}).get(mode)
        return None if flag is None else flag == 1
    answer, reference = row.answers.get(variant), len(row.reference.split())
    if answer is None or not reference:
        return None
    words = len(answer.split())
    return 0 < words < SHORTER * reference if mode == "far_shorter" else words > LONGER * reference


def _shown(tally: Tally, variant: str, mode: str) -> Integers:
    """What `_shows` says of every row, shape (n,): 0, 1, or NOWHERE where that is not known."""
    import numpy as np

    if mode in FLAWS:
        return tally.flags[variant, mode]
    words, reference = tally.words[variant], tally.reference_words
    shown = (words > 0) & (words < SHORTER * reference) if mode == "far_shorter" else words > LONGER * reference
    return np.where((words == NOWHERE) | (reference == 0), NOWHERE, shown)


def _count(report: Report, tally: Tally, variant: str, known: Mapping[str, Integers]) -> FailureCount:
    """Compare one variant's answers with the baseline's, row by row."""
    import numpy as np

    shown = known[variant]
    n, count = int((shown != NOWHERE).sum()), int((shown == 1).sum())
    if report.comparison is None or variant == report.comparison.baseline:
        return FailureCount(variant, n, count)
    before = known[report.comparison.baseline]
    differences = (tally.primary[variant] - tally.primary[report.comparison.baseline])[shown == 1]
    differences = differences[~np.isnan(differences)]
    return FailureCount(
        variant=variant,
        n=n,
        count=count,
        new=int(((shown == 1) & (before == 0)).sum()),
        gone=int(((shown == 0) & (before == 1)).sum()),
        difference=fmean(differences.tolist()) if differences.size else None,
    )
