"""Are the rows of both sides answers to the same questions?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from loralift.comparison import clusters_of, question_of
from loralift.errors import ComparisonError, some
from loralift.records import conversation_of
from loralift.workflow.sides.side import DOC_HASH, Side


def same_rows(before: Side, after: Side, sides: str) -> tuple[Side, Side]:
    """Check that rows with the same id on both sides are of the same document.

    Args:
        before: The baseline.
        after: The candidate.
        sides: What error messages call the two.

    Returns:
        The two sides, with a note where they are paired by position.

    Raises:
        ComparisonError: They are of different data, or a side has no ids and they cannot be paired by position.
    """
    if before.no_ids or after.no_ids:
        return _by_position(before, after)
    _refuse_other_data(before, after, sides)
    return before, after


def clusters(before: Side, after: Side) -> Callable[[str], str] | None:
    """Row id to question: from the runs' repeats, else from the ids of both sides.

    Ids such as ``thread#0`` and ``thread#1`` may be another's own: they are repeats only if no side knows two documents
    of them.
    """
    known = {before.repeated, after.repeated}
    if known == {True}:
        return conversation_of if before.every_turn or after.every_turn else question_of
    if False in known and True not in known:
        return None
    found = clusters_of([score.id for side in (before, after) for score in side.scores])
    return None if found is None or any(_of_several(side, found) for side in (before, after)) else found


def averaged(before: Side, after: Side) -> tuple[str, ...]:
    """One sentence where rows are taken for answers to one question, and nothing but their ids says so."""
    found = clusters(before, after)
    if found is None or before.repeated or after.repeated:
        return ()
    ids = {score.id for side in (before, after) for score in side.scores}
    first = next(row for row in sorted(ids) if found(row) != row)
    return (
        f"Ids such as {first} are taken for several answers to {found(first)}, which are averaged: {len(ids)} ids are "
        f"{len(set(map(found, ids)))} questions.",
    )


def _of_several(side: Side, clusters: Callable[[str], str]) -> bool:
    """Whether rows that would be of one question are known to be of several."""
    first: dict[str, Mapping[str, str]] = {}
    return any(_differing(first.setdefault(clusters(row), asked), asked) for row, asked in side.documents.items())


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


def _by_position(before: Side, after: Side) -> tuple[Side, Side]:
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
        if differing := _differing(asked, after.documents[row]):
            raise ComparisonError(
                f"{refused}; without ids rows are paired by position, and in row {row} the {differing[0]} differs"
            )
    note = f"Neither side has ids: {left} rows are paired by their position, at which both have the same reference."
    return replace(before, notes=(*before.notes, note)), after


def _refuse_other_data(before: Side, after: Side, sides: str) -> None:
    """Ids are often row numbers: refuse where what both sides know of a document differs."""
    both = [row for row in before.documents if row in after.documents]
    differing = {row: _differing(before.documents[row], after.documents[row]) for row in both}
    others = [row for row in both if differing[row]]
    if not others:
        return
    count = f"{len(others)} of {len(both)} ids"
    if any(DOC_HASH in differing[row] for row in others):
        what = f"{count} stand for another document on the other side ({DOC_HASH} differs): {some(others)}"
        raise ComparisonError(f"{what}; {sides} must be of the same data")
    raise ComparisonError(
        f"{sides}: for {count}, the same id stands for another question or reference on the other side: "
        f"{some(others)}; were they asked the same data?"
    )


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return [part for part in one if part in other and one[part] != other[part]]
