"""What a cell says: text as it is, numbers as they are written, of a list every entry; and what is not text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeGuard

CHAT_KEYS = (("role", "content"), ("from", "value"))
"""What every message of a conversation has: OpenAI's names, and ShareGPT's."""

CHAT = "chat messages, which are read from a column of lists alone (.jsonl, .json, .parquet): see --format"
"""What a conversation is called in an error, and what to do about it."""

WRITTEN_CHAT = re.compile(r"""\s*\[\s*\{.*["'](role|from)["']\s*:""", re.DOTALL)
"""A conversation as a table without lists holds it: its JSON, or what Python prints."""


class Written(float):
    """A number of a JSON file, which knows how it was written there: an answer is compared with that."""

    def __new__(cls, text: str) -> Written:
        """The number of a text."""
        made = super().__new__(cls, text)
        made._text = text
        return made

    _text: str

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]
        """What makes an equal one, for pickles."""
        return (self._text,)

    def __str__(self) -> str:
        """As it was written."""
        return self._text


def text_of(value: object) -> str | None:
    """A cell as text.

    Args:
        value: A number is read as it is written, ``1``, ``2.0``, ``1.10``, or, where that is not known, without an
            exponent; a truth value as JSON's ``true`` or ``false``.

    Returns:
        The text, unstripped; empty for null and NaN (as pandas writes null); None for what is not text: a list, an
        object, a date, bytes.

    >>> text_of(1), text_of(2.0), text_of(True), text_of(None), text_of(["a"]), text_of(0.00006), text_of(1e17)
    ('1', '2.0', 'true', '', None, '0.00006', '100000000000000000')
    >>> text_of(Written("1.10")), text_of(Written("6e-5"))
    ('1.10', '6e-5')
    """
    if is_null(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not isinstance(value, Written) and math.isfinite(value):
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    return None


def texts_of(value: object) -> list[str] | None:
    """Every text of a cell that may be a list, in order; entries that are null or blank are no texts.

    Args:
        value: Text, a list of texts, or SQuAD's answers: an object of texts and their positions, or a list of such.

    Returns:
        Each different text once; None where the cell, or an entry of it, is not text.

    >>> texts_of(["Paris", None, 3, "Paris"]), texts_of("Paris"), texts_of([]), texts_of([["Paris"]])
    (['Paris', '3'], ['Paris'], [], None)
    >>> texts_of({"text": ["Paris", "the capital"], "answer_start": [4, 20]})
    ['Paris', 'the capital']
    """
    given = without_positions(value)
    texts = [text_of(without_positions(entry)) for entry in (given if is_list(given) else [given])]
    said = [text for text in texts if text is not None]
    return list(dict.fromkeys(filter(str.strip, said))) if len(said) == len(texts) else None


def without_positions(value: object) -> object:
    """The ``text`` of an object that holds numbers beside it and nothing else, as SQuAD's; else the value itself."""
    if not isinstance(value, Mapping) or "text" not in value or len(value) == 1:
        return value
    positions = [number for key, of in value.items() if key != "text" for number in (of if is_list(of) else [of])]
    return value["text"] if all(is_null(number) or isinstance(number, int) for number in positions) else value


def is_null(value: object) -> bool:
    """Whether a cell is null: None, or a number that is none."""
    if isinstance(value, Decimal):
        return not value.is_finite()
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    """Whether a cell is a list; text is none."""
    return isinstance(value, list | tuple)


def is_blank(value: object) -> bool:
    """Whether a cell says nothing: null, no text, an empty list or object."""
    return is_null(value) or (isinstance(value, str) and not value.strip()) or value in ([], (), {})


def is_chat(value: object) -> bool:
    """Whether a cell is a conversation, or its JSON in a table that has no lists.

    >>> is_chat([{"from": "human", "value": "Why?"}]), is_chat(["Why?"])
    (True, False)
    """
    if isinstance(value, str):
        return WRITTEN_CHAT.match(value) is not None
    messages = value if is_list(value) else []
    if not all(isinstance(each, Mapping) and any(keys[0] in each for keys in CHAT_KEYS) for each in messages):
        return False
    # one that calls a tool may have no content
    return any(all(key in each for key in keys) for each in messages if isinstance(each, Mapping) for keys in CHAT_KEYS)


def kind_of(value: object) -> str:
    """What a cell that is not text is, and how to write it so that it can be read."""
    if is_chat(value):
        return CHAT
    if isinstance(value, Mapping):
        return f"an object ({', '.join(map(str, value))}): write its text in its place"
    if is_list(value):
        return f"the list {value!r:.80}: write plain text in its place"
    return f"{value!r:.80}: write it as text"
