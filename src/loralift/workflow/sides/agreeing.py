"""What each side would choose by itself, and all must choose alike: the filter of a log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from loralift.errors import ComparisonError
from loralift.workflow.sides.side import Side


def read_alike(paths: Sequence[Path], filter_name: str | None, read: Callable[[Path, str | None], Side]) -> list[Side]:
    """Read sides, once more where each took something else by itself.

    Args:
        paths: The baseline and the candidates.
        filter_name: The filter that the user chose; None: none.
        read: Reads one with a filter; None: with its own first.

    Raises:
        ComparisonError: They have no filter in common.
    """
    sides = [read(path, filter_name) for path in paths]
    taken = _other_filter(sides)
    if taken is None:
        return sides
    sides = [read(path, taken) if side.filters else side for path, side in zip(paths, sides, strict=True)]
    note = f"The filter {taken!r} is taken on every side, the first that all logs have."
    return [replace(sides[0], notes=(note, *sides[0].notes)), *sides[1:]]


def _other_filter(sides: Sequence[Side]) -> str | None:
    """The first filter that all logs have, where they took several; None where they took one, or name none."""
    logs = [side for side in sides if side.filters]
    if len({side.filters[0] for side in logs}) <= 1:
        return None
    both = [name for name in logs[0].filters if all(name in side.filters for side in logs)]
    if not both:
        have = "; ".join(f"{side.place} has {', '.join(side.filters)}" for side in logs)
        raise ComparisonError(
            f"the logs have no filter in common, and answers picked in different ways do not compare: {have}; "
            "give logs that share one, as --filter names it"
        )
    return both[0]
