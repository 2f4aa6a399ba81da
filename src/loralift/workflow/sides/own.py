"""Score the answers of a side by metrics of the user's own, whatever other scores it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loralift.errors import ComparisonError
from loralift.metrics import Metric, MetricSettings
from loralift.records import Score
from loralift.workflow.sides.side import Side


def with_own(side: Side, path: Path, own: Sequence[Metric]) -> Side:
    """A side with further metrics, scored here from its answers: both sides are so by one source.

    Args:
        side: As it was read.
        path: Where, for messages.
        own: The metrics; a score of the same name that the side had is replaced.

    Raises:
        ComparisonError: The side has no answers.
        MetricError: A metric fails.
    """
    from loralift.nemo.scoring import score_recorded

    if not own:
        return side
    names = [metric.name for metric in own]
    if side.examples is None:
        raise ComparisonError(f"`--metric` needs answers, and {path} has only scores: give a run's variant, or answers")
    settings = MetricSettings(own=tuple(own), thinking=side.thinking)
    scored, _ = score_recorded(side.examples(), names, settings, primary=names[0], variant=side.name)
    by_id = {score.id: score for score in scored}
    infos = {metric.name: metric.info(settings) for metric in own}
    had = {name: side.metrics[name].signature for name in names if name in side.metrics}
    others = [name for name, signature in had.items() if signature != infos[name].signature]
    notes = [f"{name} of {side.name} was scored by another source before, and is scored anew." for name in others]
    return replace(
        side,
        scores=[_both(score, by_id.get(score.id), names) for score in side.scores],
        metrics={**side.metrics, **infos},
        notes=(*side.notes, *notes),
        own=frozenset(names),
    )


def _both(score: Score, further: Score | None, names: Sequence[str]) -> Score:
    """A row's own values and the further ones; None where the row has no answer."""
    values = further.values if further else dict.fromkeys(names)
    reasons = {name: why for name, why in score.unscored.items() if name not in values}
    unscored = {**reasons, **(further.unscored if further else {})}
    statistics = {name: sums for name, sums in score.statistics.items() if name not in values}
    found = replace(score, values={**score.values, **values}, statistics=statistics)
    return replace(found, unscored=unscored) if unscored or score.unscored else found
