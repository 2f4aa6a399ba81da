"""What a reader must be told of the questions: what the prompt lacks, and what of the references is not used."""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import groupby, islice
from operator import attrgetter

from loralift.data.chats import notes_on_chats
from loralift.data.columns import CANDIDATES
from loralift.data.table import Reading, Row, further, messages_of
from loralift.data.values import is_blank, is_list, texts_of
from loralift.errors import some
from loralift.records import Question

ASKED_NAMES = frozenset({
    "context", "contexts", "passage", "passages", "paragraph", "document", "documents", "doc", "docs", "article",
    "text", "story", "background", "evidence", "table", "premise", "hypothesis", "system", "system_prompt",
    "system_message", "history", "conversation", "conversations", "dialog", "dialogue", "messages", "inputs", "choices",
    "options", "option_a", "option_b", "option_c", "option_d", "a", "b", "c", "d",
})  # fmt: skip
"""Names, in lower case, that a part of the question commonly has, however short its texts; the candidates for the
question are others."""

LEAST_WORDS = 3
LEAST_CHARACTERS = 20
"""Of a text without spaces between words, as Chinese and Japanese are; what is ASCII is an address or a hash."""

LONG_CHARACTERS = 60
"""On average, from which a column is no topic, however often its texts come again."""

PRINTED = re.compile(r"""\s*(\[\s*([\[{'"\d-].*)?\]|\{'.*\})\s*""", re.DOTALL)
"""A list, or Python's dict, that a table without lists holds as text; JSON objects may be what is asked for."""

NULL_WORDS = frozenset({"nan", "NaN", "None", "null", "NULL", "<NA>"})
"""What programs write for null into a table without it."""

WHOLE_FLOAT = re.compile(r"\s*-?\d+\.0\s*")

LEAST_FOUND = 4
"""Characters below which a text stands in a question by chance."""


def notes_on(reading: Reading, asked: Set[str], count: int) -> tuple[str, ...]:
    """A sentence on the format, and one for everything that the data hold and the evaluation does not use.

    Args:
        reading: What the rows say.
        asked: The roles whose column the user named.
        count: How many of the questions are evaluated, the first ones.
    """
    if reading.shape is None:
        return ()
    columns, questions, rows = reading.columns, reading.questions[:count], reading.rows[:count]
    others = _others(columns, rows)
    unused = [column for column, values in others.items() if _is_asked(column, values, questions)]
    each_once = (row for _, same in groupby(rows, key=attrgetter("place")) for row in islice(same, 1))
    chats = [messages_of(columns, row) for row in each_once] if reading.shape.style == "chat" else []
    return (
        *filter(None, [reading.shape.said]),
        *notes_on_chats(chats),
        *_unused(columns, unused),
        *_alike(questions, others, unused),
        *_second_reference(columns, asked, others),
        *_of_references(columns["reference"], questions, rows),
        *_printed(columns, questions),
    )


def _others(columns: Mapping[str, str], rows: Sequence[Row]) -> dict[str, list[object]]:
    """Every further column that says anything, with its value of each row."""
    used = set(columns.values())
    values: dict[str, list[object]] = {}
    for number, row in enumerate(rows):
        for column, value in further(row, used).items():
            if not is_blank(value):
                if column not in values:
                    values[column] = [None] * len(rows)
                values[column][number] = value
    return values


def _is_asked(column: str, values: Sequence[object], questions: Sequence[Question]) -> bool:
    """Whether a column may be a part of what is asked: a list or an object, or running text.

    Words that part the rows, like a topic, are few and short; addresses and hashes have no spaces. What stands in the
    question already is asked.
    """
    if column in CANDIDATES["reference"]:
        return False
    there = [value for value in values if value is not None]
    if not all(isinstance(value, str | int | float) for value in there) or all(map(_is_printed, there)):
        return True
    said = [(text, row.conversation) for text, row in zip(values, questions, strict=True) if isinstance(text, str)]
    texts = [text for text, question in said if not _stands_in(text, question)]
    if column.lower() in ASKED_NAMES or column in CANDIDATES["question"]:
        return bool(texts)
    running = [text for text in texts if _is_running(text)]
    if len(running) <= len(said) / 2:
        return False
    long = sum(map(len, running)) >= LONG_CHARACTERS * len(running)
    return long or len(set(running)) > len(running) / 2


def _stands_in(text: str, question: str) -> bool:
    return len(text) >= LEAST_FOUND and text.casefold() in question.casefold()


def _is_running(text: str) -> bool:
    return len(text.split()) >= LEAST_WORDS or (len(text) >= LEAST_CHARACTERS and not text.isascii())


def _is_printed(value: object) -> bool:
    return isinstance(value, str) and PRINTED.fullmatch(value) is not None


def _unused(columns: Mapping[str, str], unused: Sequence[str]) -> Iterator[str]:
    if unused:
        asks, several = columns["question"], len(unused) > 1
        made_of = _named([asks, *(column for role, column in columns.items() if role not in CANDIDATES)])
        yield (
            f"column{'s' * several} {_named(unused)} {'are' if several else 'is'} not part of the prompt, which is "
            f"made of {made_of} alone: write what belongs to the question into {asks!r}, leave the rest out of the data"
        )


