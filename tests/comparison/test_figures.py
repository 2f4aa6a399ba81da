"""Power, families, effects, equivalence: each against another implementation."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from loralift.comparison import holm, minimum_detectable_effect, pair, power, rows_needed
from loralift.comparison.contrast import contrast
from loralift.comparison.effects import cohens_dz, outcomes, shape_warnings
from loralift.comparison.equivalence import equivalence
from loralift.comparison.estimate import of_mean
from loralift.comparison.family import PRIMARY_SHARE, weights
from loralift.comparison.intervals import Point, confidence
from loralift.comparison.pairing import sample
from tests.comparison.shapes import LOSS, QUALITY, bounded, rows


@pytest.mark.parametrize("n", [2, 5, 30, 648, 20_000])
@pytest.mark.parametrize("d", [0.02, 0.2, 0.5])
def test_power_agrees_with_statsmodels(n: int, d: float) -> None:
    assert power(3 * d, 3.0, n) == pytest.approx(TTestPower().power(d, n, 0.05), abs=2e-4)


def test_power_grows_with_the_effect_where_the_noncentral_t_gives_out() -> None:
    for n in (2, 5, 30, 648):
        grown = [power(d, 1.0, n) for d in np.geomspace(0.01, 1000, 60)]
        assert np.isfinite(grown).all()
        assert np.diff(grown).min() > -1e-6
        assert grown[-1] > 0.999


@pytest.mark.parametrize("n", [5, 30, 648])
def test_minimum_detectable_effect_agrees_with_statsmodels(n: int) -> None:
    theirs = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert minimum_detectable_effect(2.0, n) == pytest.approx(2 * theirs, rel=1e-4)


@pytest.mark.parametrize("d", [0.05, 0.1, 0.5, -0.5, 3.0])
def test_rows_needed_agrees_with_statsmodels(d: float) -> None:
    assert rows_needed(d, 1.0) == int(np.ceil(TTestPower().solve_power(effect_size=abs(d), alpha=0.05, power=0.8)))


def test_nothing_to_detect_has_no_rows_and_no_effect() -> None:
    assert rows_needed(0.0, 1.0) is None
    assert rows_needed(0.1, 0.0) is None
    assert rows_needed(1e-9, 1.0) is None
    assert minimum_detectable_effect(0.0, 30) is None
    assert minimum_detectable_effect(1.0, 1) is None


def test_holm_agrees_with_statsmodels() -> None:
    p = np.random.default_rng(0).beta(0.3, 1, 25)
    np.testing.assert_allclose(holm(list(p)), multipletests(p, method="holm")[1], atol=1e-12)


def test_weighted_holm_by_hand() -> None:
    """0.03 at weight 0.8 first (0.0375), then 0.01 at 0.1 with 0.2 left (0.02, raised), then 0.04 alone."""
    assert holm([0.03, 0.01, 0.04], [0.8, 0.1, 0.1]) == pytest.approx([0.0375, 0.0375, 0.04])


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == []


def test_the_primary_metric_holds_most_of_alpha() -> None:
    shares = weights(["a", "b", "c", "a", "b", "c"], "a")
    assert sum(shares) == pytest.approx(1)
    assert shares[0] == shares[3] == PRIMARY_SHARE / 2
    assert weights(["a", "a"], "a") == [0.5, 0.5]
    assert weights(["b", "c"], "a") == [0.5, 0.5]


@pytest.mark.parametrize("margin", [0.005, 0.02, 0.05])
def test_equivalence_agrees_with_statsmodels(margin: float) -> None:
    baseline, candidate = bounded(100, 4)
    known = confidence(of_mean(candidate - baseline), "t")
    assert known is not None
    found = equivalence(known, margin)
    theirs = DescrStatsW(candidate - baseline).ttost_mean(-margin, margin)[0]
    assert found.p_value == pytest.approx(theirs, abs=1e-12)
    assert found.holds == (theirs < 0.05)
    assert found.holds == (-margin < found.interval.low and found.interval.high < margin)


def test_two_equal_pairs_do_not_prove_equivalence_but_ten_do() -> None:
    assert not equivalence(Point(0.0, 2), 0.01).holds
    assert equivalence(Point(0.0, 10), 0.01).holds
    assert not equivalence(Point(0.0, 10), None).holds


def test_outcomes_follow_the_direction() -> None:
    pairs = pair(rows(quality=[1, 2, 3, 4], loss=[1, 2, 3, 4]), rows(quality=[2, 2, 4, 3], loss=[2, 2, 4, 3]))
    up, down = outcomes(sample(pairs, QUALITY), True), outcomes(sample(pairs, LOSS), False)
    assert (up.wins, up.ties, up.losses, up.superiority) == (2, 1, 1, 0.625)
    assert (down.wins, down.ties, down.losses, down.superiority) == (1, 1, 2, 0.375)


def test_rounding_is_a_tie() -> None:
    pairs = pair(rows(quality=[0.1 + 0.2, 1.0]), rows(quality=[0.3, 1.0]))
    assert outcomes(sample(pairs, QUALITY), True).ties == 2


def test_effect_size_is_the_mean_over_the_deviation_of_the_differences() -> None:
    baseline, candidate = bounded(50, 6, 0.05)
    found = contrast(sample(pair(rows(quality=baseline), rows(quality=candidate)), QUALITY))
    assert found is not None
    differences = candidate - baseline
    assert cohens_dz(found) == pytest.approx(differences.mean() / differences.std(ddof=1))


def sentences(differences: list[float]) -> str:
    zeros = [0.0] * len(differences)
    rows_of = sample(pair(rows(quality=zeros), rows(quality=differences)), QUALITY)
    found = contrast(rows_of)
    assert found is not None
    return " ".join(shape_warnings(found, rows_of.ids))


def test_a_row_that_outweighs_the_rest_is_named() -> None:
    spread = list(np.linspace(-1, 1, 39))
    assert "Heavy tail: row q00039 alone makes 94%" in sentences([*spread, 20.0])
    assert sentences([*spread, 1.0]) == ""


def test_skew_and_few_differing_pairs_are_told() -> None:
    assert "skewed (+" in sentences(list(-np.log(np.linspace(0.99, 0.01, 40))))
    assert "Only 3 of 60 pairs differ" in sentences([0.5, -0.4, 0.3, *[0.0] * 57])
    assert "no pair differs" in sentences([0.0] * 20)
    assert "every pair differs by the same amount" in sentences([0.5] * 20)
