"""Columns of another tool's scores: one with the name of a metric of ours has its scale and direction."""

from __future__ import annotations

from dataclasses import replace

from loralift.metrics import FAMILIES, METRICS
from loralift.metrics import bare as bare_name
from loralift.records import MetricInfo
from loralift.workflow.sides.directions import direction_of

_LIKE_OURS = {bare_name(name): name for name in METRICS} | {
    bare_name(name): of[0] for name, of in FAMILIES.items() if len(of) == 1
}


def like_ours(name: str) -> str | None:
    """The metric of ours with the name of a column: ``ROUGE-L`` is ``rougeL``, ``em`` is ``exact_match``."""
    return _LIKE_OURS.get(bare_name(name))


def column_info(name: str, signature: str = "") -> MetricInfo:
    """The description of a column of scores that LoraLift did not make; it has no margin of equivalence.

    Args:
        name: The column's name.
        signature: How the values were computed, where that is known.
    """
    ours = like_ours(name)
    if ours is not None and METRICS[ours].higher_is_better is not None:
        info = METRICS[ours].unsigned
        title = info.title if name == ours and not signature else name  # maybe another implementation
        return replace(info, name=name, title=title, margin=None, signature=signature)
    if name in METRICS:
        return replace(METRICS[name].unsigned, signature=signature)
    better = direction_of(name).higher_is_better
    return MetricInfo(name, name, low=None, high=None, higher_is_better=better, signature=signature)
