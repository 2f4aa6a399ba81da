"""Columns of another tool's scores: one with the name of a metric of ours has its scale and direction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from loralift.errors import some
from loralift.metrics import FAMILIES, METRICS
from loralift.metrics import bare as bare_name
from loralift.records import MetricInfo
from loralift.workflow.external_formats import IDS, Row, is_number
from loralift.workflow.sides.asked import COLUMNS
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


def numbers_beside(lines: Sequence[Row]) -> list[str]:
    """The columns of lines of answers that a file of scores would have as metrics, in their order."""
    no_score = {*IDS, *COLUMNS, "statistics"}
    numbers = (name for line in lines for name, value in line.items() if is_number(value))
    return [name for name in dict.fromkeys(numbers) if name not in no_score]


def not_compared(name: str, metrics: Iterable[str], of: str) -> tuple[str, ...]:
    """One sentence on scores that are there already, of answers that are scored here.

    Args:
        name: The side's.
        metrics: Their names; may be none.
        of: What has them, in words.
    """
    found = list(metrics)
    if not found:
        return ()
    return (
        f"{name}: {some(found)} of {of} are not compared, for its answers are scored here; a file of ids and scores "
        "alone compares those.",
    )
