"""The sums of many rows, in whatever groups and threads they are made, are those of the plain loop, to the bit."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from loralift.comparison import resampling
from loralift.comparison.resampling import POISSON_FROM, Purpose


@pytest.mark.parametrize("purpose", get_args(Purpose))
@pytest.mark.parametrize("counted", [1, POISSON_FROM * 5, 1 << 26])
def test_sums_of_counts_are_those_of_weights(purpose: Purpose, counted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_COUNTED", counted)
    n, resamples = POISSON_FROM + 1, 23  # an odd number of rows, on which the bits depend
    rows = np.random.default_rng(0).normal(size=(n, 3))
    (found,) = resampling._weighted_sums([rows], purpose, 5, resamples)
    plain = np.zeros((3, resamples))
    weights = [counts * factors[:, None] for counts, factors in resampling._counts(n, purpose, 5, resamples)]
    assert sum(map(len, weights)) == resamples
    columns = [(np.ascontiguousarray(rows[:, k]), plain[k]) for k in range(3)]
    resampling._sum_few(columns, iter(weights))
    assert (found == plain.T).all()
    (other,) = resampling._weighted_sums([rows[:, 1:2]], purpose, 5, resamples)
    assert (other[:, 0] == found[:, 1]).all()


def test_a_bootstrap_of_many_rows_has_the_bits_that_it_always_had() -> None:
    """Taken from the version that held every weight as a float."""
    n = POISSON_FROM + 1
    rows = ((np.arange(2 * n, dtype=np.float64).reshape(n, 2) * 7919) % 1013) / 8
    (bootstrap,) = resampling._weighted_sums([rows], "bootstrap", 3, 5)
    (swaps,) = resampling._weighted_sums([rows], "permutation", 3, 5)
    assert [float(value).hex() for value in bootstrap[[0, 4], [0, 1]]] == [
        "0x1.36d6666093e7dp+19",
        "0x1.34e58348d5dd6p+19",
    ]
    assert swaps[:, 0].tolist() == [319686.625, 318056.25, 317661.375, 314629.0, 320217.25]
