"""Rows as a source gives them, and how they become questions.

Every reader (files, BEIR, the hub) ends in a ``Table``; only this page decides what is empty, and what two rows may not
share.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from loralift.data.chats import NotAsked, read_chat
from loralift.data.formats import Format, Shape, shape_of
from loralift.data.saved import ASKED, asked_of
from loralift.data.values import is_blank, is_list, is_null, kind_of, text_of, texts_of
from loralift.errors import DataError, some
from loralift.kept import chosen, keep
from loralift.records import Plain, Question, Turn, turn_id


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
        shape: How they were read; None: no row was there to be read.
        questions: In the order of the rows.
        rows: The row of each question.
        dropped: The rows that cannot be asked or judged, in their order.
    """

    shape: Shape | None
    questions: Sequence[Question]
    rows: Sequence[Row]
    dropped: tuple[Dropped, ...]

    @property
    def columns(self) -> Mapping[str, str]:
        """Role to column; ``id`` is absent where there is no such column."""
        return self.shape.columns if self.shape else {}


@dataclass(frozen=True, slots=True)
class _Way:
    """How rows are read.

    Attributes:
        name: The source, for messages.
        shape: Its format.
        first_only: Whether only the first of several references counts.
        every_turn: Whether every turn of the assistant is a question's reference.
    """

    name: str
    shape: Shape
    first_only: bool
    every_turn: bool


def to_questions(
    name: str,
    rows: Sequence[Row | Dropped],
    indices: Sequence[int],
    asked: Mapping[str, str],
    *,
    first_only: bool = False,
    wanted: Format | None = None,
    every_turn: bool = False,
) -> Reading:
    """Read rows as questions.

    A row whose question or reference is not there, null or blank is dropped. Of a list of references those that are
    none of these count, each different one once; the first of them is the reference.

    Args:
        name: The source, for messages.
        rows: Of the source.
        indices: Which of them, in this order; an index is the row's id where there is no id column.
        asked: As in ``find_columns``.
        first_only: Whether only the first of several references counts.
        wanted: The format; None: the one whose shape the rows have.
        every_turn: Whether each of the assistant's turns in a conversation is a question's reference, or the last one.

    Raises:
        DataError: A column cannot be found, a value is neither text nor a number, an id is there twice, or the rows
            are no conversations and every turn is wanted.
    """
    taken = chosen(rows, indices)
    present = _present(row for row in taken if isinstance(row, Row))
    there = bool(present) or any(isinstance(row, Row) for row in taken)
    shape = shape_of(name, present, asked, wanted) if there else None
    if every_turn and shape is not None and shape.style != "chat":
        raise DataError(f"{name}: `--every-turn` is of conversations, and its rows are none: leave it out")
    dropped: list[Dropped] = []
    of_questions = array("q")  # which of the rows taken each question is of
    ids: Counter[str] = Counter()

    def questions() -> Iterator[Question]:
        for place, (index, row) in enumerate(zip(indices, taken, strict=True)):
            if isinstance(row, Dropped) or shape is None:
                dropped.extend([row] if isinstance(row, Dropped) else [])
                continue
            for read in READERS[shape.style](_Way(name, shape, first_only, every_turn), index, row):
                if isinstance(read, Dropped):
                    dropped.append(read)
                else:
                    of_questions.append(place)
                    ids[read.id] += 1
                    yield read

    found = keep(questions())
    if len(ids) < len(found):
        repeated = [key for key, times in ids.items() if times > 1]
        raise DataError(f"{name}: {len(repeated)} ids are there more than once: {some(repeated)}")
    asked_rows: Any = chosen(taken, of_questions)  # of which none is dropped
    return Reading(shape, found, asked_rows, tuple(dropped))


def further(row: Row, used: Set[str]) -> dict[str, object]:
    """The columns that are none of those used; our own files keep them together under ``fields``."""
    values = {column: value for column, value in row.values.items() if column not in used}
    if asked_of(row.values):
        del values[ASKED]
    if isinstance(saved := values.get("fields"), Mapping):
        return {column: value for column, value in values.items() if column != "fields"} | dict(saved)
    return values


def _present(rows: Iterable[Row]) -> dict[str, object]:
    """Every column in the order in which it first comes, with its first value that says anything."""
    present: dict[str, object] = {}
    for row in rows:
        for column, value in row.values.items():
            if column not in present or is_blank(present[column]):
                present[column] = value
    return present


