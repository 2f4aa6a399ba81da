"""Conversations as training files hold them: OpenAI's ``messages``, ShareGPT's ``conversations``, TRL's lists.

The last turn of the assistant is the reference; what was said before it is the prompt. What changes what training saw
and cannot be asked here (tools, images, thoughts apart from the text) leaves its row out, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from loralift.data.values import CHAT_KEYS, is_blank, is_list, text_of
from loralift.errors import shown, some
from loralift.records import Turn

Role = Literal["user", "assistant"]

ROLES: Mapping[str, Role] = {
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
}  # fmt: skip
"""Who speaks, by the names of OpenAI, ShareGPT and FastChat, which reads ShareGPT's files."""

SYSTEM = "system"

NOT_ASKED = (
    *("tool_calls", "function_call", "tool_call_id", "tools", "functions", "chat_template_kwargs", "reasoning_content"),
    *("reasoning", "thinking", "images", "image", "videos", "video", "audios", "audio"),
)
"""Keys of a message, and columns beside it, from which templates write more than texts of turns."""

UNHEARD = ("weight", "train", "training", "train_detail", "training_detail", "loss")
"""Keys of a message that say whether it is trained on."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One turn of the assistant, and what was said before it.

    Attributes:
        question: The user's turn before it.
        reference: The assistant's turn.
        system: The system's message; empty: none.
        turns: All other turns before it.
        number: Which of the assistant's turns it is, from 1.
    """

    question: str
    reference: str
    system: str
    turns: tuple[Turn, ...]
    number: int


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Why a conversation, or one turn of it, cannot be asked.

    Attributes:
        reason: As for ``Dropped``.
        number: Which of the assistant's turns; 0: none can.
    """

    reason: str
    number: int = 0


def read_chat(messages: object, beside: Mapping[str, object], *, every_turn: bool) -> list[Asked | NotAsked]:
    """The assistant's last turn of a conversation, or every one.

    Args:
        messages: A list of ``{"role", "content"}`` or ``{"from", "value"}``.
        beside: The row's further columns; a ``system`` among them is the system's message where no message is.
        every_turn: Whether every turn of the assistant counts.

    Returns:
        At least one entry.
    """
    for column in NOT_ASKED:
        if not is_blank(beside.get(column)):
            return [NotAsked(f"column {column!r} changes what a chat template writes, and is not read")]
    if not is_list(messages) or not messages:
        return [NotAsked("it has no messages")]
    said: list[tuple[str, str]] = []
    for place, message in enumerate(messages, start=1):
        read = _message(message)
        if isinstance(read, str):
            return [NotAsked(f"message {place} {read}")]
        said.append(read)
    system = said.pop(0)[1] if said[0][0] == SYSTEM else text_of(beside.get(SYSTEM)) or ""
    if any(role == SYSTEM for role, _ in said):
        return [NotAsked("a system message stands behind other messages")]
    turns = [Turn(cast(Role, role), text) for role, text in said]
    answers = [place for place, turn in enumerate(turns) if turn.role == "assistant"]
    if not answers:
        return [NotAsked("no turn of it is the assistant's, which would be the reference")]
    numbered = list(enumerate(answers, start=1))
    return [_asked(system, turns, place, number) for number, place in (numbered if every_turn else numbered[-1:])]


def _message(message: object) -> tuple[str, str] | str:
    """A message's role and text, or what is wrong with it."""
    if not isinstance(message, Mapping):
        return f"is no object: {shown(message)}"
    if unread := [key for key in NOT_ASKED if not is_blank(message.get(key))]:
        return f"has {some(map(repr, unread))}, which is not read"
    keys = next((keys for keys in CHAT_KEYS if keys[0] in message), CHAT_KEYS[0])
    role, content = (message.get(key) for key in keys)
    name = ROLES.get(role, role) if isinstance(role, str) else role
    if name not in (SYSTEM, *ROLES.values()):
        return f"has the role {shown(role)}, which is none of {', '.join((SYSTEM, *ROLES))}"
    if not isinstance(content, str):
        kind = "a list of parts" if is_list(content) else shown(content)
        return f"has no text as its {keys[1]}, but {kind}"
    return str(name), content


def _asked(system: str, turns: Sequence[Turn], place: int, number: int) -> Asked | NotAsked:
    """The assistant's turn at a place."""
    which = f"turn {number} of the assistant"
    if place == 0 or turns[place - 1].role != "user":
        return NotAsked(f"{which} does not follow one of the user", number)
    for role, turn in (("user's turn before it", turns[place - 1]), ("assistant's turn", turns[place])):
        if not turn.content.strip():
            return NotAsked(f"{which} cannot be asked: the {role} is empty", number)
    return Asked(turns[place - 1].content, turns[place].content, system, tuple(turns[: place - 1]), number)


def notes_on_chats(chats: Iterable[Any]) -> Iterator[str]:
    """What of conversations that are asked is not used, a sentence each.

    Args:
        chats: The messages of each row that is evaluated, as ``read_chat`` took them.
    """
    open_ended, keys = 0, Counter[str]()
    for messages in chats:
        last = messages[-1]
        open_ended += ROLES.get(str(last.get("role", last.get("from")))) == "user"
        known = {key for pair in CHAT_KEYS for key in pair}
        keys.update({key for each in messages for key, value in each.items() if key not in known and value is not None})
    if open_ended:
        yield f"what a user says last and nobody answers is not asked ({_rows(open_ended)})"
    if heard := [key for key in UNHEARD if keys[key]]:
        yield (
            f"{some(map(repr, heard))} of messages, by which training leaves turns out, is not looked at: the "
            f"assistant's last turn is judged whatever it says ({_rows(max(keys[key] for key in heard))})"
        )
    if others := [key for key in keys if key not in UNHEARD]:
        yield f"of messages {some(map(repr, others))} is not part of the prompt, which has their roles and texts alone"


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"
