"""Texts to score: the real FiQA references against themselves shuffled, and texts at the edges."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from loralift.metrics import MetricSettings
from loralift.records import Answer, Example, FinishReason, Question, ReferenceLikelihood

MakeExample = Callable[..., Example]

LONG = "The bank lends money, and the borrower pays it back with interest. " * 400
EDGE_PAIRS = {
    "empty answer": ("", "Pay it off first."),
    "only punctuation": ("?!... --- ;", "Pay it off first."),
    "only punctuation on both sides": ("...", "?!"),
    "only articles": ("the a an", "The."),
    "identical": ("Pay it off first.", "Pay it off first."),
    "one token": ("Yes", "yes"),
    "one token against many": ("money", "The money is in the bank"),
    "unicode": ("Crédit à 5 % — für 10.000 €, İstanbul, ﬁne", "Le crédit à 5% — 10.000 € für İstanbul, fine"),
    "no latin letters": ("借りたお金を返す", "お金を返す"),
    "emoji and combining marks": ("😀 cafe\u0301 ok", "😀 café ok"),
    "line breaks and entities": ("one &amp; two-\nthree\n\n<skipped> 1,000.50", "one & two three 1,000.50"),
    "odd white space": ("a\u00a0b\u2003c\u200bd", "a b c d"),
    "very long": (LONG + "At last it is repaid.", LONG[:9000]),
    "long against short": (LONG, "interest"),
    "repeated words": ("no no no no no no", "no no yes"),
    "underscores": ("snake_case a_b", "snake case a b"),
}


@pytest.fixture(scope="session")
def make_example() -> MakeExample:
    """Makes an Example out of an answer and a reference."""

    def make(
        answer: str,
        reference: str = "Pay it off first.",
        *,
        row: str = "1",
        question: str = "What about my loan?",
        finish_reason: FinishReason | None = None,
        output_tokens: int | None = None,
        seconds: float | None = None,
        likelihood: tuple[float | None, int] | None = None,
    ) -> Example:
        return Example(
            Question(row, question, reference),
            Answer(row, answer, finish_reason, output_tokens=output_tokens, seconds=seconds),
            None if likelihood is None else ReferenceLikelihood(row, *likelihood),
        )

    return make


@pytest.fixture(scope="session")
def fiqa_pairs(fiqa_dir: Path) -> list[tuple[str, str]]:
    """(answer, reference): all 648 real references, answered by the same texts shuffled."""
    lines = (fiqa_dir / "test.jsonl").read_text(encoding="utf-8").splitlines()
    references = [json.loads(line)["ground_truths"][0] for line in lines]
    assert len(references) == 648
    answers = references.copy()
    random.Random(20180411).shuffle(answers)
    return list(zip(answers, references, strict=True))


@pytest.fixture(scope="session")
def fiqa_examples(fiqa_pairs: list[tuple[str, str]], make_example: MakeExample) -> list[Example]:
    return [make_example(answer, reference, row=str(i)) for i, (answer, reference) in enumerate(fiqa_pairs)]


@pytest.fixture(params=EDGE_PAIRS.values(), ids=EDGE_PAIRS.keys())
def edge_pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture
def settings() -> MetricSettings:
    return MetricSettings(device="cpu")
