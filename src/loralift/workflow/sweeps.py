"""What a run of several adapters is as a sweep: the numbers by which they differ, and the best of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loralift.comparison import Settings, best_of
from loralift.records import BASE, Axis, Comparison, Score, Sweep

FEWEST = 3
"""Adapters that make a curve."""

STEP, EPOCH = "step", "epoch"


def sweep_of(
    numbers: Mapping[str, Mapping[str, float]],
    scores: Mapping[str, Sequence[Score]],
    comparison: Comparison,
    settings: Settings,
    clusters: Callable[[str], str] | None,
) -> Sweep | None:
    """The sweep that a comparison's candidates are.

    Args:
        numbers: Adapter to field to number.
        scores: Variant to its scores.
        comparison: Of every adapter with the base.
        settings: Its own.
        clusters: Row id to question, where questions were answered several times.

    Returns:
        None for fewer than three adapters, and where they differ in no number.
    """
    names = comparison.candidates
    axes = axes_of({name: numbers.get(name, {}) for name in names})
    if len(names) < FEWEST or not axes:
        return None
    info = comparison.metrics[settings.primary]
    best = best_of(scores[BASE], {name: scores[name] for name in names}, info, settings, clusters=clusters)
    notes = [
        f"{', '.join(lacking)}: no {axis.field} is known, so it is not on that curve."
        for axis in axes
        if axis.field in (STEP, EPOCH) and (lacking := [name for name in names if name not in axis.values])
    ]
    if best is None:
        why = "has no value of single rows" if info.corpus else "was scored on fewer than four questions"
        remedy = ": choose another metric with --primary" if info.corpus else ""
        notes.append(f"{info.title} {why}, so the best adapter is not judged on rows that did not choose it{remedy}.")
    return Sweep(axes, best, tuple(notes))


def axes_of(numbers: Mapping[str, Mapping[str, float]]) -> tuple[Axis, ...]:
    """The fields that have two values at least, the step first; no epoch where every adapter has a step."""
    fields = dict.fromkeys(field for found in numbers.values() for field in found)
    order = sorted(fields, key=lambda field: (field != STEP, field != EPOCH))
    axes = [Axis(one, {name: found[one] for name, found in numbers.items() if one in found}) for one in order]
    axes = [axis for axis in axes if len(set(axis.values.values())) > 1]
    stepped = any(axis.field == STEP and len(axis.values) == len(numbers) for axis in axes)
    return tuple(axis for axis in axes if not (stepped and axis.field == EPOCH))
