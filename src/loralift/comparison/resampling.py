"""Weighted sums over rows, under the random weights of a bootstrap or of a permutation.

A bootstrap resample weighs each row by how often it was sampled; a permutation weighs by 1 the rows whose two values it
swaps. The weights depend on the seed, the purpose and n alone, so every metric and candidate with the same n sees the
same resamples (common random numbers), and no figure depends on what else is compared with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.contrast import Contrast
from loralift.comparison.estimate import Estimate
from loralift.comparison.pairing import Floats
from loralift.cores import cores

Counts = NDArray[np.uint8]

Purpose = Literal["bootstrap", "permutation"]

POISSON_FROM = 10_000
"""Rows from which a bootstrap samples independent Poisson(1) counts instead of multinomial ones."""

EXACT_UP_TO = 16
"""Differing pairs up to which every one of the 2^k relabellings is enumerated."""

_CHUNK = 1 << 21
_BLOCK = 1 << 13
_TOGETHER = 8
_COUNTED = 1 << 26
_PURPOSES: dict[Purpose, int] = {"bootstrap": 1, "permutation": 2}


def bootstrap(estimates: Sequence[Estimate], seed: int, resamples: int) -> list[Floats]:
    """Bootstrap each estimate.

    Args:
        estimates: From any numbers of rows.
        seed: Non-negative.
        resamples: B, how many.

    Returns:
        For each estimate, B values, sorted; fewer where an aggregate was not finite on a resample.
    """
    sums = _weighted_sums([estimate.columns() for estimate in estimates], "bootstrap", seed, resamples)
    replicates = [estimate.of_sums(summed) for estimate, summed in zip(estimates, sums, strict=True)]
    return [np.sort(found[np.isfinite(found)]) for found in replicates]


def relabel(contrasts: Sequence[Contrast], seed: int, resamples: int) -> list[Floats]:
    """The difference of each contrast after swapping random rows between the two variants.

    Returns:
        For each contrast, B differences, not sorted; NaN where an aggregate was not finite.
    """
    sums = _weighted_sums([contrast.swapped for contrast in contrasts], "permutation", seed, resamples)
    return [contrast.of_swaps(summed) for contrast, summed in zip(contrasts, sums, strict=True)]


def swapped_sums(values: Floats, seed: int, resamples: int) -> Floats:
    """Column sums of the rows that random relabellings swap, shape (resamples, k), of values of shape (n, k)."""
    return _weighted_sums([values], "permutation", seed, resamples)[0]


def relabel_exactly(contrast: Contrast) -> Floats:
    """The difference under each of the 2^k relabellings of the k pairs that differ; k at most ``EXACT_UP_TO``."""
    differing = contrast.swapped[contrast.differing]
    swaps = np.arange(1 << len(differing))[:, None] >> np.arange(len(differing)) & 1
    return contrast.of_swaps(swaps.astype(np.float64) @ differing)


def _weighted_sums(matrices: Sequence[Floats], purpose: Purpose, seed: int, resamples: int) -> list[Floats]:
    """For each matrix (n_j, s_j), its rows' sums under B weightings, shape (B, s_j).

    Column by column and in blocks, so that a sum has the same bits whatever is summed with it, and that the linear
    algebra library starts no threads: on a busy machine, waiting for them took ten times as long as the sums.
    """
    sums = [np.zeros((matrix.shape[1], resamples)) for matrix in matrices]
    by_length = sorted(range(len(matrices)), key=lambda j: len(matrices[j]))
    for n, group in groupby(by_length, key=lambda j: len(matrices[j])):
        columns = [(np.ascontiguousarray(matrices[j][:, k]), sums[j][k]) for j in group for k in range(len(sums[j]))]
        if n < POISSON_FROM:
            _sum_few(columns, _weights(n, purpose, seed, resamples))
        else:
            _sum_many(columns, _counts(n, purpose, seed, resamples))
    return [found.T for found in sums]


def _sum_few(columns: Sequence[tuple[Floats, Floats]], weights: Iterator[Floats]) -> None:
    """Add to the sums of each column, shape (B,), what chunks of weights, shape (c, n), make of it."""
    start = 0
    for chunk in weights:
        stop = start + len(chunk)
        for first in range(0, chunk.shape[1], _BLOCK):
            block = slice(first, first + _BLOCK)
            for column, found in columns:
                found[start:stop] += np.vecdot(chunk[:, block], column[block])
        start = stop


def _sum_many(columns: Sequence[tuple[Floats, Floats]], counts: Iterator[tuple[Counts, Floats]]) -> None:
    """The same of many rows, whose weights are counts of a byte each times a factor.

    Several hundred megabytes of columns are in no cache, so each block of them is read once for many resamples and not
    once for two: from 10,000 to a million rows the seconds a row stay the same. The additions, and so the bits, are
    those of `_sum_few`.
    """
    start = 0
    with ThreadPoolExecutor(cores()) as pool:
        for chunk, factors in counts:

            def add(first: int, chunk: Counts = chunk, factors: Floats = factors, start: int = start) -> None:
                some = slice(first, first + _TOGETHER)
                here = slice(start + some.start, start + min(some.stop, len(chunk)))
                for begin in range(0, chunk.shape[1], _BLOCK):
                    block = slice(begin, begin + _BLOCK)
                    weights = chunk[some, block] * factors[some, None]
                    for column, found in columns:
                        found[here] += np.vecdot(weights, column[block])

            list(pool.map(add, range(0, len(chunk), _TOGETHER)))
            start += len(chunk)


def _weights(n: int, purpose: Purpose, seed: int, resamples: int) -> Iterator[Floats]:
    """Weights in chunks of shape (at most c, n), B rows in all; a chunk is overwritten by the next."""
    generator = _generator(n, purpose, seed)
    fill = {"permutation": _swaps, "bootstrap": _multinomial}[purpose]
    rows = _rows_of_chunk(n, resamples)
    buffer = np.empty((rows, n))
    for start in range(0, resamples, rows):
        chunk = buffer[: min(rows, resamples - start)]
        fill(chunk, generator)
        yield chunk


def _counts(n: int, purpose: Purpose, seed: int, resamples: int) -> Iterator[tuple[Counts, Floats]]:
    """Counts, shape (at most c, n), and the factors, shape (c,), that make weights of them; B rows in all.

    They are overwritten by the next ones.
    """
    generator = _generator(n, purpose, seed)
    fill = {"permutation": _swaps, "bootstrap": _poisson}[purpose]
    rows = _rows_of_chunk(n, resamples)  # drawn together, on which the bits of odd numbers of rows depend
    most = rows * max(1, min(_COUNTED // (rows * n), -(-resamples // rows)))
    buffer = np.empty((most, n), dtype=np.uint8)
    for begin in range(0, resamples, most):
        counts = buffer[: min(most, resamples - begin)]
        for start in range(0, len(counts), rows):
            fill(counts[start : start + rows], generator)
        totals = counts.sum(axis=1, dtype=np.float64) if purpose == "bootstrap" else np.full(len(counts), float(n))
        yield counts, n / totals


def _generator(n: int, purpose: Purpose, seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64([seed, _PURPOSES[purpose], n]))


def _rows_of_chunk(n: int, resamples: int) -> int:
    return max(1, min(resamples, _CHUNK // n))


def _swaps(chunk: Floats | Counts, generator: np.random.Generator) -> None:
    """0 or 1, each with probability one half."""
    bits = np.frombuffer(generator.bytes(-(-chunk.size // 8)), dtype=np.uint8)
    np.copyto(chunk, np.unpackbits(bits, count=chunk.size).reshape(chunk.shape))


def _multinomial(chunk: Floats, generator: np.random.Generator) -> None:
    """How often each of n rows is sampled in n samples with replacement."""
    rows, n = chunk.shape
    sampled = generator.integers(0, n, size=chunk.shape)
    sampled += np.arange(0, rows * n, n)[:, None]
    np.copyto(chunk, np.bincount(sampled.ravel(), minlength=rows * n).reshape(chunk.shape))


def _poisson(chunk: Counts, generator: np.random.Generator) -> None:
    """Independent Poisson(1) counts, which are scaled to sum to n.

    Multinomial counts are Poisson counts given their sum (Hanley and MacGibbon, 2006; Chamandy et al., 2012); scaling
    replaces the condition, at a relative cost of order 1/n in the spread, and 16 random bits a count make this four
    times as fast. The table's rounding of the probabilities to 2^-16 changes the spread by less than 1e-4.
    """
    bits = np.frombuffer(generator.bytes(2 * chunk.size), dtype=np.uint16)
    np.take(_POISSON_TABLE, bits.reshape(chunk.shape), out=chunk, mode="clip")


def _poisson_table() -> Counts:
    """Poisson(1) counts at 2^16 evenly spaced probabilities."""
    counts = np.arange(12)
    cumulative = np.cumsum(np.exp(-1.0) / np.cumprod(np.maximum(counts, 1)))
    return np.searchsorted(cumulative, (np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.uint8)


_POISSON_TABLE = _poisson_table()
