"""The difference at equal length: against statsmodels, and with truths that were planted."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from loralift.comparison import Settings, adjust_for_length, compare
from loralift.comparison.lengths import fit
from loralift.records import LengthAdjustment, MetricInfo, Score
from tests.comparison.shapes import LOSS, PERPLEXITY, QUALITY, RIGHT, infos, rows

WORDS = MetricInfo("answer_words", "Words", high=None, higher_is_better=None)


def lengths(n: int, seed: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Words of a baseline's and of a candidate's answers, whose logarithms differ by the shift on average."""
    rng = np.random.default_rng(seed)
    baseline = np.round(np.exp(rng.normal(4.3, 0.6, n)))
    return baseline, np.round(baseline * np.exp(rng.normal(shift, 0.5, n)))


def planted(
    effect: float, slope: float, n: int = 300, seed: int = 0, shift: float = 0.4
) -> tuple[list[Score], list[Score]]:
    """Rows whose quality moves by the effect, and by the slope times the difference in log words."""
    before, after = lengths(n, seed, shift)
    rng = np.random.default_rng(seed + 1)
    quality = rng.beta(5, 3, n)
    longer = np.log1p(after) - np.log1p(before)
    moved = quality + effect + slope * longer + rng.normal(0, 1, n) * (0.02 + 0.04 * np.abs(longer))
    return rows(quality=quality, answer_words=before), rows(quality=moved, answer_words=after)


def adjusted(baseline: list[Score], candidate: list[Score], **settings) -> LengthAdjustment:
    (found,) = adjust_for_length(baseline, {"lora": candidate}, infos(QUALITY, WORDS), **settings)
    return found


def by_hand(quality: list, before: list, after: list) -> LengthAdjustment:
    """A baseline of quality 0."""
    return adjusted(rows(quality=[0.0] * len(quality), answer_words=before), rows(quality=quality, answer_words=after))


@pytest.mark.parametrize("n", [5, 40, 648])
def test_the_line_and_its_errors_are_those_of_statsmodels(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.gamma(2, 0.3, n) - 0.2
    y = 0.1 + 0.5 * x + rng.normal(0, 1, n) * np.abs(x)
    ours = fit(x, y)
    theirs = sm.OLS(y, sm.add_constant(x)).fit(cov_type="HC3", use_t=True)
    assert (ours.intercept, ours.slope) == pytest.approx(tuple(theirs.params), abs=1e-10)
    assert (ours.intercept_error, ours.slope_error) == pytest.approx(tuple(theirs.bse), rel=1e-9)
    assert ours.freedom == theirs.df_resid


def test_the_interval_is_that_of_statsmodels() -> None:
    baseline, candidate = planted(0.02, 0.05)
    found = adjusted(baseline, candidate)
    before, after = ([row.values["answer_words"] for row in side] for side in (baseline, candidate))
    x = np.log1p(after) - np.log1p(before)
    y = np.array(
        [row.values["quality"] - base.values["quality"] for row, base in zip(candidate, baseline, strict=True)]
    )
    theirs = sm.OLS(y, sm.add_constant(x)).fit(cov_type="HC3", use_t=True)
    assert found.adjusted == pytest.approx(theirs.params[0], abs=1e-12)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(theirs.conf_int()[0]), abs=1e-12)
    assert (found.interval.level, found.interval.method) == (0.95, "HC3 t")
    assert found.difference == pytest.approx(y.mean())
    assert (found.words_baseline, found.words_candidate) == pytest.approx((np.mean(before), np.mean(after)))


def test_a_rise_that_is_all_length_is_explained_by_it() -> None:
    baseline, candidate = planted(0.0, 0.05)
    found = adjusted(baseline, candidate)
    (row,) = compare("base", baseline, {"lora": candidate}, infos(QUALITY), Settings("quality")).rows
    assert row.verdict == "better"
    assert found.difference == pytest.approx(row.difference)
    assert found.explained == pytest.approx(1.0, abs=0.25)
    assert found.interval is not None
    assert found.interval.low < 0 < found.interval.high


def test_a_rise_that_is_not_length_is_not_explained_by_it() -> None:
    found = adjusted(*planted(0.03, 0.0))
    assert found.explained == pytest.approx(0.0, abs=0.2)
    assert found.interval is not None
    assert 0 < found.interval.low < 0.03 < found.interval.high


def test_shorter_answers_can_hide_a_gain() -> None:
    found = adjusted(*planted(0.05, 0.05, shift=-0.5))
    assert found.difference == pytest.approx(0.025, abs=0.01)
    assert found.adjusted == pytest.approx(0.05, abs=0.01)
    assert found.explained is not None
    assert found.explained < -0.4


def test_a_gain_that_turns_its_sign_has_no_share_and_says_so() -> None:
    found = adjusted(*planted(-0.02, 0.12))
    assert found.difference > 0.02
    assert found.adjusted == pytest.approx(-0.02, abs=0.01)
    assert found.explained is None
    assert found.warnings == ("At equal length the difference has the other sign.",)


def test_no_share_of_a_difference_that_is_not_significant() -> None:
    found = adjusted(*planted(0.0, 0.0))
    assert found.adjusted is not None
    assert found.explained is None


def test_no_share_that_the_data_do_not_tell() -> None:
    """A clear gain in rows of which most are longer by the same factor: the slope could be anything."""
    quality = np.random.default_rng(1).normal(0.07, 0.1, 30)
    found = by_hand(list(quality), [20] * 30, [20] * 5 + [40] * 25)
    assert stats.ttest_1samp(quality, 0).pvalue < 0.01
    assert found.adjusted is not None
    assert found.explained is None
    assert found.warnings == ("The data do not tell how much of the difference length explains.",)


