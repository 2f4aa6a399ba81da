"""Are the values of both sides on one scale? A file of scores does not say.

ROUGE is written as 0.4 or 40, BLEU as 30 or 0.3. A difference of two scales would give a wrong verdict, so it is an
error that names both sides, and the user declares the scale with `--scale`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from numbers import Real

from loralift.errors import ComparisonError, UsageError, some, wrong_argument
from loralift.records import LARGEST, MetricInfo, Score
from loralift.workflow.sides.scale_rules import UNIT, Column, Columns, Scale, completed, own_scale, undeclared, written
from loralift.workflow.sides.side import Side

_NUMBER = r"-?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}|inf)"
_SCALE = re.compile(rf"({_NUMBER})(?:-|\.\.)({_NUMBER})")
SCALES = "METRIC=LOW-HIGH, such as rougeL=0-100, or baseline:METRIC=LOW-HIGH or candidate:METRIC=LOW-HIGH for one side"


@dataclass(frozen=True, slots=True)
class Scaled:
    """Both sides, every judged metric on one scale.

    Attributes:
        before: The baseline.
        after: The candidate.
        metrics: The metrics, with the range of that scale.
        assumed: Metrics whose values all lie within 0 to 1, for which no scale was declared.
        notes: Metric to what a reader must know, one sentence each.
    """

    before: Side
    after: Side
    metrics: Mapping[str, MetricInfo]
    assumed: frozenset[str]
    notes: Mapping[str, tuple[str, ...]]


def parse_scale(text: str) -> tuple[str, Scale]:
    """What `--scale` says: a metric, perhaps of one side, and its smallest and largest possible value.

    >>> parse_scale("baseline:rougeL=0-100"), parse_scale("cosine=-1-1")
    (('baseline:rougeL', (0.0, 100.0)), ('cosine', (-1.0, 1.0)))

    Raises:
        UsageError: It is no scale.
    """
    name, _, scale = text.rpartition("=")
    found = _SCALE.fullmatch(scale.strip())
    if not name or found is None or not float(found[1]) < float(found[2]):
        raise UsageError(wrong_argument("--scale", SCALES, text))
    return name, (float(found[1]), float(found[2]))


def on_one_scale(before: Side, after: Side, metrics: Mapping[str, MetricInfo], declared: Mapping[str, Scale]) -> Scaled:
    """Bring each metric's values of both sides onto one scale, or refuse.

    Args:
        before: The baseline.
        after: The candidate.
        metrics: What both have. For one without a direction, which is not judged, the scale is checked only where it
            is declared.
        declared: ``METRIC``, or ``baseline:METRIC`` or ``candidate:METRIC`` for one side, to its smallest and largest
            possible value. Where both sides have the same scale, values stay as they are; else one side is brought
            linearly onto the other's: onto that of our own metric of the name, or onto the baseline's.

    Raises:
        ComparisonError: Two sides seem to be on two scales, or a value is beyond its metric's range.
        UsageError: A scale is declared for a metric that is not there, or values lie beyond it.
    """
    _check_names(metrics, declared)
    declared = {key: _scale_of(key, scale) for key, scale in declared.items()}
    found = Scaled(before, after, dict(metrics), frozenset(), {})
    problems: dict[str, str] = {}
    for name, info in metrics.items():
        columns = (_column("baseline", before, info, declared), _column("candidate", after, info, declared))
        is_declared = any(key in declared for key in _keys(name))
        known = (before.ours and after.ours) or name in before.own & after.own
        if (info.higher_is_better is None or known) and not is_declared:
            continue
        try:
            if columns[0].values and columns[1].values:
                found = _with(found, info, columns)
        except ComparisonError as error:
            problems[name] = str(error)
    if problems:
        first, *others = problems
        likewise = f" (likewise {some(others)})" if others else ""
        raise ComparisonError(f"{problems[first]}{likewise}")
    return found


def _keys(name: str) -> tuple[str, str, str]:
    return name, f"baseline:{name}", f"candidate:{name}"


def _check_names(metrics: Mapping[str, MetricInfo], declared: Mapping[str, Scale]) -> None:
    known = {key for name in metrics for key in _keys(name)}
    for key in declared:
        if key not in known:
            raise UsageError(wrong_argument("--scale", f"of a metric that both sides have ({some(metrics, 20)})", key))


def _scale_of(key: str, value: object) -> Scale:
    """A scale as Python gives it: two numbers, the smallest and the largest possible value.

    Raises:
        UsageError: It is something else.
    """
    ends = list(value) if isinstance(value, list | tuple) else []
    if len(ends) != 2 or not all(isinstance(end, Real) and not isinstance(end, bool) for end in ends):
        raise UsageError(wrong_argument(f"scales[{key}]", "two numbers, (LOW, HIGH)", value))
    low, high = (max(-LARGEST, min(LARGEST, end)) if isinstance(end, int) else float(end) for end in ends)
    if not low < high:
        raise UsageError(wrong_argument("--scale", SCALES, f"{key}={low:g}-{high:g}"))
    return float(low), float(high)


def _column(role: str, side: Side, info: MetricInfo, declared: Mapping[str, Scale]) -> Column:
    """One metric on one side, with its scale where that is known.

    Raises:
        UsageError: The declared scale is not that of LoraLift's own values, or does not hold all values.
    """
    name = info.name
    found = (score.values.get(name) for score in side.scores)
    values = tuple(value for value in found if value is not None and abs(value) <= LARGEST)
    scale = declared.get(f"{role}:{name}", declared.get(name))
    summed = any(name in score.statistics for score in side.scores)  # only LoraLift writes statistics of corpus metrics
    if side.ours or summed or name in side.own:
        own = own_scale(side.metrics[name])
        if scale is not None and scale != own:
            raise UsageError(
                f"`--scale` of {name} must be {written(own)} in {side.name}, which LoraLift scored, got "
                f"{written(scale)}; {'candidate' if role == 'baseline' else 'baseline'}:{name}=… is for the other side"
            )
        return Column(role, side.name, values, own)
    column = Column(role, side.name, values, scale)
    if scale is not None and not column.within(scale):
        raise UsageError(f"`--scale` of {name} must hold all its values, {column.span}, got {written(scale)}")
    return column


def _with(found: Scaled, info: MetricInfo, columns: Columns) -> Scaled:
    """The result so far, with one more metric added."""
    name, known = info.name, [column.scale is not None for column in columns]
    if not any(known):
        judged, notes = undeclared(info, columns)
        assumed = {name} if all(column.within(UNIT) for column in columns) else set[str]()
        metrics = {**found.metrics, name: judged}
        return replace(found, metrics=metrics, assumed=found.assumed | assumed, notes={**found.notes, name: notes})
    if not all(known):
        columns = completed(info, columns)
    scales = [column.scale or own_scale(info) for column in columns]
    target = own_scale(info) if own_scale(info) in scales else scales[0]
    low, high = (end if isfinite(end) else None for end in target)
    decimals = 3 if high == 1.0 else info.decimals
    before, after = (
        _onto(target, side, name, scale) for side, scale in zip((found.before, found.after), scales, strict=True)
    )
    moved = [column for column, scale in zip(columns, scales, strict=True) if scale != target]
    notes = tuple(
        f"{name} of {column.side} is brought from {written(column.scale or target)} onto {written(target)}."
        for column in moved
    )
    metrics = {**found.metrics, name: replace(info, low=low, high=high, decimals=decimals)}
    return Scaled(before, after, metrics, found.assumed, {**found.notes, name: notes})


def _onto(target: Scale, side: Side, name: str, scale: Scale) -> Side:
    """A side with one metric brought linearly from its scale onto another."""
    if scale == target:
        return side
    if not all(map(isfinite, (*scale, *target))):
        ends = f"{written(scale)} and {written(target)}"
        raise UsageError(
            f"`--scale` of {name} must have two ends on both sides to bring one onto the other, got {ends}"
        )
    factor = (target[1] - target[0]) / (scale[1] - scale[0])

    def moved(score: Score) -> Score:
        value = score.values.get(name)
        if value is None:
            return score
        statistics = {metric: sums for metric, sums in score.statistics.items() if metric != name}
        values = {**score.values, name: target[0] + (value - scale[0]) * factor}
        return replace(score, values=values, statistics=statistics)

    return replace(side, scores=[moved(score) for score in side.scores])
