"""Which column of a source is the question, the reference, the id."""

from __future__ import annotations

from collections.abc import Mapping

from loralift.data.values import CHAT, is_chat
from loralift.errors import DataError, UsageError, some, wrong_argument

CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "_id", "qid", "question_id", "query_id"),
    "question": ("question", "query", "instruction", "prompt", "input"),
    "reference": (
        "reference", "references", "ground_truths", "ground_truth", "answer", "answers", "output", "response",
        "completion",
    ),
}  # fmt: skip
"""What a column may be called to be found unasked. The first name of a role wins over its others; between the others
we do not guess: ragas files hold a model's ``answer`` beside the ``ground_truths``."""


def find_columns(name: str, present: Mapping[str, object], asked: Mapping[str, str]) -> dict[str, str]:
    """Which column holds what.

    Args:
        name: The source, for messages.
        present: The columns it has, each with a value of it.
        asked: Role (``id``, ``question``, ``reference``) to column; wins over every automatic name.

    Returns:
        Role to column. ``id`` is absent where the source has no such column.

    Raises:
        UsageError: ``asked`` has a role that does not exist.
        DataError: A column is not there, or several could be meant.
    """
    found = {}
    for role, candidates in CANDIDATES.items():
        column = find_column(name, role, present, asked)
        if column is not None:
            found[role] = column
        elif role != "id":
            raise DataError(
                f"{name}: no column for the {role}: looked for {', '.join(candidates)}; its columns are "
                f"{some(present, 20)}; {_otherwise(role, present)}"
            )
    if found["question"] == found["reference"]:
        raise DataError(f"{name}: column {found['question']!r} cannot be both the question and the reference")
    return found


def find_column(name: str, role: str, present: Mapping[str, object], asked: Mapping[str, str]) -> str | None:
    """Which column holds one thing; None where none has a usual name. Otherwise as ``find_columns``."""
    if unknown := set(asked) - set(CANDIDATES):
        raise UsageError(wrong_argument("columns", f"a mapping of {', '.join(CANDIDATES)}", some(sorted(unknown))))
    column = asked.get(role)
    if column is not None and column not in present:
        raise DataError(f"{name}: no column {column!r} for the {role}; its columns are {some(present, 20)}")
    return column or _guess(name, role, [each for each in CANDIDATES[role] if each in present])


def _otherwise(role: str, present: Mapping[str, object]) -> str:
    """What to do where no column has a usual name."""
    if chats := [column for column, value in present.items() if is_chat(value)]:
        return f"column {chats[0]!r} holds {CHAT}"
    return f"name the right one in `columns` (--column {role}=NAME)"


def _guess(name: str, role: str, matches: list[str]) -> str | None:
    if not matches:
        return None
    if len(matches) > 1 and matches[0] != CANDIDATES[role][0]:
        alpaca = "instruction" in matches and "input" in matches
        hint = ", or write both into one: what Alpaca asks is instruction and input together" if alpaca else ""
        raise DataError(
            f"{name}: several columns could be the {role}: {', '.join(matches)}; "
            f"name the right one in `columns` (--column {role}={matches[0]}){hint}"
        )
    return matches[0]
