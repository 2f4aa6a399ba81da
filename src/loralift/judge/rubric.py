"""The rubric: what a judge is told, with places for the question and the two answers."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from loralift.errors import UsageError
from loralift.reading import read_text

PLACES = ("question", "answer_a", "answer_b")

_PLACE = re.compile(r"\{(question|answer_a|answer_b|reference)\}")


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a judge is told.

    Attributes:
        text: With ``{question}``, ``{answer_a}`` and ``{answer_b}``, each once; other braces stay as they are.
    """

    text: str

    @property
    def sha256(self) -> str:
        """Of the text in UTF-8."""
        return hashlib.sha256(self.text.encode("utf-8", "backslashreplace")).hexdigest()

    def filled(self, question: str, answer_a: str, answer_b: str) -> str:
        """The message to the judge; what looks like a place inside a question or an answer is not filled.

        >>> Rubric("{question}|{answer_a}|{answer_b}").filled("q", "{answer_b}", "b")
        'q|{answer_b}|b'
        """
        texts = {"question": question, "answer_a": answer_a, "answer_b": answer_b}
        return _PLACE.sub(lambda found: texts[found[1]], self.text)


def load_rubric(path: Path | None = None) -> Rubric:
    """The user's rubric, or LoraLift's own.

    Raises:
        UsageError: The file cannot be read, lacks a place or has one twice, asks for the reference, or for no verdict.
    """
    if path is None:
        return Rubric(files("loralift.judge").joinpath("rubric.txt").read_text(encoding="utf-8"))
    text = read_text(path, UsageError)
    found = _PLACE.findall(text)
    if "reference" in found:
        raise UsageError(
            f"{path}: a rubric must not show the {{reference}}: a judge proves itself by preferring it unseen"
        )
    for place in PLACES:
        if found.count(place) != 1:
            raise UsageError(f"{path}: a rubric must have {{{place}}} once, and this has it {found.count(place)} times")
    for label in ("[[A]]", "[[B]]", "[[C]]"):
        if label not in text:
            raise UsageError(
                f"{path}: a rubric must ask for a last line of [[A]], [[B]] or [[C]] (a tie), and has no {label}"
            )
    return Rubric(text)
