"""Would the verdict stand if another protocol were the best one?

Where two protocols are nearly equal, either half may choose the lesser one. The difference is then that from a baseline
a little below its best, which flatters the candidate, or from a candidate below its own, which does the opposite. So
"better than the baseline at its best" is claimed only if the candidate is better than the baseline under every
protocol, an intersection-union test, one of whose parts is the best protocol, whichever that is. Likewise "worse" wants
every protocol that the candidate could choose, and "equivalent" both, each on its side of the margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loralift.comparison.analysis import analyse
from loralift.comparison.crossed import Crossed
from loralift.comparison.settings import Settings
from loralift.errors import some
from loralift.records import MetricComparison


@dataclass(frozen=True, slots=True)
class _Alone:
    """All candidates' rows where one side is asked under one protocol alone.

    Attributes:
        protocol: Its name.
        of_baseline: Whether the baseline is the side; else each candidate is.
        rows: One a candidate.
    """

    protocol: str
    of_baseline: bool
    rows: Sequence[MetricComparison]


def confirmed(
    rows: Sequence[MetricComparison], crossed: Sequence[Crossed], settings: Settings
) -> list[MetricComparison]:
    """The rows, ``inconclusive`` where the verdict would not stand under some protocol, which the row then names.

    Args:
        rows: One a candidate, of one claim.
        crossed: What they were made of.
        settings: How they were compared; each protocol's rows are one family, as the claim's are.
    """
    every = [*_alone(crossed, settings, of_baseline=True), *_alone(crossed, settings, of_baseline=False)]
    found = []
    for i, row in enumerate(rows):
        against = [part.protocol for part in every if not _stands(row, part, i, crossed[i], settings)]
        found.append(_undecided(row, list(dict.fromkeys(against))) if against else row)
    return found


def _alone(crossed: Sequence[Crossed], settings: Settings, *, of_baseline: bool) -> list[_Alone]:
    """One a protocol; none where there is but one, which is the claim itself."""
    sides = [one.sides for one in crossed if one.sides is not None]
    protocols = sides[0][of_baseline].protocols
    if len(protocols) < 2:
        return []
    found = []
    for k, protocol in enumerate(protocols):
        cases = []
        for one, (candidate, baseline) in zip(crossed, sides, strict=True):
            pair = (candidate, baseline.alone()[k]) if of_baseline else (candidate.alone()[k], baseline)
            cases.append(one.case(*pair))
        found.append(_Alone(protocol, of_baseline, analyse(cases, settings)))
    return found


def _stands(row: MetricComparison, part: _Alone, place: int, one: Crossed, settings: Settings) -> bool:
    """Whether a row's verdict stands beside that under one protocol.

    The baseline's protocols can only take from "better", the candidate's only from "worse"; of "equivalent" the former
    can take that the candidate is not much worse, the latter that it is not much better.
    """
    alone = part.rows[place]
    inner, outer, margin = alone.equivalence_interval, alone.interval, row.margin
    upwards = part.of_baseline == bool(one.plain.info.higher_is_better)
    if row.verdict == "equivalent":
        return inner is not None and margin is not None and (inner.low > -margin if upwards else inner.high < margin)
    if row.verdict != ("better" if part.of_baseline else "worse"):
        return True
    significant = alone.p_adjusted is not None and alone.p_adjusted < settings.alpha
    return significant and outer is not None and (outer.low > 0 if upwards else outer.high < 0)


def _undecided(row: MetricComparison, protocols: Sequence[str]) -> MetricComparison:
    sentence = f"If the best protocol is {some(protocols)}, {row.verdict} is not established: taken as undecided."
    return replace(row, verdict="inconclusive", warnings=(*row.warnings, sentence))
