"""The formats that people train on, told by their shape.

=====================  ==================================================================  ==========================
format                 shape                                                               asked as
=====================  ==================================================================  ==========================
``messages``           a column of lists of ``{"role", "content"}`` (OpenAI, TRL)          the chat template
``sharegpt``           a column of lists of ``{"from", "value"}``                          the chat template
``alpaca``             ``instruction``, ``output``, perhaps ``input``, ``system``,         Stanford Alpaca's prompt
                       ``history``
``prompt-completion``  ``prompt`` and ``completion``: texts, or TRL's lists of messages    the prompt as it stands; of
                                                                                           lists the chat template
``qa``                 a question's column and a reference's, under any of their names     LoraLift's own prompt
=====================  ==================================================================  ==========================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from loralift.data.columns import CANDIDATES, find_column, find_columns
from loralift.data.values import CHAT_KEYS, is_chat, is_list
from loralift.errors import DataError, some
from loralift.records import Style

Format = Literal["messages", "sharegpt", "alpaca", "prompt-completion", "qa"]

CHAT_COLUMNS = ("messages", "conversations", "conversation")
"""Of several columns with conversations the first of these is the one."""

ALPACA = {"question": "instruction", "reference": "output"}
PAIR = {"question": "prompt", "reference": "completion"}
BESIDE_ALPACA = ("input", "system", "history")
"""Columns that Alpaca's rows may have besides."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a table's rows are read.

    Attributes:
        format: Its name.
        style: How training asks what comes in it.
        columns: Role to column: ``question``, ``reference``, perhaps ``id``, and what else the prompt is made of.
    """

    format: Format
    style: Style
    columns: Mapping[str, str]

    @property
    def said(self) -> str:
        """What was found, in a sentence; empty for a question and a reference, which need no telling."""
        asked, right = (self.columns[role] for role in ("question", "reference"))
        otherwise = "; --format says otherwise"
        if self.style == "chat" and asked == right:
            what = "ShareGPT's conversations" if self.format == "sharegpt" else "chat messages"
            # TRL puts ShareGPT's own names into the template
            names = "human asks as user and gpt answers as assistant, as in Axolotl and LLaMA-Factory"
            named = f", in which {names}" if self.format == "sharegpt" else ""
            return f"read as {what} (column {asked!r}){named}; its last turn is the reference{otherwise}"
        more = [column for role, column in self.columns.items() if role in BESIDE_ALPACA]
        named = some(map(repr, [asked, *more, right]))
        if self.format == "alpaca":
            return f"read as Alpaca's rows (columns {named}){otherwise}"
        if self.format == "prompt-completion":
            kind = " of chat messages" if self.style == "chat" else ""
            return f"read as prompts and completions{kind} (columns {named}){otherwise}"
        return ""


def shape_of(name: str, present: Mapping[str, object], asked: Mapping[str, str], wanted: Format | None) -> Shape:
    """What format a table has.

    What has a ``question`` and a reference, or columns that the user named, is ``qa`` whatever else is there.

    Args:
        name: The source, for messages.
        present: The columns it has, each with a value of it.
        asked: As in ``find_columns``; with a format, what its own columns are called.
        wanted: The format that the user named.

    Raises:
        DataError: It does not have the format, or several columns could be the conversation.
        UsageError: ``asked`` has a role that does not exist.
    """
    found = wanted or _guess(present, asked)
    if found == "qa":
        return Shape("qa", "plain", find_columns(name, present, asked))
    if found in ("messages", "sharegpt"):
        return _chat(name, present, asked, found)
    usual = ALPACA if found == "alpaca" else PAIR
    columns = find_columns(name, present, {**usual, **asked})
    if found == "alpaca":
        return Shape(found, "alpaca", columns | {role: role for role in BESIDE_ALPACA if role in present})
    chats = [is_chat(present[columns[role]]) and is_list(present[columns[role]]) for role in PAIR]
    if chats[0] != chats[1]:
        raise DataError(
            f"{name}: columns {columns['question']!r} and {columns['reference']!r} must both hold chat messages, "
            "or both text"
        )
    return Shape("prompt-completion", "chat" if all(chats) else "verbatim", columns)


def _guess(present: Mapping[str, object], asked: Mapping[str, str]) -> Format:
    if (column := asked.get("question")) is not None and _keys(present.get(column)) is None:
        return "qa"
    if column is None and ("reference" in asked or _has_pair(present)):
        return "qa"
    chats = [each for each in present if _keys(present[each]) and (column is None or each == column)]
    if set(PAIR.values()) <= set(present) and column is None and "messages" not in chats:
        return "prompt-completion"
    if chats:
        chosen = next((each for each in CHAT_COLUMNS if each in chats), chats[0])
        return "sharegpt" if _keys(present[chosen]) == CHAT_KEYS[1] else "messages"
    return "alpaca" if set(ALPACA.values()) <= set(present) else "qa"


def _has_pair(present: Mapping[str, object]) -> bool:
    """Whether a question and a reference stand there as such, whatever stands beside them."""
    return CANDIDATES["question"][0] in present and any(each in present for each in CANDIDATES["reference"])


def _keys(value: object) -> tuple[str, str] | None:
    """By which names a cell's messages have role and text; None: it is no conversation."""
    if not is_list(value) or not is_chat(value):
        return None
    first = value[0]
    return next(keys for keys in CHAT_KEYS if isinstance(first, Mapping) and all(key in first for key in keys))


def _chat(
    name: str, present: Mapping[str, object], asked: Mapping[str, str], found: Literal["messages", "sharegpt"]
) -> Shape:
    """A conversation's column."""
    if "reference" in asked:
        raise DataError(
            f"{name}: `columns` must not name a reference, which is a turn of the conversation, "
            f"got {asked['reference']!r}"
        )
    wanted = CHAT_KEYS[1] if found == "sharegpt" else CHAT_KEYS[0]
    chats = [column for column, value in present.items() if _keys(value) == wanted]
    if (column := asked.get("question")) is not None:
        chats = [each for each in chats if each == column]
    chosen = next((each for each in CHAT_COLUMNS if each in chats), chats[0] if len(chats) == 1 else None)
    if chosen is None:
        what = f'a column of lists of {{"{wanted[0]}", "{wanted[1]}"}}'
        got = f"got {some(map(repr, chats))}: name one (--column question={chats[0]})" if chats else ""
        raise DataError(f"{name}: must have {what}, {got or f'its columns are {some(present, 20)}'}")
    columns = {"id": find_column(name, "id", present, asked), "question": chosen, "reference": chosen}
    columns |= {"system": "system"} if "system" in present else {}
    return Shape(found, "chat", {role: column for role, column in columns.items() if column is not None})
