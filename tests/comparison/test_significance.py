from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from loralift.comparison import pair
from loralift.comparison.contrast import Contrast, contrast
from loralift.comparison.pairing import sample
from loralift.comparison.resampling import EXACT_UP_TO, relabel
from loralift.comparison.significance import mcnemar, needs_relabelling, significance
from tests.comparison.shapes import PERPLEXITY, QUALITY, bounded, corpus_rows, likelihoods, perplexity, rows


def contrast_of(baseline: np.ndarray, candidate: np.ndarray) -> Contrast:
    found = contrast(sample(pair(rows(quality=baseline), rows(quality=candidate)), QUALITY))
    assert found is not None
    return found


def p_value(found: Contrast, resamples: int = 10_000) -> float:
    relabelled = relabel([found], 0, resamples)[0] if needs_relabelling(found) else None
    tested = significance(found, relabelled)
    assert tested is not None
    return tested.p_value


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1])
def test_small_samples_are_exact(shift: float) -> None:
    baseline, candidate = bounded(11, 1, shift)
    theirs = stats.permutation_test(
        (candidate - baseline,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert p_value(contrast_of(baseline, candidate)) == pytest.approx(theirs, abs=1e-12)


def test_large_samples_agree_with_scipy_and_with_t() -> None:
    baseline, candidate = bounded(200, 2, 0.01)
    ours = p_value(contrast_of(baseline, candidate), 40_000)
    theirs = stats.permutation_test(
        (candidate - baseline,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=40_000,
        vectorized=True,
        rng=np.random.default_rng(5),
    ).pvalue
    assert 0.01 < ours < 0.5
    assert ours == pytest.approx(theirs, abs=4 * np.sqrt(2 * ours * (1 - ours) / 40_000))
    assert ours == pytest.approx(stats.ttest_rel(candidate, baseline).pvalue, abs=0.01)


def test_exact_and_random_agree_where_the_exact_ends() -> None:
    baseline, candidate = bounded(EXACT_UP_TO, 8, 0.04)
    found = contrast_of(baseline, candidate)
    exact = p_value(found)
    (drawn,) = relabel([found], 0, 40_000)
    random = float((np.abs(drawn) >= abs(found.difference) - 1e-12).mean())
    assert 0.01 < exact < 0.9
    assert random == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 40_000))


def test_ties_leave_an_exact_test_exact() -> None:
    baseline, candidate = bounded(8, 3, 0.1)
    tied = np.full(500, 0.5)
    alone = p_value(contrast_of(baseline, candidate))
    among_ties = p_value(contrast_of(np.append(baseline, tied), np.append(candidate, tied)))
    assert among_ties == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (5, 5), (14, 3), (3, 14), (400, 330)])
def test_mcnemar_agrees_with_the_binomial_test(wins: int, losses: int) -> None:
    theirs = stats.binomtest(wins, wins + losses, 0.5).pvalue if wins + losses else 1.0
    assert mcnemar(wins, losses) == pytest.approx(theirs, rel=1e-9)


def test_binary_values_take_mcnemar() -> None:
    baseline, candidate = np.repeat([0, 1, 1, 0], [30, 30, 4, 12]), np.repeat([0, 1, 0, 1], [30, 30, 4, 12])
    tested = significance(contrast_of(baseline, candidate), None)
    assert tested is not None
    assert (tested.test, tested.p_value) == ("McNemar (exact)", pytest.approx(mcnemar(12, 4)))


def test_a_corpus_metric_swaps_statistics() -> None:
    left, right = likelihoods(9, 2, factor=0.95)
    found = contrast(
        sample(pair(corpus_rows("perplexity", left), corpus_rows("perplexity", right)), PERPLEXITY, perplexity)
    )
    assert found is not None
    differences = []
    for swaps in range(2**9):
        swap = np.array([swaps >> i & 1 for i in range(9)])[:, None].astype(bool)
        one, other = np.where(swap, right, left), np.where(swap, left, right)
        differences.append(perplexity(other.sum(axis=0)) - perplexity(one.sum(axis=0)))
    expected = (np.abs(differences) >= abs(found.difference) - 1e-9).mean()
    assert p_value(found) == pytest.approx(expected, abs=1e-12)


def test_no_random_p_is_zero_and_the_floor_is_known() -> None:
    baseline, candidate = bounded(100, 2, 0.3)
    found = contrast_of(baseline, candidate)
    tested = significance(found, relabel([found], 0, 999)[0])
    assert tested is not None
    assert tested.p_value == 1 / 1000
    assert tested.at_floor
