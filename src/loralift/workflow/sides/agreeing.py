"""What each side would choose by itself, and all must choose alike: the filter of a log, the column of the ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from loralift.comparison import question_of
from loralift.errors import ComparisonError, shown, some
from loralift.workflow.sides.asked import TEXT
from loralift.workflow.sides.side import DOC_HASH, Side

type Read = Callable[[Path, str | None, str | None], Side]
"""Reads a side, with a filter and a column of ids; None: with its own first."""


def read_alike(paths: Sequence[Path], filter_name: str | None, read: Read) -> list[Side]:
    """Read sides, once more where each took something else by itself and all have one thing in common.

    Args:
        paths: The baseline and the candidates.
        filter_name: The filter that the user chose; None: none.
        read: Reads one.

    Raises:
        ComparisonError: They have no filter in common.
    """
    sides = [read(path, filter_name, None) for path in paths]
    taken, column = _other_filter(sides), _first_common(side.id_columns for side in sides)
    notes = []
    if taken is not None:
        notes.append(f"The filter {taken!r} is taken on every side, the first that all logs have.")
    if column is not None:
        own = dict.fromkeys(side.id_columns[0] for side in sides if side.id_columns and side.id_columns[0] != column)
        notes.append(f"Rows are known by {column}, the first id that all sides have, and not by {some(own)}.")
    for at, (path, side) in enumerate(zip(paths, sides, strict=True)):
        if (taken and side.filters) or (column and side.id_columns and side.id_columns[0] != column):
            sides[at] = read(path, taken or filter_name, column if side.id_columns else None)
    return [replace(sides[0], notes=(*notes, *sides[0].notes)), *sides[1:]]


def _first_common(choices: Iterable[Sequence[str]]) -> str | None:
    """What is in all lists, where their first entries are not the same; None where they are, or nothing is."""
    lists = [choice for choice in choices if choice]
    if len({choice[0] for choice in lists}) <= 1:
        return None
    return next((name for name in lists[0] if all(name in choice for choice in lists)), None)


def _other_filter(sides: Sequence[Side]) -> str | None:
    """The first filter that all logs have, where they took several; None where they took one, or name none."""
    logs = [side for side in sides if side.filters]
    common = _first_common(side.filters for side in logs)
    if common is None and len({side.filters[0] for side in logs}) > 1:
        have = "; ".join(f"{side.place} has {', '.join(side.filters)}" for side in logs)
        raise ComparisonError(
            f"the logs have no filter in common, and answers picked in different ways do not compare: {have}; "
            "give logs that share one, as --filter names it"
        )
    return common


def same_ids(before: Side, after: Side) -> Side:
    """Check that the ids by which rows are paired are the same thing on both sides, where nothing else shows it.

    Returns:
        The candidate, with a note where only the ids' values say so.

    Raises:
        ComparisonError: They are of two columns, and neither side has all rows of the other; or another column that
            both have pairs the rows otherwise.
    """
    if not (before.id_columns or after.id_columns) or _same_questions(before, after):
        return after
    if before.id_columns and after.id_columns:
        _refuse_other_pairs(before, after)
        if before.id_columns[0] == after.id_columns[0]:
            return after
        note = _of_two_columns(before, after)
    else:
        note = next((_chosen(side) for side in (before, after) if len(side.id_columns) > 1), "")
    return replace(after, notes=(note, *after.notes)) if note else after


def _same_questions(before: Side, after: Side) -> bool:
    """Whether every pair of rows says of what question it is; that both say the same was checked."""
    both = [row for row in before.documents if row in after.documents]
    keys = ("question", TEXT, DOC_HASH)
    known = (any(key in before.documents[row] and key in after.documents[row] for key in keys) for row in both)
    return bool(both) and all(known)


def _refuse_other_pairs(before: Side, after: Side) -> None:
    """Refuse rows with the same id, of which another column of ids says that they are of different questions."""
    for column in before.id_columns:
        if column == before.id_columns[0] or column not in after.id_columns[1:]:
            continue
        left, right = ({row: str(line.get(column)) for row, line in side.lines.items()} for side in (before, after))
        there = set(right.values())
        for row, value in left.items():
            if row in right and value != right[row] and value in there:
                raise ComparisonError(
                    f"{after.place}: rows have the {before.id_columns[0]} of {before.place} and another {column} "
                    f"({row}: {shown(value)} and {shown(right[row])}), so which names the question is not known: "
                    "leave one of the two columns out"
                )


def _of_two_columns(before: Side, after: Side) -> str:
    """The note on ids that are of two columns and have the same values."""
    one, other = before.id_columns[0], after.id_columns[0]
    if both := [column for column in before.id_columns if column in after.id_columns]:
        raise ComparisonError(
            f"{before.place} and {after.place} both have {some(both)}, and not every side has: compare the two alone"
        )
    left, right = ({question_of(score.id) for score in side.scores} for side in (before, after))
    if not (left <= right or right <= left):
        raise ComparisonError(
            f"rows of {before.place} are known by {one} and those of {after.place} by {other}, each has some that the "
            f"other lacks ({some(sorted(left - right), 3)}; {some(sorted(right - left), 3)}), and so they may be "
            "different things: if not, give both columns the same name"
        )
    return f"Rows are paired by the {one} of {before.name} and the {other} of {after.name}, whose values agree."


def _chosen(side: Side) -> str:
    taken, *others = side.id_columns
    return f"Rows of {side.name} are known by {taken}, and not by {some(others)}, which it has too."
