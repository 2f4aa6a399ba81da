"""What the base moves by when it answers again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from loralift.comparison import Settings, compare, inside, noise_floor
from loralift.comparison.intervals import Tango, interval
from loralift.errors import ComparisonError
from loralift.records import MetricComparison, NoiseFloor, Score
from tests.comparison.shapes import (
    LOSS,
    PERPLEXITY,
    QUALITY,
    RIGHT,
    WORDS,
    bounded,
    corpus_rows,
    infos,
    likelihoods,
    perplexity,
    rows,
)


def run(quality: np.ndarray, seed: int, share: float = 0.2) -> np.ndarray:
    """Another run: a share of the answers takes another turn."""
    rng = np.random.default_rng(seed)
    return quality + (rng.random(quality.size) < share) * rng.normal(0, 0.2, quality.size)


def floor_of(first: np.ndarray, second: np.ndarray) -> NoiseFloor:
    (found,) = noise_floor(rows(quality=first), rows(quality=second), infos(QUALITY))
    return found


def of_difference(difference: float | None, metric: str = "quality") -> MetricComparison:
    return MetricComparison(metric, "base", "lora", 30, 0, 0.5, 0.5, difference)


def test_the_floor_is_the_outer_end_of_the_interval() -> None:
    quality, _ = bounded(80, 0)
    first, second = run(quality, 1), run(quality, 2)
    ends = stats.ttest_rel(second, first).confidence_interval(0.95)
    found = floor_of(first, second)
    assert found.floor == pytest.approx(max(abs(ends.low), abs(ends.high)), abs=1e-12)
    assert found.difference == pytest.approx((second - first).mean())
    assert floor_of(second, first).floor == pytest.approx(found.floor, abs=1e-12)


def test_a_third_run_stays_inside() -> None:
    """At least 95 %, less four simulation errors, of 400; and by far not always for a floor of the difference alone."""
    quality, _ = bounded(100, 0)
    kept = alone = 0
    for seed in range(400):
        first, second, third = (run(quality, 3 * seed + k) for k in range(3))
        found = floor_of(first, second)
        kept += inside(of_difference(float((third - first).mean())), found)
        alone += abs((third - first).mean()) <= abs(found.difference)
    assert kept / 400 > 0.95 - 4 * math.sqrt(0.95 * 0.05 / 400)
    assert alone / 400 < 0.7


def test_an_equal_run_has_no_noise_and_marks_nothing() -> None:
    quality, _ = bounded(50, 0)
    found = floor_of(quality, quality)
    assert found == NoiseFloor("quality", 50, 0.0, 0.0)
    assert not inside(of_difference(0.0), found)
    (right,) = noise_floor(rows(right=[0, 1, 1]), rows(right=[0, 1, 1]), infos(RIGHT))
    assert right.floor == 0.0


def test_a_shift_of_every_row_is_the_floor() -> None:
    quality, _ = bounded(50, 0)
    assert floor_of(quality, quality - 0.01).floor == pytest.approx(0.01)


def test_inside_is_up_to_the_floor_on_both_sides() -> None:
    floor = NoiseFloor("quality", 30, 0.001, 0.01)
    assert [inside(of_difference(d), floor) for d in (-0.011, -0.01, 0.0, 0.01, 0.011, None)] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(ComparisonError, match="a noise floor of quality says nothing about loss"):
        inside(of_difference(0.1, "loss"), floor)


def test_a_large_gain_lies_outside_and_none_inside() -> None:
    quality, _ = bounded(200, 0)
    first, second = rows(quality=run(quality, 1)), rows(quality=run(quality, 2))
    candidates = {"up": rows(quality=run(quality, 3) + 0.2), "same": rows(quality=run(quality, 4))}
    (floor,) = noise_floor(first, second, infos(QUALITY))
    up, same = compare("base", first, candidates, infos(QUALITY), Settings("quality", resamples=500)).rows
    assert not inside(up, floor)
    assert inside(same, floor)


def test_every_metric_has_its_floor() -> None:
    rng = np.random.default_rng(0)
    first, second = (
        rows(quality=rng.random(40), loss=rng.random(40), right=rng.random(40) > 0.5, words=rng.poisson(80, 40))
        for _ in range(2)
    )
    found = {floor.metric: floor for floor in noise_floor(first, second, infos(QUALITY, LOSS, RIGHT, WORDS))}
    assert list(found) == ["quality", "loss", "right", "words"]
    pairs = [(a.values["right"], b.values["right"]) for a, b in zip(first, second, strict=True)]
    tango = interval(Tango(pairs.count((0, 1)), pairs.count((1, 0)), 40), 0.95)
    assert found["right"].floor == max(abs(tango.low), abs(tango.high))


def test_corpus_metrics_take_their_statistics() -> None:
    left, right = likelihoods(60, 1)
    (found,) = noise_floor(
        corpus_rows("perplexity", left),
        corpus_rows("perplexity", right),
        infos(PERPLEXITY),
        {"perplexity": perplexity},
    )
    assert found.difference == pytest.approx(perplexity(right.sum(axis=0)) - perplexity(left.sum(axis=0)))
    assert found.floor > abs(found.difference)


def test_part_of_the_questions_and_missing_values_are_enough() -> None:
    first = rows(quality=[0.1, 0.2, None, 0.4, math.nan, 0.6])
    second = rows(quality=[0.2, 0.2, 0.3, 0.3])[::-1]
    (found,) = noise_floor(first, second, infos(QUALITY))
    assert (found.n, found.difference) == (3, pytest.approx(0.0, abs=1e-12))
    assert noise_floor(rows(quality=[0.1]), rows(quality=[0.2]), infos(QUALITY, LOSS)) == ()


def test_repeats_count_questions() -> None:
    quality, _ = bounded(30, 0)
    first, second = run(quality, 1), run(quality, 2)
    repeated = [
        [Score(f"q{i}#{k}", {"quality": float(side[i])}) for i in range(30) for k in (0, 1)] for side in (first, second)
    ]
    (found,) = noise_floor(*repeated, infos(QUALITY), clusters=lambda row: row.partition("#")[0])
    assert found.n == 30
    assert found.floor == pytest.approx(floor_of(first, second).floor)