def _plain_question(way: _Way, index: int, row: Row) -> Iterator[Question | Dropped]:
    """A question and its references, as columns hold them."""
    columns = way.shape.columns
    asked = _texts(way.name, "question", columns["question"], row)
    right = _texts(way.name, "reference", columns["reference"], row)
    for role, texts in (("question", asked), ("reference", right)):
        if not texts:
            yield Dropped(_id_or_place(way.name, index, row, columns.get("id")), _why(role, columns[role], row))
            return
    others = () if way.first_only else tuple(right[1:])
    question = Question(*_identity(way, index, row, asked[0], right[0]), others, way.shape.style)
    yield replace(question, **saved) if (saved := asked_of(row.values)) else question


def _alpaca(way: _Way, index: int, row: Row) -> Iterator[Question | Dropped]:
    """An instruction, with the input that belongs to it behind it, as LLaMA-Factory joins them."""
    for question in _plain_question(way, index, row):
        if isinstance(question, Dropped):
            yield question
            return
        given, system = (_text_beside(way, row, role) for role in ("input", "system"))
        turns = _history(way, row)
        whole = f"{question.question}\n{given}" if given else question.question
        yield replace(question, question=whole, system=system, turns=turns, input=given)


def _conversation(way: _Way, index: int, row: Row) -> Iterator[Question | Dropped]:
    """The turns of a conversation that are answered."""
    columns = way.shape.columns
    used = set(columns.values()) - {"system"}
    beside = {column: value for column, value in row.values.items() if column not in used}
    for read in read_chat(messages_of(columns, row), beside, every_turn=way.every_turn):
        if isinstance(read, NotAsked):
            named = _id_or_place(way.name, index, row, columns.get("id"))
            numbered = way.every_turn and read.number
            yield Dropped(turn_id(named, read.number) if numbered else named, read.reason)
            continue
        for text in (read.system, *(turn.content for turn in read.turns)):
            _encodable(way.name, row.place, text)
        identity = _identity(way, index, row, read.question, read.reference)
        question = Question(*identity, style="chat", system=read.system, turns=read.turns)
        yield replace(question, id=turn_id(question.id, read.number)) if way.every_turn else question


READERS: Mapping[str, Callable[[_Way, int, Row], Iterator[Question | Dropped]]] = {
    "plain": _plain_question,
    "verbatim": _plain_question,
    "alpaca": _alpaca,
    "chat": _conversation,
}
"""Style of a format to what reads a row of it."""


def messages_of(columns: Mapping[str, str], row: Row) -> object:
    """The messages of a row: of one column, or of TRL's prompt and completion behind each other."""
    asked, right = (row.values.get(columns[role]) for role in ("question", "reference"))
    if columns["question"] == columns["reference"]:
        return asked
    return [*asked, *right] if is_list(asked) and is_list(right) else None


def _identity(way: _Way, index: int, row: Row, asked: str, right: str) -> tuple[str, str, str, dict[str, Plain]]:
    """Id, question, reference and further columns."""
    for text in (asked, right):
        _encodable(way.name, row.place, text)
    columns = way.shape.columns
    named = _id(way.name, index, row, columns.get("id"))
    return named, asked, right, _fields(way.name, row, set(columns.values()))


def _text_beside(way: _Way, row: Row, role: str) -> str:
    """What a further column of Alpaca's says; empty where there is none, or it is null."""
    column = way.shape.columns.get(role)
    value = row.values.get(column) if column else None
    if (text := text_of(value)) is None:
        raise DataError(f"{way.name}, {row.place}: the {role} (column {column!r}) must be text, got {kind_of(value)}")
    return _encodable(way.name, row.place, text)


def _history(way: _Way, row: Row) -> tuple[Turn, ...]:
    """Alpaca's earlier turns: LLaMA-Factory's list of pairs of an instruction and its answer."""
    value = row.values.get(way.shape.columns.get("history", ""))
    pairs: Sequence[Any] = value if is_list(value) else [] if is_blank(value) else [None]
    if not all(is_list(pair) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in pairs):
        raise DataError(
            f"{way.name}, {row.place}: the history must be a list of pairs of texts, an instruction and its answer, "
            f"got {value!r:.80}"
        )
    texts = [_encodable(way.name, row.place, text) for pair in pairs for text in pair]
    return tuple(Turn("assistant" if place % 2 else "user", text) for place, text in enumerate(texts))


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
