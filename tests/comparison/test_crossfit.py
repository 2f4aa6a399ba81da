"""How much two halves that choose for each other widen an interval."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loralift.comparison.crossfit import CLEAR, best, first_half, widening
from loralift.comparison.pairing import Floats


def ways(seed: int, protocols: int, n: int = 200, shared: float = 0.5) -> tuple[Floats, Floats]:
    """Candidate and baseline of equal means, which the questions' difficulty correlates."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(size=n) * math.sqrt(shared)
    values = difficulty + math.sqrt(1 - shared) * rng.normal(size=(2, protocols, n))
    values -= values.mean(axis=2, keepdims=True)
    return values[0], values[1]


def test_halves_part_all_questions() -> None:
    for n in (4, 5, 30, 101):
        half = first_half(n, 0)
        assert half.sum() == n // 2
        assert (half == first_half(n, 0)).all()
    assert (first_half(100, 0) != first_half(100, 1)).any()


def test_the_best_is_the_earlier_of_equal_ones() -> None:
    assert best(np.array([[0.1, 0.2], [0.3, 0.3], [0.2, 0.4]])) == 1
    assert best(np.array([[0.1, 0.2, 0.3], [0.3, 0.1, 0.2]])) == 0  # one sum in two orders
    assert best(np.array([[-2.0, -2.0], [-1.0, -1.0]])) == 1


def test_one_protocol_or_identical_ones_widen_nothing() -> None:
    mine, its = ways(0, 1)
    assert widening(mine, its) == 1
    assert widening(np.repeat(mine, 3, axis=0), np.repeat(its, 3, axis=0)) == 1
    flat = np.full((2, 30), 0.5)
    assert widening(flat, flat) == 1


def test_two_protocols_widen_as_the_closed_form_says() -> None:
    mine, its = ways(1, 2)
    tau = np.var(its[0] - its[1], ddof=1)
    variance = np.mean([np.var(mine[0] - its[k], ddof=1) for k in (0, 1)])
    assert widening(mine[:1], its) == pytest.approx(math.sqrt(1 + tau / (2 * math.pi) / variance), abs=0.005)


def test_both_sides_choosing_widen_as_the_closed_form_says() -> None:
    mine, its = ways(2, 2, n=2_000)
    apart = np.cov(mine[0] - mine[1], its[0] - its[1])
    taus, kappa = np.sqrt(np.diag(apart)), apart[0, 1]
    covariance = (taus[0] ** 2 + taus[1] ** 2 - 2 * kappa**2 / (taus[0] * taus[1])) / (2 * math.pi)
    variance = np.mean([np.var(one - other, ddof=1) for one in mine for other in its])
    assert widening(mine, its) == pytest.approx(math.sqrt(1 + covariance / variance), abs=0.01)


@pytest.mark.parametrize("protocols", [2, 4])
@pytest.mark.parametrize("choosing", [False, True])
def test_the_factor_is_that_of_the_estimates_own_scatter(protocols: int, choosing: bool) -> None:
    """Half means drawn 100,000 times, each half judged by the other's choice: no formula is used."""
    mine, its = ways(3, protocols, n=1_000)
    sides = np.vstack([mine if choosing else mine[:1], its])
    first = len(sides) - protocols
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(len(sides)), np.cov(sides), size=(2, 100_000))
    halves = []
    for half in (0, 1):
        chosen = [drawn[1 - half][:, part].argmax(axis=1) for part in (slice(first), slice(first, None))]
        row = np.arange(len(drawn[half]))
        halves.append(drawn[half][row, chosen[0]] - drawn[half][row, first + chosen[1]])
    apart = np.sqrt((np.var(halves[0]) + np.var(halves[1])) / 2)
    measured = np.std((halves[0] + halves[1]) / 2) / (apart / math.sqrt(2))
    assert measured > 1.05
    # the factor is that of the least favourable number of equal protocols, which three of four are by a little
    assert measured - 0.005 < widening(sides[:first], sides[first:]) < measured + 0.02


def test_a_protocol_that_leads_clearly_widens_nothing() -> None:
    mine, its = ways(4, 2)
    error = np.std(its[0] - its[1], ddof=1) / math.sqrt(its.shape[1])
    lead = np.array([[0.0], [1.0]]) * error
    assert widening(mine[:1], its + (CLEAR + 0.1) * lead) == 1
    assert widening(mine[:1], its + (CLEAR - 0.1) * lead) > 1.05


def test_the_best_may_be_fewer_than_all() -> None:
    """Two good protocols and a third far behind: what cannot be chosen cannot narrow anything."""
    mine, its = ways(5, 3)
    assert widening(mine[:1], its - np.array([[0.0], [0.0], [9.0]])) == pytest.approx(
        widening(mine[:1], its[:2]), abs=0.002
    )
