"""Thinking (reasoning before the answer) told from the answer, by the tags that models write around it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

type Tags = tuple[str, str]
"""What opens thinking, and what closes it."""

type Mode = Literal["part", "keep"]

THINK: Tags = ("<think>", "</think>")

HARMONY: Tags = ("<|channel|>", "<|channel|>final<|message|>")
"""Of gpt-oss: every channel but the final one is thinking."""

OF_MODELS: tuple[Tags, ...] = (
    THINK,
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    HARMONY,
)
"""Of DeepSeek-R1, Qwen3 and Nemotron, Magistral, Kimi, Seed-OSS, Command A, gpt-oss."""

UNFINISHED = "thinking never finished"
"""Why an answer has no score that ends before its thinking does."""

_ANY = re.compile(
    r"</?(?:think|thinking|thought|thoughts|reason|reasoning|reflection|scratchpad)>"
    r"|\[/?THINK\]|◁/?think▷|</?seed:think>|<\|(?:START|END)_THINKING\|>|<\|channel\|>analysis",
    re.IGNORECASE,
)

_FENCE = "```"
_SPACES = re.compile(r"\s*")

MOST_THOUGHTS = 100
"""Of one text: more are a loop, whose rest is not looked through again and again."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """How thinking is told from the answer.

    Attributes:
        tags: What opens thinking and what closes it, each pair that is looked for.
        opened: The opening tag, one of these, that every prompt ends with, so that answers begin inside of it; empty:
            prompts open none.
        keep: Whether nothing is parted: thinking counts as a part of the answer.
    """

    tags: tuple[Tags, ...] = (THINK,)
    opened: str = ""
    keep: bool = False


AS_USUAL = Thinking()

KEPT = Thinking(keep=True)


@dataclass(frozen=True, slots=True)
class Parted:
    """A text, parted.

    Attributes:
        answer: Without thinking, stripped of surrounding white space, perhaps empty; None where the text ends before
            its thinking does: that is no answer.
        thinking: The thoughts without their tags, a blank line between; empty where there are none.
        spans: Where the thoughts stand in the text, their tags included: begin and end, in order.
    """

    answer: str | None
    thinking: str = ""
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Thought:
    """One thought in a text.

    Attributes:
        begin: Where it begins, its opening tag included.
        inside: Where its own text begins.
        end: Where its own text ends; None: it never does.
        after: Where the answer goes on.
    """

    begin: int
    inside: int
    end: int | None
    after: int


def part(text: str, how: Thinking) -> Parted:
    r"""Part what a model wrote into thinking and answer.

    Thinking opens at the text's start, or in the prompt. Once a text has thought, a further opening tag counts at the
    start of a line. A closing tag that nothing opened closes what stands before it, where it follows a line break or is
    followed by one. All other tags, and all in a fenced block of code, are a part of the answer, which may be about
    them: `holds_tags` tells.

    >>> part("<think>\nhm\n</think>\nYes.", Thinking())
    Parted(answer='Yes.', thinking='hm', spans=((0, 19),))
    >>> part("<think> is no tag of HTML", Thinking()).answer is None, part("A <think> tag", Thinking()).answer
    (True, 'A <think> tag')

    Args:
        text: As it was generated.
        how: The tags.

    Returns:
        The text itself as the answer, unstripped, where nothing is parted.
    """
    if how.keep or not (how.opened or any(tag in text for pair in how.tags for tag in pair)):
        return Parted(text)
    said: list[str] = []
    thoughts: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    while len(spans) < MOST_THOUGHTS and (thought := _next(text, at, how)) is not None:
        said.append(text[at : thought.begin])
        thoughts.append(text[thought.inside : thought.end].strip())
        spans.append((thought.begin, thought.after))
        at = thought.after
        if thought.end is None:
            return Parted(None, _joined(thoughts), tuple(spans))
    answer = "".join([*said, text[at:]])
    return Parted(answer.strip() if spans else answer, _joined(thoughts), tuple(spans))


def unopened(how: Thinking) -> Thinking:
    """How thinking is told from what no prompt stands before, as references."""
    return how if not how.opened else replace(how, opened="")


def holds_tags(answer: str) -> bool:
    """Whether a text has a tag of thinking, known of any model, anywhere in it."""
    return _ANY.search(answer) is not None


def opened_by(prompts: Iterable[str], tags: Iterable[Tags]) -> str:
    r"""The opening tag that every prompt ends with, alone or with white space behind it; empty: none.

    >>> opened_by(["<user>Why?<assistant><think>\n"], [THINK]), opened_by(["<think>\n\n</think>\n\n"], [THINK])
    ('<think>', '')
    """
    ends = {next((opening for opening, _ in tags if text.rstrip().endswith(opening)), "") for text in prompts}
    return ends.pop() if len(ends) == 1 else ""


def _joined(thoughts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, thoughts))


def _next(text: str, at: int, how: Thinking) -> _Thought | None:
    """The first thought from a place on; behind another one where the place is not the text's start."""
    if at == 0 and how.opened:
        inside = len(text) - len(text.lstrip())
        inside = inside + len(how.opened) if text.startswith(how.opened, inside) else 0
        return _closed(text, 0, inside, dict(how.tags)[how.opened])
    openings, closings = _patterns(how.tags)
    opening = openings.match(text, _SPACES.match(text, at).end())  # type: ignore[union-attr]
    if opening is None and at > 0:
        opening = next((found for found in openings.finditer(text, at) if _opens(text, at, found.start())), None)
    end = len(text) if opening is None else opening.start()
    closing = next((found for found in closings.finditer(text, at, end) if _closes(text, at, found)), None)
    if closing is not None and openings.search(text, at, closing.start()) is None:
        return _Thought(at, at, closing.start(), closing.end())
    return None if opening is None else _closed(text, opening.start(), opening.end(), dict(how.tags)[opening[0]])


def _closed(text: str, begin: int, inside: int, close: str) -> _Thought:
    end = text.find(close, inside)
    return _Thought(begin, inside, None, len(text)) if end < 0 else _Thought(begin, inside, end, end + len(close))


def _opens(text: str, at: int, place: int) -> bool:
    """Whether an opening tag after a thought opens another one: at a line's start, and not in a block of code."""
    return text[place - 1] == "\n" and not _fenced(text, at, place)


def _closes(text: str, at: int, found: re.Match[str]) -> bool:
    """Whether a closing tag that nothing opened closes thinking, and is not one that the answer is about."""
    begin, end = found.span()
    beside = begin == 0 or text[begin - 1] == "\n" or text.startswith("\n", end)
    return beside and not _fenced(text, at, begin)


def _fenced(text: str, at: int, place: int) -> bool:
    """Whether a place is in a block of code that was fenced from another place on."""
    return text.count(_FENCE, at, place) % 2 == 1


@cache
def _patterns(tags: tuple[Tags, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What finds opening tags, and what finds closing ones, with which an opening one may begin."""
    openings = [
        re.escape(opening) + (f"(?!{re.escape(closing[len(opening) :])})" if closing.startswith(opening) else "")
        for opening, closing in tags
    ]
    return re.compile("|".join(openings)), re.compile("|".join(re.escape(closing) for _, closing in tags))