def _alike(
    questions: Sequence[Question], others: Mapping[str, Sequence[object]], unused: Sequence[str]
) -> Iterator[str]:
    """That questions are the same, and their right answers are not: no model can answer all of them right."""
    # by hash first: the texts of a million questions need not be held where none is there twice
    hashes = array("q", (hash(_folded(question)) for question in questions))
    twice = {number for number, times in Counter(hashes).items() if times > 1} if len(set(hashes)) < len(hashes) else ()
    rows_of = defaultdict(list)
    right = {}
    for number, question in enumerate(questions) if twice else ():
        if hashes[number] in twice:
            rows_of[_folded(question)].append(number)
            right[number] = frozenset(question.references)
    groups = [rows for rows in rows_of.values() if not frozenset.intersection(*(right[row] for row in rows))]
    if not groups:
        return
    rows = sum(map(len, groups))
    first = groups[0][0]
    other = next(row for row in groups[0] if right[row] != right[first])
    telling = [column for column, values in others.items() if _tells_apart(values, groups, questions)]
    telling = [column for column in telling if column in unused] or telling
    why = (
        f"what tells them apart is not part of the prompt: {_named(telling)}"
        if telling
        else "no column tells them apart"
    )
    yield (
        f"{rows} rows share {len(groups)} question{'s' * (len(groups) > 1)} but have different references "
        f"(such as {questions[first].id} and {questions[other].id}): {why}"
    )


def _folded(question: Question) -> str:
    """What is asked, however it is spaced."""
    return " ".join(question.conversation.split())


def _tells_apart(values: Sequence[object], groups: Sequence[Sequence[int]], questions: Sequence[Question]) -> bool:
    """Whether rows that are asked alike but differ in their references differ in this column."""
    for rows in groups:
        shared: dict[str, frozenset[str]] = {}
        for row in rows:
            right, told = frozenset(questions[row].references), repr(values[row])
            shared[told] = shared.get(told, right) & right
            if not shared[told]:
                return False
    return True


def _second_reference(
    columns: Mapping[str, str], asked: Set[str], others: Mapping[str, Sequence[object]]
) -> Iterator[str]:
    """That the reference was found by its name beside others; what the user chose needs no telling."""
    found = [column for column in others if column in CANDIDATES["reference"]]
    if found and "reference" not in asked:
        yield f"the reference is column {columns['reference']!r}; {_named(found)} could be it too, and is not used"


def _of_references(column: str, questions: Sequence[Question], rows: Sequence[Row]) -> Iterator[str]:
    """How several references are used, or that they are not, and what may not be used as it is meant."""
    if several := sum(len(texts_of(row.values[column]) or []) > 1 for row in rows):
        used = (
            "an answer may be like any of them, and perplexity is of the first; --references first takes that alone"
            if any(question.others for question in questions)
            else "only the first is used, and an answer like another one counts as wrong; --references all takes all"
        )
        yield f"{several} {'row has' if several == 1 else 'rows have'} several references (column {column!r}); {used}"
    if whole := _whole_floats(row.values[column] for row in rows):
        yield (
            f"the reference (column {column!r}) is a whole number with a decimal point in {_rows(len(whole))}, as a "
            f"table with gaps stores integers: it is read as {whole[0]!r}, not {whole[0].removesuffix('.0')!r}"
        )


def _whole_floats(values: Iterable[object]) -> list[str]:
    """Floats that may have been integers: numbers, or, where all are such, the text of numbers."""
    texts: list[str] = []
    numbers: list[str] = []
    others = 0
    for first in map(_first, values):
        if WHOLE_FLOAT.fullmatch(str(first)):
            texts.append(str(first).strip())
            numbers.extend([str(first)] if isinstance(first, float) else [])
        else:
            others += 1
    return numbers if others else texts


def _first(value: object) -> object:
    """A cell, or the first entry of its list that says anything."""
    entries = value if is_list(value) else [value]
    return next((entry for entry in entries if not is_blank(entry)), None)


def _printed(columns: Mapping[str, str], questions: Sequence[Question]) -> Iterator[str]:
    """That a text is what a program writes for a list or for null."""
    for role in ("question", "reference"):
        place, printed = f"the {role} (column {columns[role]!r})", 0
        nulls: list[str] = []
        for question in questions:
            texts = question.references if role == "reference" else (question.question,)
            printed += any(map(_is_printed, texts))
            nulls += [text for text in texts if text.strip() in NULL_WORDS]
        if printed:
            yield f"{place} looks like a list or an object in {_rows(printed)}, and is taken as text, as it stands"
        if nulls:
            yield f"{place} is the word {nulls[0].strip()!r} in {_rows(len(nulls))}, and is taken as text, as it stands"


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def _named(columns: Sequence[str]) -> str:
    return some(map(repr, columns))
