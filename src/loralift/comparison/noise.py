"""The noise floor: how far a metric moves when the base answers the same questions a second time.

Greedy decoding is not deterministic: in other batches floats are added in another order, a near tie between two tokens
is decided otherwise, and the rest of the answer differs (He et al., 2025, "Defeating nondeterminism in LLM inference").
Sampling has another seed. Both change a mean without any change of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loralift.comparison.contrast import Contrast, contrast
from loralift.comparison.intervals import Confidence, Tango, confidence, interval
from loralift.comparison.pairing import Aggregate, pair, sample
from loralift.comparison.repeats import Clusters
from loralift.errors import ComparisonError
from loralift.records import MetricComparison, MetricInfo, NoiseFloor, Score


def noise_floor(
    first: Sequence[Score],
    second: Sequence[Score],
    infos: Mapping[str, MetricInfo],
    aggregates: Mapping[str, Aggregate] | None = None,
    *,
    clusters: Clusters | None = None,
) -> tuple[NoiseFloor, ...]:
    """How far each metric moves when the base answers again.

    The floor is the end that is further from 0 of the paired 95 % t interval of second minus first (Tango's interval
    for 0/1 values, the jackknife's for corpus metrics): the shift that was seen, and what chance may add to it. A third
    run differs from the first by less in at least 95 % of cases, as two runs of one model are exchangeable. Where no
    row differs, the floor is 0.

    The floor is shown and decides nothing. It knows of no other questions than these, so a difference outside it is not
    thereby real; and a difference inside it is not thereby ``equivalent``: see ``docs/statistics.md``.

    Args:
        first: The base's rows that everything is compared with, in any order.
        second: The base's rows of the second run; it may hold some of the questions only, which widens the floor.
        infos: The metrics, descriptive ones too.
        aggregates: For corpus metrics, summed statistics (..., k) to values (...).
        clusters: Row id to question, where questions were answered several times in each run.

    Returns:
        One a metric with at least two pairs, in the order of ``infos``.

    Raises:
        ComparisonError: The two runs share no id, or an id appears twice in one.
    """
    pairs = pair(first, second, names=("the first run", "the second run"))
    found = []
    for name, info in infos.items():
        moved = contrast(sample(pairs, info, (aggregates or {}).get(name), clusters))
        if moved is not None and moved.n >= 2:
            found.append(NoiseFloor(name, moved.n, moved.difference, _furthest(moved)))
    return tuple(found)


def inside(row: MetricComparison, floor: NoiseFloor) -> bool:
    """Whether a comparison's difference is no larger than what a second run of the base may show.

    Args:
        row: The comparison.
        floor: Of the same metric.

    Returns:
        Never true for a floor of 0, or without a difference.

    Raises:
        ComparisonError: The two are of different metrics.
    """
    if row.metric != floor.metric:
        raise ComparisonError(f"a noise floor of {floor.metric} says nothing about {row.metric}")
    return row.difference is not None and floor.floor > 0 and abs(row.difference) <= floor.floor


def _furthest(moved: Contrast) -> float:
    """The larger absolute end of the 95 % interval; 0 where no row differs."""
    if not moved.differing.any():
        return 0.0
    known: Confidence | None = confidence(moved.estimate, "t")
    if moved.binary:
        known = Tango(*moved.discordant, moved.n)
    assert known is not None
    ends = interval(known, 0.95)
    return max(abs(ends.low), abs(ends.high))
