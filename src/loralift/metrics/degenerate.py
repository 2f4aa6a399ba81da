"""Three ways in which a generation goes wrong, each a flag of 0 or 1: it loops, it runs on, it copies.

Descriptive metrics: a low ROUGE may mean a bad answer or a missing stop string, and these tell the two apart. Each
flag is made so that people's answers don't raise it: none of the 961 answers of FiQA at hand does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from loralift.metrics.answers import descriptive
from loralift.records import Example

PIECES = re.compile(r"\w+|[^\w\s]")
"""Words, and punctuation marks one by one: a model that broke into ``!!!!!!`` writes not a single word."""

LEAST_PIECES = 20
TAIL_PIECES = 50
LOOP = 0.5

NEXT_QUESTION = re.compile(
    r"^[\s>*#_-]*(?:question|q)\s*\d*\s*[*_]*\s*[:：]|\n[\s>*#_-]*answer\s*\d*\s*[*_]*\s*[:：]",
    re.IGNORECASE | re.MULTILINE,
)
"""A line that opens a question, as in ``Question:``, ``**Question 2:**`` or ``Q: ``, or a second answer."""

LABELS = {"question", "q", "answer", "a"}


@lru_cache(maxsize=1024)
def pieces_of(text: str) -> tuple[str, ...]:
    """The text's words and punctuation marks, in lower case."""
    return tuple(PIECES.findall(text.lower()))


def sequence_repetition(pieces: Sequence[str], n: int = 4) -> float:
    """seq-rep-n: the share of n-grams that have been there before, in [0, 1).

    Welleck et al. 2020, "Neural Text Generation with Unlikelihood Training", equation 10.
    """
    grams = list(zip(*(pieces[i:] for i in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def repeating(example: Example) -> float:
    """1 where at least half of the 4-grams are repetitions, in the whole answer or in its last 50 pieces.

    The tail is looked at by itself because a loop, once entered, is seldom left (Holtzman et al. 2020): a long sound
    beginning must not hide it. A loop of up to 23 pieces fills the tail; a longer one shows in the whole. Fewer than
    20 pieces are never flagged: "no, no, no" is no loop. People stay far below the threshold: the answers of FiQA
    reach 0.26.
    """
    pieces = pieces_of(example.answer.text)
    if len(pieces) < LEAST_PIECES:
        return 0.0
    worst = max(sequence_repetition(pieces), sequence_repetition(pieces[-TAIL_PIECES:]))
    return float(worst >= LOOP)


def run_on(example: Example) -> float:
    """1 where a line of the answer opens a next question: the model went on writing the prompt's pattern."""
    text = example.answer.text
    # Nearly every answer has no colon, which is seen at once.
    return float((":" in text or "：" in text) and NEXT_QUESTION.search(text) is not None)


def copied_prompt(example: Example) -> float | None:
    """1 where the answer is the question, once or over and over, and nothing else; None for a wordless question.

    Case, punctuation and labels such as "Question:" don't matter, and the last copy may be cut off. One further word
    clears the answer, and so does another order: "It is legal" answers "Is it legal?".
    """
    question = tuple(spoken(example.question.question))
    if not question:
        return None
    said = 0
    for said, piece in enumerate(spoken(example.answer.text), start=1):
        if piece != question[(said - 1) % len(question)]:
            return 0.0
    return float(said >= len(question))


def spoken(text: str) -> Iterator[str]:
    """The text's words but labels."""
    return (piece for piece in pieces_of(text) if piece.isalnum() and piece not in LABELS)


REPEATING = descriptive("repeating", "Loops", repeating, seq_rep_4=f">={LOOP}", tail=TAIL_PIECES)
RUN_ON = descriptive("run_on", "Runs on", run_on)
COPIED_PROMPT = descriptive("copied_prompt", "Copies the question", copied_prompt)
