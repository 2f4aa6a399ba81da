"""The canned run of many rows: what it makes, and what a row costs in memory where rows are kept, scored, compared."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator

import pytest

from benchmarks.million import SHARES, Texts
from loralift import kept
from loralift.comparison import Settings, compare, resampling
from loralift.kept import keep
from loralift.records import Answer, ById, Ids, MetricInfo, Prompt, Score, Scores, scores

FEW, MANY = 1_000, 9_000
MOST_BYTES_A_ROW = 1_000
"""Ids and the places of rows in files, and the columns of what is compared at a time: as objects they are 4.4 KB."""

INFOS = {name: MetricInfo(name, name) for name in ("f1", "rougeL", "exact_match")}


def test_texts_are_the_same_however_they_are_asked_for() -> None:
    one, other = Texts(), Texts()
    assert one.question(7) == other.question(7) != one.question(8)
    question, reference = one.question(7)
    assert (10 <= len(question.split()) <= 40, 30 <= len(reference.split()) <= 150) == (True, True)
    answers = {name: one.answer("q7 0", name, reference.split()).split() for name in SHARES}
    same = {
        name: sum(map(str.__eq__, words, reference.split())) / min(len(words), len(reference.split()))
        for name, words in answers.items()
    }
    assert all(0.2 < share < 0.7 for share in same.values())


def rows_of(count: int, seed: int) -> Iterator[Score]:
    draw = random.Random(seed)
    return (
        Score(f"q{place}", {"f1": draw.random(), "rougeL": draw.random(), "exact_match": float(draw.random() < 0.1)})
        for place in range(count)
    )


def highest(count: int) -> int:
    """The most bytes held while so many rows are asked, answered, scored and compared."""
    tracemalloc.start()
    try:
        prompts = keep(Prompt(f"q{place}", "Why? " * 40, tuple(range(place, place + 90))) for place in range(count))
        answers = ById(
            Ids.of(prompt.id for prompt in prompts), keep(Answer(prompt.id, "So. " * 100) for prompt in prompts)
        )
        assert sum(len(answer.text) for answer in answers.values()) == 400 * count
        found = {name: Scores.of(rows_of(count, seed)) for seed, name in enumerate(SHARES)}
        base, adapter = found.items()
        compare(base[0], base[1], {adapter[0]: adapter[1]}, INFOS, Settings(primary="f1", resamples=100))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_row_costs_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "FEW", 100)
    monkeypatch.setattr(scores, "BLOCK", 500)
    monkeypatch.setattr(resampling, "_CHUNK", MANY)  # or its 16 MB would be most
    highest(100)  # imports
    few, many = highest(FEW), highest(MANY)
    assert (many - few) / (MANY - FEW) < MOST_BYTES_A_ROW
