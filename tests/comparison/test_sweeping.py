"""The best of K: judged on rows that did not choose it, and named only as far as it can be told from the others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from loralift.comparison import Settings, best_of
from loralift.comparison.sweeping import not_the_best
from loralift.errors import UsageError
from loralift.records import BestOf, Score
from tests.comparison.shapes import LOSS, PERPLEXITY, QUALITY, WORDS

SETTINGS = Settings("quality", resamples=200)
NULL_RUNS = 80
"""`python -m benchmarks.sweeping` runs many more."""


def scores(values: np.ndarray, metric: str = "quality") -> list[Score]:
    return [Score(f"q{i:03}", {metric: float(value)}) for i, value in enumerate(values)]


def judged(shifts: list[float], seed: int, n: int = 48, settings: Settings = SETTINGS) -> BestOf:
    """Candidates that differ from the base by so much, of as much noise as theirs together and their own."""
    rng = np.random.default_rng(seed)
    base, common = rng.normal(size=n), rng.normal(size=n)
    made = {f"step-{k}": scores(base + common + rng.normal(size=n) + shift) for k, shift in enumerate(shifts)}
    found = best_of(scores(base), made, QUALITY, settings)
    assert found is not None
    return found


def test_of_eight_that_are_as_good_as_the_base_the_re_estimate_is_unbiased_and_the_naive_one_is_not() -> None:
    naive, fair, covered, excluded = [], [], 0, 0
    for seed in range(NULL_RUNS):
        found = judged([0.0] * 8, seed)
        assert found.row.difference is not None
        assert found.row.interval is not None
        fair.append(found.row.difference)
        covered += found.row.interval.low <= 0 <= found.row.interval.high
        excluded += "step-3" not in found.contenders
        naive.append(_naive(found, seed))
    error = np.std(fair, ddof=1) / np.sqrt(NULL_RUNS)
    assert abs(np.mean(fair)) < 3 * error
    assert np.mean(naive) > 5 * error
    # 95 % of them, and what so few runs leave open
    assert covered >= stats.binom(NULL_RUNS, 0.95).ppf(0.001)
    # each of the equally good may be left out with probability 5 %
    assert excluded <= stats.binom(NULL_RUNS, 0.05).ppf(0.999)


def _naive(found: BestOf, seed: int, n: int = 48) -> float:
    """The difference of the best-looking one on all rows."""
    rng = np.random.default_rng(seed)
    _, common = rng.normal(size=n), rng.normal(size=n)
    means = [float((common + rng.normal(size=n)).mean()) for _ in found.among]
    assert found.leader == f"step-{int(np.argmax(means))}"
    return max(means)


def test_one_that_is_clearly_the_best_is_named_chosen_by_both_halves_and_not_widened() -> None:
    found = judged([0.0, 3.0, 0.2], seed=1)
    assert found.contenders == ("step-1",)
    assert found.chosen == ("step-1", "step-1")
    assert (found.leader, found.row.verdict, found.widening) == ("step-1", "better", 1.0)
    assert found.row.candidate == "the best of 3"


def test_equal_columns_cannot_be_told_apart_whatever_the_rounding() -> None:
    values = np.linspace(0, 1, 20)
    made = {"a": scores(values), "b": scores(values + 1e-16), "c": scores(values * (1 + 1e-15))}
    found = best_of(scores(values / 2), made, QUALITY, SETTINGS)
    assert found is not None
    assert found.contenders == ("a", "b", "c")
    assert found.leader == "a"


def test_three_rows_that_differ_leave_nobody_out_though_t_would() -> None:
    values = np.zeros((2, 1_000))
    values[0, :3] = 1
    t = stats.ttest_rel(values[0], values[1], alternative="greater").pvalue
    assert t < 0.05
    p = not_the_best(values, SETTINGS)
    assert p[1] == pytest.approx(1 / 8, abs=0.06)


def test_of_a_loss_the_lowest_is_the_best() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=40)
    made = {name: scores(base + shift + 0.1 * rng.normal(size=40), "loss") for name, shift in (("a", 1), ("b", -1))}
    found = best_of(scores(base, "loss"), made, LOSS, Settings("loss", resamples=200))
    assert found is not None
    assert (found.leader, found.contenders, found.row.verdict) == ("b", ("b",), "better")


def test_rows_that_one_lacks_are_left_out_for_all_and_counted() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=30)
    made = {"a": scores(base + 1), "b": scores(base)[:20], "c": scores(base)}
    found = best_of(scores(base), made, QUALITY, SETTINGS)
    assert found is not None
    assert (found.row.n, found.row.dropped) == (20, 10)


def test_no_corpus_metric_no_handful_of_rows_and_nothing_without_a_direction() -> None:
    few = {"a": scores(np.arange(3.0)), "b": scores(np.arange(3.0))}
    assert best_of(scores(np.arange(3.0)), few, QUALITY, SETTINGS) is None
    assert best_of(scores(np.arange(3.0)), few, PERPLEXITY, SETTINGS) is None
    with pytest.raises(UsageError, match="direction"):
        best_of(scores(np.arange(3.0)), few, WORDS, SETTINGS)
