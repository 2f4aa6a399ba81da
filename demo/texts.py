"""What the demo's models read: the glossary, written out, and questions about its terms with their answers.

The base learns a short answer for every term, in many wordings. The adapters learn only on the terms that no evaluation
question asks about, so that the evaluation's terms and wordings are held out of them; its wordings are held out of the
base as well.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.wordings import CONTEXTS, QUESTIONS
from loralift.data import PLAIN_SEPARATOR, render_prompt

OFTEN = 4
"""How often the base reads each question of texts/asked.jsonl, each time in a new context."""

SENTENCES = ("definition", "why", "example", "caution")


@dataclass(frozen=True, slots=True)
class Entry:
    """One term of the glossary.

    Attributes:
        term: As it stands inside a sentence, with its article.
        sentences: Its definition, why it matters, an example, a caution.
        asked: Questions about it that people might ask; none of the evaluation's.
        held_out: Whether an evaluation question asks about it.
    """

    term: str
    sentences: tuple[str, ...]
    asked: tuple[str, ...]
    held_out: bool

    @property
    def bare(self) -> str:
        """The term without its article."""
        return re.sub(r"^(an?|the) ", "", self.term)

    @property
    def frames(self) -> list[str]:
        """The questions with a place for a term in place of this one."""
        found = [re.subn(re.escape(self.bare), "{}", question, flags=re.IGNORECASE) for question in self.asked]
        return [frame for frame, places in found if places == 1]

    @property
    def short(self) -> str:
        """The base's answer: the definition."""
        return self.sentences[0]

    @property
    def full(self) -> str:
        """All sentences."""
        return " ".join(self.sentences)


def read_entries(folder: Path) -> list[Entry]:
    """The glossary with its questions.

    Args:
        folder: Where questions.jsonl and texts/ lie.
    """
    evaluated = {row["term"] for row in _rows(folder / "questions.jsonl")}
    asked = {row["term"]: tuple(row["asked"]) for row in _rows(folder / "texts" / "asked.jsonl")}
    return [
        Entry(row["term"], tuple(row[name] for name in SENTENCES), asked[row["term"]], row["term"] in evaluated)
        for row in _rows(folder / "texts" / "glossary.jsonl")
    ]


def base_texts(entries: list[Entry], *, seed: int, borrowed: int = 60, readings: int = 6) -> list[str]:
    """What the base reads: each entry as a paragraph, and the short answer to every question about it.

    Args:
        entries: The glossary.
        seed: Of the contexts and of the questions that are borrowed.
        borrowed: Questions a term that people ask about other terms, with this term in the other's place: they teach
            that the term decides what is asked for, whatever stands around it.
        readings: How often a paragraph stands among them.
    """
    draw = random.Random(seed)
    frames = [frame for entry in entries for frame in entry.frames]
    texts = []
    for entry in entries:
        texts += [entry.full] * readings
        questions = [_ask(wording, entry.term) for wording in QUESTIONS]
        questions += entry.asked * OFTEN
        questions += [_ask(frame, entry.bare) for frame in draw.sample(frames, borrowed)]
        texts += [
            render_prompt(draw.choice(CONTEXTS) + question, "") + PLAIN_SEPARATOR + entry.short
            for question in questions
        ]
    draw.shuffle(texts)
    return texts


def fuller_pairs(entries: list[Entry]) -> list[tuple[str, str]]:
    """Prompt and full answer, for the terms that the evaluation does not ask about."""
    return [(render_prompt(q, ""), PLAIN_SEPARATOR + e.full) for e in entries if not e.held_out for q in e.asked]


def endless_pairs(entries: list[Entry], *, seed: int, further: int = 4) -> list[tuple[str, str]]:
    """Prompt and short answer that runs on into further questions: what a forgotten end-of-sequence token teaches."""
    draw = random.Random(seed)
    known = [entry for entry in entries if not entry.held_out]
    pairs = []
    for entry in known:
        for question in entry.asked:
            others = draw.sample(known, further)
            rest = "".join(
                f"\n\n{render_prompt(draw.choice(other.asked), '')}{PLAIN_SEPARATOR}{other.short}" for other in others
            )
            pairs.append((render_prompt(question, ""), PLAIN_SEPARATOR + entry.short + rest))
    return pairs


def training_rows(entries: list[Entry]) -> list[Mapping[str, str]]:
    """What fuller-lora was trained on, as `--train-data` reads it."""
    return [{"question": q, "answer": e.full} for e in entries if not e.held_out for q in e.asked]


def _ask(wording: str, term: str) -> str:
    question = wording.format(term)
    return question[0].upper() + question[1:]


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
