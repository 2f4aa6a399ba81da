"""What a judge replied, and the verdict in it: on its last line, or none at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Label = Literal["A", "B", "C"]
"""``A``: the answer shown first is better; ``B``: the second; ``C``: a tie."""

NO_TEXT = "the reply is empty"
CUT = "the reply was cut off at the limit of tokens"
UNFINISHED = "the reply ends while it still thinks"
NO_VERDICT = "the reply does not end with one verdict"
REFUSED = "the server refused the request"

_LABEL = re.compile(r"\[\[([ABC])\]\]", re.IGNORECASE)
_AT_END = re.compile(r"\[\[[ABC]\]\]\W*\Z", re.IGNORECASE)
_DENIED = re.compile(r"(?:\b(?:not|nor|neither|never|cannot)|n['’]t)\W+(?:\w+\W+){0,2}\Z", re.IGNORECASE)
_THOUGHT = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_THINKS = re.compile(r"<think(?:ing)?>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a judge replied to one request.

    Attributes:
        text: Its message; may be empty.
        finish_reason: As the server calls it, e.g. ``stop`` or ``length``; None where it says none.
        prompt_tokens: As the server counted them; None where it did not.
        output_tokens: Likewise.
        refused: Why the server would not answer this request, e.g. as it is longer than the model's context; else
            empty.
    """

    text: str
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    refused: str = ""


def read_verdict(reply: Reply) -> tuple[Label | None, str]:
    r"""The verdict of a reply, and where there is none, why.

    It is one label at the end of the last line, behind any thinking: labels further up may be quoted from an answer, or
    weighed. A last line with two labels, or one that is denied ("not [[A]]"), is no verdict, nor is one that was cut.

    >>> read_verdict(Reply("A is about [[B]].\n\n**[[A]]**"))
    ('A', '')
    >>> read_verdict(Reply("[[A]] or [[B]]"))
    (None, 'the reply does not end with one verdict')
    """
    if reply.refused:
        return None, REFUSED
    if reply.finish_reason == "length":
        return None, CUT
    said = _THOUGHT.split(reply.text)[-1]
    if _THINKS.search(said):
        return None, UNFINISHED
    if not said.strip():
        return None, NO_TEXT
    last = said.strip().splitlines()[-1]
    labels, end = {label.upper() for label in _LABEL.findall(last)}, _AT_END.search(last)
    if end is None or len(labels) != 1 or _DENIED.search(last[: end.start()]):
        return None, NO_VERDICT
    label: Label = labels.pop()
    return label, ""