def test_coverage_of_the_planted_effect() -> None:
    """1,000 samples of 60 rows with uneven scatter: 95 % within four simulation errors."""
    t = stats.t.ppf(0.975, 58)
    covered = 0
    for seed in range(1_000):
        before, after = lengths(60, seed, 0.3)
        x = np.log1p(after) - np.log1p(before)
        noise = np.random.default_rng([seed, 1]).normal(0, 1, 60) * (0.03 + 0.12 * np.abs(x))
        line = fit(x, 0.03 + 0.06 * x + noise)
        covered += abs(line.intercept - 0.03) <= t * line.intercept_error
    assert covered / 1_000 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 1_000))


@pytest.mark.parametrize(("factor", "word"), [(3.0, "short"), (0.3, "long")])
def test_equal_length_that_never_occurs_is_not_made_up(factor: float, word: str) -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(50, 100, 60)
    found = by_hand(list(rng.normal(0.1, 0.1, 60)), list(before), list(before * factor))
    assert (found.adjusted, found.interval, found.explained) == (None, None, None)
    assert found.difference == pytest.approx(0.1, abs=0.05)
    assert found.warnings == (
        f"Only 0 of 60 answers are as {word} as the baseline's: the data do not show equal length.",
    )


@pytest.mark.parametrize(("shorter", "told"), [(19, False), (20, True)])
def test_one_pair_in_twenty_must_lie_on_each_side(shorter: int, told: bool) -> None:
    quality = np.random.default_rng(0).normal(0.1, 0.1, 400)
    found = by_hand(list(quality), [20] * 400, [15] * shorter + [30] * (400 - shorter))
    assert (found.adjusted is not None) == told


def test_lengths_that_never_differ_leave_the_difference_as_it_is() -> None:
    quality = np.random.default_rng(1).normal(0.1, 0.1, 30)
    found = by_hand(list(quality), [20] * 30, [20] * 30)
    half = stats.t.ppf(0.975, 29) * quality.std(ddof=1) / math.sqrt(30)
    assert (found.adjusted, found.explained) == (pytest.approx(quality.mean()), 0.0)
    assert found.interval is not None
    assert found.interval.high - found.interval.low == pytest.approx(2 * half)


def test_too_few_pairs_are_not_adjusted() -> None:
    for n in (1, 2, 9):
        found = by_hand([0.1] * n, list(range(10, 10 + n)), [14] * n)
        assert (found.n, found.adjusted, found.interval) == (n, None, None)
        assert found.warnings == (f"{n} pairs are too few to adjust for length.",)


def test_one_row_that_makes_the_spread_is_named_and_gives_no_share() -> None:
    quality = np.random.default_rng(2).normal(0.2, 0.05, 30)
    found = by_hand(list(quality), [20] * 30, [20] * 29 + [400])
    assert found.warnings[-1] == "Row q00029 alone makes 97% of the spread of the differences in length."
    assert found.adjusted == pytest.approx(quality[:29].mean())
    assert found.explained is None


def test_a_line_through_every_pair_is_a_point() -> None:
    """Twice the slope of a doubled length, and nothing else."""
    before, after = [9] * 20 + [19] * 20, [19] * 20 + [9] * 20
    found = by_hand([math.log(2) / 4] * 20 + [-math.log(2) / 4] * 20, before, after)
    assert found.interval is not None
    assert found.interval.method == "no spread"
    assert found.interval.low == found.interval.high == pytest.approx(0.0, abs=1e-12)


def test_rows_without_value_or_words_are_left_out() -> None:
    baseline, candidate = planted(0.03, 0.05, n=50)
    expected = adjusted(baseline[3:], candidate[3:])
    nothing = {"quality": math.nan, "answer_words": 5.0}
    candidate[0] = dataclasses.replace(candidate[0], values=nothing)
    candidate[1] = dataclasses.replace(candidate[1], values={"quality": 0.4, "answer_words": None})
    baseline[2] = dataclasses.replace(baseline[2], values={"quality": 0.4})
    assert adjusted(list(reversed(baseline)), candidate) == expected


def test_only_judged_means_of_rows_are_adjusted_for_each_candidate() -> None:
    before, after = lengths(40, 0, 0.1)
    quality = np.random.default_rng(0).beta(5, 3, 40)
    baseline = rows(quality=quality, loss=1 - quality, right=quality > 0.5, perplexity=quality, answer_words=before)
    candidate = rows(quality=quality, loss=1 - quality, right=quality > 0.6, perplexity=quality, answer_words=after)
    described = infos(QUALITY, LOSS, RIGHT, PERPLEXITY, WORDS)
    found = adjust_for_length(baseline, {"one": candidate, "two": baseline}, described)
    assert [(row.candidate, row.metric) for row in found] == [
        (candidate, metric) for candidate in ("one", "two") for metric in ("quality", "loss", "right")
    ]
    assert adjust_for_length(baseline, {"one": candidate}, described, lengths="tokens") == ()


def test_repeats_count_questions() -> None:
    baseline, candidate = planted(0.03, 0.05, n=40)
    repeated = [
        [Score(f"{row.id}#{k}", row.values) for row in side for k in range(5)] for side in (baseline, candidate)
    ]
    found = adjusted(*repeated, clusters=lambda row: row.partition("#")[0])
    expected = adjusted(baseline, candidate)
    assert found.n == 40
    assert found.adjusted == pytest.approx(expected.adjusted)
    assert found.interval is not None
    assert expected.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.interval.low, expected.interval.high))


def test_a_line_without_spread_is_refused() -> None:
    with pytest.raises(ValueError, match="without spread in x"):
        fit(np.full(10, 0.7), np.arange(10.0))
