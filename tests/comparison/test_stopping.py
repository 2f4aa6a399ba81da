"""Verdicts while rows come block by block: right however often one looks, and of what holds there alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.stopping import ALPHA, simulate
from loralift.comparison import Settings, compare, with_margins
from loralift.comparison.sequences import ABOVE, INSIDE, SHARES, UNKNOWN, ConfidenceSequence, sides, wealth
from loralift.comparison.stopping import CONTRADICTION, SURE_BEFORE, drawn, looks_of, reach_of, stopped, sure_so_far
from loralift.errors import ComparisonError, UsageError
from loralift.records import Comparison, MetricInfo, Score, Stopping
from tests.comparison.shapes import LOSS, PERPLEXITY, QUALITY, RIGHT, WORDS, rows

SETTINGS = Settings("quality", {"quality": 0.05}, resamples=200)
RUNS = 400
"""`python -m benchmarks.stopping` makes ten times as many, of more shapes."""


def stopping(asked: int, of: int, *looks: int) -> Stopping:
    return Stopping(asked, of, 0, looks or (asked,), sure=asked < of)


def judged(
    base: np.ndarray,
    candidates: dict[str, np.ndarray],
    at: Stopping,
    info: MetricInfo = QUALITY,
    margin: float = 0.05,
) -> Comparison:
    settings = replace(SETTINGS, primary=info.name, margins={info.name: margin})
    scores = {"base": rows(**{info.name: base})} | {
        name: rows(**{info.name: made}) for name, made in candidates.items()
    }
    others = {name: of for name, of in scores.items() if name != "base"}
    found = compare("base", scores["base"], others, {info.name: info}, settings)
    sure = sure_so_far(scores["base"], others, info, settings, at)
    comparison = stopped(found, scores, at, settings)
    if at.rows < at.of:
        assert sure == comparison.verdicts  # what decides to stop is what is told
    return comparison


def test_the_wealth_is_the_mean_of_what_each_share_won() -> None:
    # a gain of twice the mean, then none at all
    won = np.exp(wealth(np.array([2.0, 0.0]), 1.0, (0, 1, 2)))
    assert won == pytest.approx([1, np.mean(1 + SHARES), np.mean((1 + SHARES) * (1 - SHARES))])
    assert ConfidenceSequence(np.array([1.0]), 1.0, (1,)).p_above(0.0) == pytest.approx(1 / np.mean(1 + SHARES))


def test_the_ends_are_where_the_p_values_are_the_error() -> None:
    seen = ConfidenceSequence(np.random.default_rng(0).normal(0.1, 0.2, 150).clip(-1, 1), 1.0, (50, 100, 150))
    low, high = seen.ends(0.025)
    assert (seen.p_above(low), seen.p_below(high)) == pytest.approx((0.025, 0.025))
    assert low < seen.values.mean() < high
    earlier = ConfidenceSequence(seen.values[:100], 1.0, (50, 100)).ends(0.025)
    assert earlier[0] <= low
    assert high <= earlier[1]  # what was excluded stays so


def test_without_a_row_nothing_is_known() -> None:
    nothing = ConfidenceSequence(np.array([]), 1.0, (0,))
    assert nothing.ends(0.025) == pytest.approx((-1, 1))
    assert (nothing.p_above(0.0), nothing.p_below(0.0)) == pytest.approx((1, 1))


@pytest.mark.parametrize("name", ["token F1", "exact match", "skewed"])
def test_no_effect_is_seldom_told_for_one_over_the_whole_path_and_by_peeking_often(name: str) -> None:
    found = simulate(name, 0.0, RUNS)
    assert found["rule"][0] / 100 <= stats.binom(RUNS, ALPHA).ppf(0.999) / RUNS
    assert found["peeking"][0] > 12


def test_an_effect_on_the_edge_of_the_margin_is_seldom_told_to_lie_inside() -> None:
    assert simulate("hardly acts", 0.01, RUNS)["rule"][0] / 100 <= stats.binom(RUNS, ALPHA).ppf(0.999) / RUNS


def test_a_large_effect_saves_most_of_the_rows() -> None:
    _, told, asked = simulate("token F1", 0.055, RUNS)["rule"]
    assert told == 100
    assert asked < 35


def test_one_who_looks_at_every_row_is_not_wrong_more_often() -> None:
    values = np.where(
        np.random.default_rng(1).random((300, 120)) < 1 / 20, -0.95, 0.05
    )  # of mean 0, most of them above
    ever = sides(values, 1.0, range(1, 121), None, ALPHA)[:, -1] != UNKNOWN
    assert ever.sum() <= stats.binom(300, ALPHA).ppf(0.999)
    assert sides(values + 0.04, 1.0, (120,), None, ALPHA).max() == ABOVE  # and yet it finds what is there


def test_the_order_is_of_seed_and_id_alone() -> None:
    ids = [f"q{i}" for i in range(50)]
    order = drawn(ids, 3)
    assert sorted(order) == sorted(ids) != order
    assert drawn(ids[::-1], 3) == order != drawn(ids, 4)
    assert [row for row in order if row in ids[:20]] == drawn(ids[:20], 3)


def test_blocks_grow_with_what_was_asked_and_end_with_the_rows() -> None:
    assert looks_of(10) == (10,)
    assert looks_of(648)[:2] == (64, 128)
    assert looks_of(648)[-2:] == (576, 648)  # not after 640, with eight rows to come
    assert len(looks_of(100_000)) < 70


@pytest.mark.parametrize(("lift", "verdict"), [(0.2, "better"), (-0.2, "worse"), (0.0, "equivalent")])
def test_what_is_sure_is_told_with_its_interval(lift: float, verdict: str) -> None:
    rng = np.random.default_rng(2)
    base = rng.uniform(0.3, 0.7, 256)
    row = judged(base, {"mine": base + lift + rng.normal(0, 0.02, 256)}, stopping(256, 648, 128, 256)).rows[0]
    assert row.verdict == verdict
    assert row.test == "betting"
    assert row.interval is not None
    assert row.equivalence_interval is not None
    assert row.interval.level == 0.975
    assert row.interval.low < row.equivalence_interval.low < lift < row.equivalence_interval.high < row.interval.high
    assert row.minimum_detectable_effect is None


def test_of_a_metric_where_less_is_better_a_rise_is_worse() -> None:
    base = np.random.default_rng(2).uniform(0.3, 0.5, 128)
    loss = replace(LOSS, high=1.0)
    assert judged(base, {"mine": base + 0.3}, stopping(128, 648), loss).verdicts == {"mine": "worse"}


def test_several_adapters_share_the_error_rate() -> None:
    rng = np.random.default_rng(3)
    base = rng.uniform(0.2, 0.6, 64)
    made = {f"v{k}": base + rng.normal(0.03, 0.1, 64) for k in range(4)}
    alone, *_ = judged(base, {"v0": made["v0"]}, stopping(64, 648)).rows
    first, *_ = judged(base, made, stopping(64, 648)).rows
    assert first.p_value == alone.p_value
    assert first.p_adjusted == min(1, 8 * alone.p_value)  # type: ignore[operator]
    assert first.interval is not None
    assert alone.interval is not None
    assert first.interval.level == pytest.approx(1 - ALPHA / 8)
    assert first.interval.low < alone.interval.low


def test_where_rows_run_out_the_rest_of_the_error_rate_decides() -> None:
    rng = np.random.default_rng(4)
    base = rng.uniform(0.2, 0.6, 200)
    mine = base + np.where(rng.random(200) < 0.5, 0.0, rng.normal(0.045, 0.1, 200))
    undecided = judged(base, {"mine": mine}, stopping(200, 300, 64, 128, 200), margin=0.005).rows[0]
    row = judged(base, {"mine": mine}, stopping(200, 200, 64, 128, 200), margin=0.005).rows[0]
    assert undecided.verdict == "inconclusive"
    assert (row.verdict, row.test) == ("better", "t, after all rows")
    expected = stats.ttest_1samp(mine - base, 0)
    assert row.p_value == pytest.approx(expected.pvalue)
    assert row.p_adjusted == pytest.approx(2 * expected.pvalue)
    low, high = expected.confidence_interval(0.975)
    assert row.interval is not None
    assert (row.interval.low, row.interval.high) == pytest.approx((low, high))


def test_other_metrics_have_a_sequence_of_their_own_or_none_and_never_a_verdict() -> None:
    rng = np.random.default_rng(5)
    base, n = rng.uniform(0.3, 0.6, 128), 128
    infos = {info.name: info for info in (QUALITY, RIGHT, LOSS, WORDS)}
    left = rows(quality=base, right=rng.integers(0, 2, n), loss=rng.random(n), words=rng.integers(1, 9, n))
    right = rows(quality=base + 0.2, right=np.ones(n), loss=rng.random(n), words=rng.integers(1, 9, n))
    scores = {"base": left, "mine": right}
    settings = with_margins(Settings("quality", resamples=200), left, infos, {})
    found = compare("base", left, {"mine": right}, infos, settings)
    of = {row.metric: row for row in stopped(found, scores, stopping(128, 648), settings).rows}
    assert of["quality"].verdict == "better"
    assert [of[name].verdict for name in ("right", "loss", "words")] == [None] * 3
    assert [of[name].p_value for name in ("right", "loss", "words")] == [None] * 3
    assert of["right"].interval is not None
    assert (of["right"].interval.method, of["right"].interval.level) == ("betting", 0.975)
    assert of["loss"].interval is None  # without bounds no sequence
    assert of["loss"].difference == next(row.difference for row in found.rows if row.metric == "loss")


def test_rows_without_a_value_take_no_part_and_are_counted() -> None:
    base = np.full(128, 0.3)
    left = rows(quality=base)
    right = [Score(row.id, {"quality": None if place % 2 else 0.7}) for place, row in enumerate(left)]
    found = compare("base", left, {"mine": right}, {"quality": QUALITY}, SETTINGS)
    row = stopped(found, {"base": left, "mine": right}, stopping(128, 648, 64, 128), SETTINGS).rows[0]
    assert (row.n, row.dropped, row.verdict) == (64, 64, "better")


def test_rows_that_contradict_each_other_decide_nothing() -> None:
    order = drawn((f"q{i:05}" for i in range(400)), 0)
    place = {name: number for number, name in enumerate(order)}
    drift = np.array([0.6 if place[f"q{i:05}"] < 200 else -0.9 for i in range(400)])
    row = judged(np.zeros(400), {"mine": drift}, stopping(400, 648, 200, 400)).rows[0]
    assert (row.verdict, row.interval) == ("inconclusive", None)
    assert CONTRADICTION in row.warnings


def test_what_was_sure_and_is_not_by_the_final_scores_is_said() -> None:
    base = np.random.default_rng(6).uniform(0.3, 0.5, 64)
    left, right = rows(quality=base), rows(quality=base[::-1])
    found = compare("base", left, {"mine": right}, {"quality": QUALITY}, SETTINGS)
    row = stopped(found, {"base": left, "mine": right}, stopping(64, 648), SETTINGS).rows[0]
    assert (row.verdict, SURE_BEFORE in row.warnings) == ("inconclusive", True)


def test_a_metric_beyond_its_own_bounds_that_does_not_decide_has_no_interval() -> None:
    base = np.full(64, 0.3)
    left, right = rows(quality=base, right=base), rows(quality=base + 0.3, right=base + 3)
    infos = {info.name: info for info in (QUALITY, RIGHT)}
    found = compare("base", left, {"mine": right}, infos, SETTINGS)
    quality, beyond = stopped(found, {"base": left, "mine": right}, stopping(64, 648), SETTINGS).rows
    assert (quality.verdict, beyond.interval) == ("better", None)


def test_where_nothing_was_ever_won_every_mean_stands() -> None:
    assert ConfidenceSequence(np.full(30, 1.0), 1.0, (30,)).ends(0.025)[1] == 1.0


def test_without_a_scored_pair_nothing_is_sure() -> None:
    left = [Score(f"q{i:05}", {"quality": None}) for i in range(64)]
    found = compare("base", left, {"mine": left}, {"quality": QUALITY}, SETTINGS)
    row = stopped(found, {"base": left, "mine": left}, stopping(64, 64), SETTINGS).rows[0]
    assert (row.verdict, row.interval, row.difference) == ("inconclusive", None, None)


@pytest.mark.parametrize("info", [LOSS, PERPLEXITY, replace(QUALITY, high=float("inf"))])
def test_a_metric_without_bounds_or_rows_is_refused(info: MetricInfo) -> None:
    with pytest.raises(UsageError, match="`--stop-when-sure` needs a primary metric with a bounded value"):
        reach_of(info)


def test_a_value_beyond_the_bounds_that_a_metric_says_is_refused() -> None:
    with pytest.raises(ComparisonError, match=r"quality to be 0 to 1, as it says, and two differ by 1\.5"):
        judged(np.zeros(64), {"mine": np.full(64, 1.5)}, stopping(64, 648))


def test_inside_needs_a_margin() -> None:
    still = np.zeros((1, 500))
    assert sides(still, 1.0, (500,), 0.05, ALPHA)[0, 0] == INSIDE
    assert sides(still, 1.0, (500,), None, ALPHA)[0, 0] == UNKNOWN
