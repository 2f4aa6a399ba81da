"""Which rows of the sides are answers to the same question?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from loralift.comparison import clusters_of, question_of
from loralift.errors import ComparisonError, some
from loralift.records import conversation_of
from loralift.workflow.sides.differing import asked_alike, other_document
from loralift.workflow.sides.side import Side


def same_rows(before: Side, after: Side, sides: str, allowed: Collection[str] = ()) -> Side:
    """Check that rows with the same id on both sides are of the same document, and were asked alike.

    Args:
        before: The baseline.
        after: The candidate.
        sides: What error messages call the two.
        allowed: What may differ, of `loralift.workflow.sides.asked.FIELDS`.

    Returns:
        The candidate, with what differs and a note where they are paired by position.

    Raises:
        ComparisonError: They are of different data or were asked otherwise, or a side has no ids and they cannot be
            paired by position.
    """
    if before.no_ids or after.no_ids:
        after = _by_position(before, after)
    return asked_alike(before, after, sides, allowed)


def clusters(*sides: Side) -> Callable[[str], str] | None:
    """Row id to question: from the runs' repeats, else from the ids of all sides.

    Ids such as ``thread#0`` and ``thread#1`` may be another's own: they are repeats only if no side knows two documents
    of them.
    """
    known = {side.repeated for side in sides}
    if known == {True}:
        return conversation_of if any(side.every_turn for side in sides) else question_of
    if False in known and True not in known:
        return None
    found = clusters_of([score.id for side in sides for score in side.scores])
    return None if found is None or any(_of_several(side, found) for side in sides) else found


def averaged(*sides: Side) -> tuple[str, ...]:
    """One sentence where rows are taken for answers to one question, and nothing but their ids says so."""
    found = clusters(*sides)
    if found is None or any(side.repeated for side in sides):
        return ()
    ids = {score.id for side in sides for score in side.scores}
    first = next(row for row in sorted(ids) if found(row) != row)
    return (
        f"Ids such as {first} are taken for several answers to {found(first)}, which are averaged: {len(ids)} ids are "
        f"{len(set(map(found, ids)))} questions.",
    )


def _of_several(side: Side, clusters: Callable[[str], str]) -> bool:
    """Whether rows that would be of one question are known to be of several."""
    first: dict[str, Mapping[str, str]] = {}
    return any(other_document(first.setdefault(clusters(row), asked), asked) for row, asked in side.documents.items())


def unpaired(before: Side, after: Side) -> str | None:
    """One sentence on the rows that only one side has; None where there are none."""
    left, right = ({score.id for score in side.scores} for side in (before, after))
    if left == right:
        return None
    lone = []
    for side, ids, other in ((before, left, right), (after, right, left)):
        only = [score.id for score in side.scores if score.id in ids - other]
        lone.append(f"{len(only)} only in {side.name}" + (f" ({some(only, 3)})" if only else ""))
    return f"{len(left & right)} rows are paired by id; could not be paired: {'; '.join(lone)}"


def _by_position(before: Side, after: Side) -> Side:
    """Pair rows without ids by position, if their documents show that the order is the same."""
    refused = before.no_ids or after.no_ids
    if not (before.no_ids and after.no_ids):
        raise ComparisonError(refused)
    left, right = len(before.scores), len(after.scores)
    if left != right:
        raise ComparisonError(f"{refused}; without ids rows are paired by position, and there are {left} and {right}")
    if not all("reference" in side.documents.get(score.id, {}) for side in (before, after) for score in side.scores):
        raise ComparisonError(f"{refused}; without ids rows are paired by position only where both have references")
    for row, asked in before.documents.items():
        if differing := other_document(asked, after.documents[row]):
            raise ComparisonError(
                f"{refused}; without ids rows are paired by position, and in row {row} the {differing[0]} differs"
            )
    note = f"Neither side has ids: {left} rows are paired by their position, at which both have the same reference."
    return replace(after, notes=(note, *after.notes))
