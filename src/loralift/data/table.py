"""Rows as a source gives them, and how they become questions.

Every reader (files, BEIR, the hub) ends in a ``Table``; only this page decides what is empty, and what two rows may not
share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from loralift.data.columns import find_columns
from loralift.data.values import is_null, kind_of, text_of, texts_of
from loralift.errors import DataError, some
from loralift.records import Plain, Question


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
        notes: What the reader passed over, a sentence each.
    """

    name: str
    source: str
    rows: Sequence[Row | Dropped]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a table's rows say.

    Attributes:
        columns: Role to column; ``id`` is absent where there is no such column.
        questions: In the order of the rows.
        rows: The row of each question.
        dropped: The rows that cannot be asked or judged, in their order.
    """

    columns: Mapping[str, str]
    questions: tuple[Question, ...]
    rows: tuple[Row, ...]
    dropped: tuple[Dropped, ...]


def to_questions(
    name: str, rows: Iterable[tuple[int, Row | Dropped]], asked: Mapping[str, str], *, first_only: bool = False
) -> Reading:
    """Read rows as questions.

    A row whose question or reference is not there, null or blank is dropped. Of a list of references those that are
    none of these count, each different one once; the first of them is the reference.

    Args:
        name: The source, for messages.
        rows: Row index in the source (the id where there is no id column) and row.
        asked: As in ``find_columns``.
        first_only: Whether only the first of several references counts.

    Raises:
        DataError: A column cannot be found, a value is neither text nor a number, or an id is there twice.
    """
    chosen = list(rows)
    there = [row for _, row in chosen if isinstance(row, Row)]
    columns = find_columns(name, _present(there), asked) if there else {}
    questions, kept, dropped = [], [], []
    for index, row in chosen:
        read = row if isinstance(row, Dropped) else _question(name, index, row, columns, first_only=first_only)
        if isinstance(row, Row) and isinstance(read, Question):
            questions.append(read)
            kept.append(row)
        elif isinstance(read, Dropped):
            dropped.append(read)
    repeated = [key for key, times in Counter(question.id for question in questions).items() if times > 1]
    if repeated:
        raise DataError(f"{name}: {len(repeated)} ids are there more than once: {some(repeated)}")
    return Reading(columns, tuple(questions), tuple(kept), tuple(dropped))


def further(row: Row, used: Set[str]) -> dict[str, object]:
    """The columns that are none of those used; our own files keep them together under ``fields``."""
    values = {column: value for column, value in row.values.items() if column not in used}
    if isinstance(saved := values.get("fields"), Mapping):
        return {column: value for column, value in values.items() if column != "fields"} | dict(saved)
    return values


def _present(rows: Iterable[Row]) -> dict[str, object]:
    """Every column in the order in which it first comes, with its first value that is not null."""
    present: dict[str, object] = {}
    for row in rows:
        for column, value in row.values.items():
            if is_null(present.get(column)):
                present[column] = value
    return present


def _question(name: str, index: int, row: Row, columns: Mapping[str, str], *, first_only: bool) -> Question | Dropped:
    asked = _texts(name, "question", columns["question"], row)
    right = _texts(name, "reference", columns["reference"], row)
    for role, texts in (("question", asked), ("reference", right)):
        if not texts:
            return Dropped(_id_or_place(name, index, row, columns.get("id")), _why(role, columns[role], row))
    fields = _fields(name, row, set(columns.values()))
    others = () if first_only else tuple(right[1:])
    return Question(_id(name, index, row, columns.get("id")), asked[0], right[0], fields, others)


def _texts(name: str, role: str, column: str, row: Row) -> list[str]:
    """The question, or every reference; none where the cell says nothing."""
    value = row.values.get(column)
    if role == "question":
        text = text_of(value)
        texts = None if text is None else [text] if text.strip() else []
    else:
        texts = texts_of(value)
    if texts is None:
        allowed = "text or a number" if role == "question" else "text, a number or a list of them"
        place = f"{name}, {row.place}: the {role} (column {column!r})"
        raise DataError(f"{place} must be {allowed}, got {kind_of(value)}")
    return [_encodable(name, row.place, text) for text in texts]


def _why(role: str, column: str, row: Row) -> str:
    """Why a row has no question or reference."""
    if column not in row.values:
        return f"it has no {role} (column {column!r})"
    return f"its {role} (column {column!r}) is {'null' if is_null(row.values[column]) else 'empty'}"


def _id(name: str, index: int, row: Row, column: str | None) -> str:
    if column is None:
        return str(index)
    value = row.values.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(
            f"{name}, {row.place}: the id (column {column!r}) must be text or an integer, got {value!r:.80}"
        )
    return _encodable(name, row.place, str(value))


def _id_or_place(name: str, index: int, row: Row, column: str | None) -> str:
    """What to call a dropped row: one that has no question may have no id either."""
    try:
        return _id(name, index, row, column)
    except DataError:
        return row.place


def _encodable(name: str, place: str, text: str) -> str:
    # JSON can spell half of a surrogate pair ("\ud83d"); no tokenizer, hash or file can hold it
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{name}, {place}: character {error.start} is not valid Unicode") from error
    return text


def _fields(name: str, row: Row, used: Set[str]) -> dict[str, Plain]:
    """The further columns whose values are plain."""
    return {
        _encodable(name, row.place, column): _plain(name, row.place, value)
        for column, value in further(row, used).items()
        if value is None or isinstance(value, str | int | float | bool)
    }


def _plain(name: str, place: str, value: Plain) -> Plain:
    if is_null(value):
        return None  # JSON has no NaN
    return _encodable(name, place, value) if isinstance(value, str) else value
