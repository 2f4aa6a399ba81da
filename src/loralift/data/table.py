"""Rows as a source gives them, and how they become questions.

Every reader (files, BEIR, the hub) ends in a ``Table``; only this page decides which column is the question, what
is empty, and what two rows may not share.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from loralift.errors import DataError, UsageError, some, wrong_argument
from loralift.records import Plain, Question

CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "_id", "qid", "question_id", "query_id"),
    "question": ("question", "query", "instruction", "prompt", "input"),
    "reference": (
        "reference", "ground_truths", "ground_truth", "answer", "answers", "output", "response", "completion",
    ),
}  # fmt: skip
"""What a column may be called to be found unasked. The first name of a role wins over its others; between the others
we do not guess: ragas files hold a model's ``answer`` beside the ``ground_truths``."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a source.

    Attributes:
        place: Where a reader finds it in the source: ``line 3``, ``row 2``, ``query 8``.
        values: Column to value.
    """

    place: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that the source names but that cannot be evaluated.

    Attributes:
        id: The question's id.
        reason: e.g. ``its first relevant document 7 is missing in the corpus``.
    """

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """What a reader returns.

    Attributes:
        name: What an error message calls the source: the file, ``hf://ORG/NAME``.
        source: Its identity for people: name, configuration, split, revision.
        rows: In the source's order. A dropped row keeps its place, so that row indices mean the same in a
            partial download as in a whole one.
    """

    name: str
    source: str
    rows: Sequence[Row | Dropped]


def find_columns(name: str, present: Sequence[str], asked: Mapping[str, str]) -> dict[str, str]:
    """Which column holds what.

    Args:
        name: The source, for messages.
        present: The columns it has.
        asked: Role (``id``, ``question``, ``reference``) to column; wins over every automatic name.

    Returns:
        Role to column. ``id`` is absent where the source has no such column.

    Raises:
        UsageError: ``asked`` has a role that does not exist.
        DataError: A column is not there, or several could be meant.
    """
    if unknown := set(asked) - set(CANDIDATES):
        raise UsageError(wrong_argument("columns", f"a mapping of {', '.join(CANDIDATES)}", some(sorted(unknown))))
    found = {}
    for role, candidates in CANDIDATES.items():
        column = asked.get(role)
        if column is not None and column not in present:
            raise DataError(f"{name}: no column {column!r} for the {role}; its columns are {some(present, 20)}")
        column = column or _guess(name, role, [c for c in candidates if c in present])
        if column is not None:
            found[role] = column
        elif role != "id":
            raise DataError(
                f"{name}: no column for the {role}: looked for {', '.join(candidates)}; its columns are "
                f"{some(present, 20)}; name the right one in `columns`"
            )
    return found


def _guess(name: str, role: str, matches: list[str]) -> str | None:
    if not matches:
        return None
    if len(matches) > 1 and matches[0] != CANDIDATES[role][0]:
        raise DataError(
            f"{name}: several columns could be the {role}: {', '.join(matches)}; name the right one in `columns`"
        )
    return matches[0]


def to_questions(
    name: str, rows: Iterable[tuple[int, Row]], asked: Mapping[str, str]
) -> tuple[tuple[Question, ...], dict[str, str]]:
    """Read rows as questions.

    Args:
        name: The source, for messages.
        rows: Row index in the source (the id where there is no id column) and row.
        asked: As in ``find_columns``.

    Returns:
        The questions, and role to column.

    Raises:
        DataError: A column cannot be found, a value is not text, a question or reference is empty, or an id is
            there twice.
    """
    rows = list(rows)
    present = list(dict.fromkeys(column for _, row in rows for column in row.values))
    columns = find_columns(name, present, asked)
    texts = {role: _texts(name, role, columns[role], [r for _, r in rows]) for role in ("question", "reference")}
    ids = [_id(name, index, row, columns.get("id")) for index, row in rows]
    repeated = [key for key, times in Counter(ids).items() if times > 1]
    if repeated:
        raise DataError(f"{name}: {len(repeated)} ids are there more than once: {some(repeated)}")
    fields = [_fields(name, row, set(columns.values())) for _, row in rows]
    questions = zip(ids, texts["question"], texts["reference"], fields, strict=True)
    return tuple(Question(*values) for values in questions), columns


def _texts(name: str, role: str, column: str, rows: Sequence[Row]) -> list[str]:
    texts = [_text(name, role, column, row) for row in rows]
    empty = [row.place for row, text in zip(rows, texts, strict=True) if not text.strip()]
    if empty:
        raise DataError(f"{name}: the {role} (column {column!r}) is empty in {len(empty)} rows: {some(empty)}")
    return texts


def _text(name: str, role: str, column: str, row: Row) -> str:
    value = row.values.get(column)
    if isinstance(value, list | tuple) and role == "reference":
        value = value[0] if value else None
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{name}, {row.place}: the {role} (column {column!r}) must be text, got {value!r:.80}")
    return _encodable(name, row.place, value)


def _id(name: str, index: int, row: Row, column: str | None) -> str:
    if column is None:
        return str(index)
    value = row.values.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(
            f"{name}, {row.place}: the id (column {column!r}) must be text or an integer, got {value!r:.80}"
        )
    return _encodable(name, row.place, str(value))


def _encodable(name: str, place: str, text: str) -> str:
    # JSON can spell half of a surrogate pair ("\ud83d"); no tokenizer, hash or file can hold it
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{name}, {place}: character {error.start} is not valid Unicode") from error
    return text


def _fields(name: str, row: Row, used: Set[str]) -> dict[str, Plain]:
    """The further columns whose values are plain; our own files keep them together under ``fields``."""
    values = {column: value for column, value in row.values.items() if column not in used}
    saved = values.get("fields")
    if isinstance(saved, Mapping):
        values |= saved
    return {
        _encodable(name, row.place, column): _plain(name, row.place, value)
        for column, value in values.items()
        if value is None or isinstance(value, str | int | float | bool)
    }


def _plain(name: str, place: str, value: Plain) -> Plain:
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no NaN
    return _encodable(name, place, value) if isinstance(value, str) else value
