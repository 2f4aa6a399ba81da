"""Which rows of the sides are answers to the same question?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from loralift.comparison import clusters_of, question_of
from loralift.errors import ComparisonError, some
from loralift.records import Example, conversation_of
from loralift.workflow.sides.asked import TEXT
from loralift.workflow.sides.differing import asked_alike, other_document
from loralift.workflow.sides.side import Side


def same_rows(before: Side, after: Side, sides: str, allowed: Collection[str] = ()) -> Side:
    """Check that rows with the same id on both sides are of the same document, and were asked alike.

    Args:
        before: The baseline.
        after: The candidate.
        sides: What error messages call the two.
        allowed: What may differ, of `loralift.workflow.sides.asked.FIELDS`.

    Where the ids of a log fail - it has none, none is on both sides, or one is of another question on the other side -
    rows are paired by what they were asked, if that is unique and every row of the smaller side is found on the other.
    Ids in a file are its writer's own, and one that is of two questions there is refused.

    Returns:
        The candidate, with what differs and a note where they are not paired by id.

    Raises:
        ComparisonError: They are of different data or were asked otherwise, or a side has no ids and they cannot be
            paired by position.
    """
    if before.no_ids or after.no_ids:
        try:
            after = _by_position(before, after)
        except ComparisonError:
            found = _by_input(before, after)
            if found is None:
                raise
            after = found
    elif (before.logged or after.logged) and _ids_fail(before, after):
        after = _by_input(before, after) or after
    return asked_alike(before, after, sides, allowed)


def clusters(*sides: Side) -> Callable[[str], str] | None:
    """Row id to question or conversation: from the runs' repeats, else from the ids of all sides.

    Ids of turns are LoraLift's own, wherever the rows were written to. Ids such as ``thread#0`` and ``thread#1`` may be
    another's own: they are repeats only if no side knows two documents of them.
    """
    if _of_turns(*sides):
        return conversation_of
    known = {side.repeated for side in sides}
    if known == {True}:
        return question_of
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
    if found is conversation_of:
        return (
            f"Ids such as {first} are taken for turns of the conversation {found(first)}, which are no independent "
            f"rows: {len(ids)} ids are {len(set(map(found, ids)))} conversations.",
        )
    return (
        f"Ids such as {first} are taken for several answers to {found(first)}, which are averaged: {len(ids)} ids are "
        f"{len(set(map(found, ids)))} questions.",
    )


def _of_turns(*sides: Side) -> bool:
    """Whether rows are turns of conversations."""
    return any(side.every_turn or any(conversation_of(row.id) != row.id for row in side.scores) for side in sides)


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


def _ids_fail(before: Side, after: Side) -> bool:
    """Whether the ids cannot be those of the same questions: none is on both sides, or one is of two questions."""
    left, right = ({question_of(score.id): score.id for score in side.scores} for side in (before, after))
    both = left.keys() & right.keys()
    asked = [(_input(before, left[row]), _input(after, right[row])) for row in both]
    return not both or any(one and other and one != other for one, other in asked)


def _input(side: Side, row: str) -> str:
    """What a row was asked; empty where the side does not say it."""
    document = side.documents.get(row, {})
    return document.get("question") or document.get(TEXT, "")


def _inputs(side: Side) -> dict[str, str] | None:
    """What was asked to the question's id; None where a row does not say it, or two questions are the same."""
    found: dict[str, str] = {}
    for score in side.scores:
        asked, question = _input(side, score.id), question_of(score.id)
        if not asked or found.setdefault(asked, question) != question:
            return None
    return found


def _by_input(before: Side, after: Side) -> Side | None:
    """The candidate's rows under the ids that the baseline's rows of the same input have; None where that fails.

    A run's rows keep their ids, by which its folder is read.
    """
    left, right = _inputs(before), _inputs(after)
    if not (before.logged or after.logged) or after.root is not None or not left or not right:
        return None
    shared = left.keys() & right.keys()
    if len(shared) < min(len(left), len(right)):
        return None
    renamed = {old: left.get(asked, f"{after.name}:{old}") for asked, old in right.items()}
    note = f"The ids of the two sides are not of the same rows, so {len(shared)} rows are paired by equal input."
    return _renamed(after, renamed, note)


def _renamed(side: Side, names: Mapping[str, str], note: str) -> Side:
    """A side whose questions have other ids."""

    def name(row: str) -> str:
        return names[question_of(row)] + row.removeprefix(question_of(row)) if question_of(row) in names else row

    examples = side.examples
    again = None if examples is None else lambda: [_called(example, name) for example in examples()]
    return replace(
        side,
        scores=[replace(score, id=name(score.id)) for score in side.scores],
        documents={name(row): of for row, of in side.documents.items()},
        lines={name(row): of for row, of in side.lines.items()},
        shown={name(row): of for row, of in side.shown.items()},
        examples=again,
        notes=(note, *side.notes),
    )


def _called(example: Example, name: Callable[[str], str]) -> Example:
    question, answer = example.question, example.answer
    return replace(
        example, question=replace(question, id=name(question.id)), answer=replace(answer, id=name(answer.id))
    )


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
