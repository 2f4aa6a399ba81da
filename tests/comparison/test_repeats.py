"""Several answers to one question, and many variants in one ranking."""

from __future__ import annotations

import numpy as np
import pytest

from loralift.comparison import Settings, clusters_of, question_of, rank, repeat_id, summarise
from loralift.records import Score
from tests.comparison.shapes import PERPLEXITY, QUALITY, likelihoods, perplexity, rows


def question(row: str) -> str:
    return row.partition("#")[0]


@pytest.mark.parametrize("row", ["q7", "a#7", "thread#17#3", ""])
def test_an_id_of_a_repeat_is_read_as_it_was_written(row: str) -> None:
    assert question_of(repeat_id(row, 3)) == (row or "#3")


@pytest.mark.parametrize("row", ["q7", "q#x", "#7", "q7#", "q7#-1", "q7#²"])
def test_an_id_of_another_kind_is_its_own_question(row: str) -> None:
    assert question_of(row) == row


@pytest.mark.parametrize(
    ("ids", "questions"),
    [
        (["q1#0", "q1#1", "q2#0", "q2#1"], ["q1", "q1", "q2", "q2"]),
        (["q1", "q1#1", "q2", "q2#1"], ["q1", "q1", "q2", "q2"]),
        (["a#7#0", "a#7#1", "a#8#0"], ["a#7", "a#7", "a#8"]),
        (["q1#0", "q1#1", "q#x", "doc#5"], ["q1", "q1", "q#x", "doc#5"]),
    ],
)
def test_repeats_are_read_off_the_ids(ids: list[str], questions: list[str]) -> None:
    clusters = clusters_of(ids)
    assert clusters is not None
    assert [clusters(row) for row in ids] == questions


@pytest.mark.parametrize("ids", [[], ["q1", "q2"], ["doc#5", "doc#6"], ["q1#0", "q2#0"], ["#1", "#0"]])
def test_ids_of_their_own_are_no_repeats(ids: list[str]) -> None:
    assert clusters_of(ids) is None


def test_a_summary_of_repeats_is_one_of_questions() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.5, 0.2, (20, 1)) + rng.normal(0, 0.1, (20, 4))
    scores = [Score(f"q{i:02}#{k}", {"quality": float(values[i, k])}) for i in range(20) for k in range(4)]
    scores.append(Score("q00#4", {"quality": None}))
    found = summarise(scores, QUALITY, clusters=question)
    alone = summarise(rows(quality=values.mean(axis=1)), QUALITY)
    naive = summarise(scores, QUALITY)
    assert (found.n, found.unscored, naive.n) == (20, 1, 80)
    assert (found.value, found.median, found.std) == pytest.approx((alone.value, alone.median, alone.std))
    assert found.interval is not None
    assert alone.interval is not None
    assert naive.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((alone.interval.low, alone.interval.high))
    assert found.interval.high - found.interval.low > 1.5 * (naive.interval.high - naive.interval.low)


def test_right_and_wrong_repeats_are_shares_and_no_longer_binary() -> None:
    scores = [Score(f"q{i}#{k}", {"quality": float((i + k) % 3 == 0)}) for i in range(12) for k in range(2)]
    found, naive = summarise(scores, QUALITY, clusters=question), summarise(scores, QUALITY)
    assert found.interval is not None
    assert naive.interval is not None
    assert (found.interval.method, naive.interval.method) == ("t", "wilson")


def test_statistics_of_repeats_are_summed() -> None:
    left, _ = likelihoods(40, 0)
    scores = [Score(f"q{i // 2:02}#{i % 2}", {}, {"perplexity": tuple(map(float, row))}) for i, row in enumerate(left)]
    unscored = Score("q00#2", {"perplexity": None}, {"perplexity": (-1e6, 1.0)})
    found = summarise([*scores, unscored], PERPLEXITY, perplexity, clusters=question, resamples=500)
    assert (found.n, found.unscored, found.value) == (20, 1, pytest.approx(perplexity(left.sum(axis=0))))


def test_a_question_without_a_scored_answer_is_not_counted() -> None:
    scores = [Score("a#0", {"quality": None}), Score("b#0", {"quality": 1.0}), Score("b#1", {"quality": 0.0})]
    found = summarise(scores, QUALITY, clusters=question)
    assert (found.n, found.unscored, found.value) == (1, 1, 0.5)
    nothing = summarise(scores[:1], QUALITY, clusters=question)
    assert (nothing.n, nothing.unscored, nothing.value) == (0, 1, None)


def test_many_variants_are_ranked_and_the_base_among_them() -> None:
    """The base in the middle of twenty adapters, two rows of which nobody scored."""
    rng = np.random.default_rng(0)
    quality = rng.beta(5, 3, 150)
    steps = {"base": 0, **{f"lora{step:+d}": step for step in range(-10, 11) if step}}
    variants = {name: rows(quality=quality + 0.05 * step + rng.normal(0, 0.05, 150)) for name, step in steps.items()}
    variants["lora+1"][:2] = [Score(row.id, {"quality": None}) for row in variants["lora+1"][:2]]
    ranking = rank(variants, QUALITY, Settings(resamples=5_000))
    assert len(ranking.pairs) == 21 * 20 // 2
    assert [place.variant for place in ranking.places] == sorted(steps, key=lambda name: -steps[name])
    assert [place.rank for place in ranking.places] == list(range(1, 22))
    (base,) = [place for place in ranking.places if place.variant == "base"]
    assert set(base.better_than) == {name for name, step in steps.items() if step < 0}


def test_a_ranking_of_repeats_values_questions() -> None:
    one = [Score("a#0", {"quality": 0.0}), Score("a#1", {"quality": 1.0}), Score("b#0", {"quality": 1.0})]
    other = [Score(row.id, {"quality": 0.2}) for row in one]
    places = rank({"one": one, "other": other}, QUALITY, Settings(), clusters=question).places
    assert {place.variant: place.value for place in places} == {"one": 0.75, "other": pytest.approx(0.2)}
