"""Answers that contain the model's thinking (reasoning before the answer): all of it is scored, and a note says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# the tags of DeepSeek-R1, Qwen3, Nemotron, Magistral, Kimi and gpt-oss
THINKING = re.compile(
    r"</?(?:think|thinking|thought|thoughts|reason|reasoning|reflection|scratchpad)>"
    r"|\[/?THINK\]|◁/?think▷|<\|channel\|>analysis",
    re.IGNORECASE,
)


def thinking_in_answers(name: str, answers: Iterable[str]) -> tuple[str, ...]:
    """One sentence on how many answers hold thinking; none where none does."""
    count = sum(THINKING.search(answer) is not None for answer in answers)
    if not count:
        return ()
    hold, which = ("answer", "holds") if count == 1 else ("answers", "hold")
    return (f"{count} {hold} of {name} {which} thinking (<think> or the like), scored as a part of the answer.",)


def thinking_in_file(name: str, answers: Path) -> tuple[str, ...]:
    """The same for a run's recorded answers, if they were kept; lines are searched, as JSON does not escape tags."""
    if not answers.is_file():
        return ()
    with answers.open(encoding="utf-8") as lines:
        return thinking_in_answers(name, lines)
