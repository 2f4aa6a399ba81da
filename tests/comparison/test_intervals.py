from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from loralift.comparison.estimate import of_corpus, of_corpus_difference, of_mean
from loralift.comparison.intervals import BCA_FROM, Point, Tango, Wilson, chosen, confidence, interval
from loralift.comparison.resampling import POISSON_FROM, bootstrap
from tests.comparison.shapes import likelihoods, perplexity

SKEWED = np.random.default_rng(3).gamma(0.7, 0.2, 60) - 0.1


def made(values: np.ndarray, method: str, resamples: int = 20_000):
    estimate = of_mean(values)
    (replicates,) = bootstrap([estimate], 0, resamples)
    known = confidence(estimate, method, replicates)
    assert known is not None
    return known


def test_t_agrees_with_scipy() -> None:
    known = confidence(of_mean(SKEWED), "t")
    assert known is not None
    ours, theirs = interval(known, 0.95), stats.ttest_1samp(SKEWED, 0).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), [("bca", "BCa"), ("percentile", "percentile")])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_bootstrap_agrees_with_scipy(ours: str, theirs: str, level: float) -> None:
    found = interval(made(SKEWED, ours), level)
    reference = stats.bootstrap(
        (SKEWED,), np.mean, n_resamples=20_000, confidence_level=level, method=theirs, rng=np.random.default_rng(1)
    ).confidence_interval
    width = reference.high - reference.low
    assert found.low == pytest.approx(reference.low, abs=0.02 * width)
    assert found.high == pytest.approx(reference.high, abs=0.02 * width)


def test_bca_differs_from_the_percentile_where_there_is_skew() -> None:
    bca, percentile = interval(made(SKEWED, "bca"), 0.95), interval(made(SKEWED, "percentile"), 0.95)
    assert bca.high > percentile.high + 0.02 * (percentile.high - percentile.low)


def test_a_corpus_statistic_agrees_with_scipy() -> None:
    left, right = likelihoods(50, 1, factor=0.97)
    estimate = of_corpus_difference(left, right, perplexity)
    (replicates,) = bootstrap([estimate], 0, 40_000)
    known = confidence(estimate, "bca", replicates)
    assert known is not None

    def statistic(rows, axis):
        return perplexity(right[rows].sum(axis=-2)) - perplexity(left[rows].sum(axis=-2))

    reference = stats.bootstrap(
        (np.arange(50),), statistic, n_resamples=40_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    found, width = interval(known, 0.95), reference.high - reference.low
    assert found.low == pytest.approx(reference.low, abs=0.03 * width)
    assert found.high == pytest.approx(reference.high, abs=0.03 * width)


def test_the_jackknife_of_a_ratio_agrees_with_leaving_rows_out() -> None:
    left, _ = likelihoods(12, 4)
    whole = perplexity(left.sum(axis=0))
    expected = [12 * whole - 11 * perplexity(np.delete(left, i, axis=0).sum(axis=0)) for i in range(12)]
    np.testing.assert_allclose(of_corpus(left, perplexity).pseudo_values, expected, rtol=1e-9)


def test_poisson_counts_agree_with_multinomial_ones() -> None:
    values = np.random.default_rng(0).gamma(1, 1, POISSON_FROM)
    poisson, multinomial = made(values, "percentile", 10_000), made(values[:-1], "percentile", 10_000)
    width = 2 * 1.96 * values.std() / np.sqrt(values.size)
    for q in (0.025, 0.5, 0.975):
        assert poisson.quantile(q) == pytest.approx(multinomial.quantile(q), abs=0.04 * width)


@pytest.mark.parametrize("method", ["t", "bca", "percentile", "expanded percentile"])
def test_cdf_is_the_inverse_of_quantile(method: str) -> None:
    known = made(SKEWED, method)
    for q in (0.025, 0.05, 0.3, 0.95):
        assert known.cdf(known.quantile(q)) == pytest.approx(q, abs=1e-3)


def test_the_expansion_is_that_of_student_t() -> None:
    symmetric = stats.norm.ppf(np.linspace(0.5 / 20, 1 - 0.5 / 20, 20))
    expanded, t = interval(made(symmetric, "expanded percentile"), 0.95), interval(made(symmetric, "t"), 0.95)
    assert expanded.high - expanded.low == pytest.approx(t.high - t.low, rel=0.03)


def test_tango_agrees_with_the_published_example() -> None:
    """Airway hyper-responsiveness before and after transplantation: Fagerland, Lydersen and Laake (2014)."""
    found = interval(Tango(wins=1, losses=7, n=21), 0.95)
    assert (found.low, found.high) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_tango_at_zero_is_mcnemar_without_correction() -> None:
    assert Tango(14, 5, 200).cdf(0.0) == pytest.approx(stats.norm.sf((14 - 5) / np.sqrt(19)))


@pytest.mark.parametrize(("wins", "losses", "n"), [(0, 0, 30), (30, 0, 30), (0, 30, 30), (15, 15, 30), (1, 0, 2)])
def test_tango_has_ends_at_the_edges(wins: int, losses: int, n: int) -> None:
    found = interval(Tango(wins, losses, n), 0.95)
    assert -1 <= found.low <= (wins - losses) / n <= found.high <= 1
    assert found.low < found.high


@pytest.mark.parametrize(("ones", "n"), [(0, 10), (10, 10), (3, 17), (400, 648)])
def test_wilson_agrees_with_statsmodels(ones: int, n: int) -> None:
    known = Wilson(ones, n)
    found = interval(known, 0.95)
    assert (found.low, found.high) == pytest.approx(proportion_confint(ones, n, method="wilson"), abs=1e-12)
    if 0 < ones < n:
        assert known.cdf(found.low) == pytest.approx(0.025)


def test_no_spread_is_a_point_that_few_rows_do_not_prove() -> None:
    known = confidence(of_mean(np.full(3, 0.25)), "t")
    assert known == Point(0.25, 3)
    assert interval(Point(0.25, 3), 0.95) == interval(Point(0.25, 300), 0.95)
    assert Point(0.25, 3).cdf(0.0) == 0.125
    assert Point(0.25, 300).cdf(0.0) < 1e-80


def test_auto_takes_what_the_simulation_chose() -> None:
    few, many = of_mean(SKEWED), of_mean(np.resize(SKEWED, BCA_FROM))
    assert chosen(few, "auto", corpus=False) == "t"
    assert chosen(few, "auto", corpus=True) == "expanded percentile"
    assert chosen(many, "auto", corpus=False) == chosen(many, "auto", corpus=True) == "bca"


def test_fewer_than_two_rows_have_no_interval() -> None:
    assert confidence(of_mean(np.array([1.0])), "t") is None
