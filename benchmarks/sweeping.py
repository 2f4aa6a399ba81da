"""The best of K adapters, simulated: is its re-estimate unbiased, does its interval cover, is the best one kept?

Adapters have the questions' difficulty and much of their own scatter in common, as checkpoints of one training do. What
is estimated is the mean worth of the two that the halves chose. Seeds are fixed; tests draw 500 samples, not 10,000.

    python -m benchmarks.sweeping
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from loralift.comparison import Settings, best_of
from loralift.records import MetricInfo, Score

RUNS = 400
INFO = MetricInfo("score", "Score", low=None, high=None)
WORTHS: Mapping[str, tuple[float, ...]] = {
    "8 as good as the base": (0.0,) * 8,
    "40 as good as the base": (0.0,) * 40,
    "8, a rise and a fall": tuple(0.3 * np.sin(np.pi * place / 9) for place in range(1, 9)),
    "8, one 0.5 better": (0.0,) * 7 + (0.5,),
}
"""What each adapter is truly better than the base, in standard deviations of one answer's score."""


@dataclass(frozen=True, slots=True)
class Told:
    """One sample.

    Attributes:
        naive: The leader's difference on all rows, less what it is truly worth.
        error: The re-estimate less what the chosen ones are truly worth.
        covered: Whether the interval holds that.
        better: Whether it is called better.
        kept: Whether the truly best, of several the first, is among the contenders.
        contenders: How many there are.
    """

    naive: float
    error: float
    covered: bool
    better: bool
    kept: bool
    contenders: int


def told(worth: tuple[float, ...], n: int, seed: int, common: float = 0.8) -> Told:
    """What `best_of` says of one sample of n questions; adapters' scatter is common to this share of its variance."""
    rng = np.random.default_rng([seed, n, len(worth)])
    base, shared = rng.normal(size=n), rng.normal(size=n)
    values = {
        f"step-{place}": base + true + 0.5 * (np.sqrt(common) * shared + np.sqrt(1 - common) * rng.normal(size=n))
        for place, true in enumerate(worth)
    }
    rows = {name: scored(made) for name, made in values.items()}
    found = best_of(scored(base), rows, INFO, Settings("score", resamples=500, seed=seed))
    assert found is not None
    assert found.row.difference is not None
    assert found.row.interval is not None
    true = dict(zip(values, worth, strict=True))
    chosen = float(np.mean([true[name] for name in found.chosen]))
    naive = float((values[found.leader] - base).mean()) - true[found.leader]
    covered = found.row.interval.low <= chosen <= found.row.interval.high
    best = max(true, key=lambda name: true[name])
    return Told(
        naive,
        found.row.difference - chosen,
        covered,
        found.row.verdict == "better",
        best in found.contenders,
        len(found.contenders),
    )


def scored(values: np.ndarray) -> list[Score]:
    """Rows with the ids q0000, q0001 and so on."""
    return [Score(f"q{place:04}", {"score": float(value)}) for place, value in enumerate(values)]


def main() -> None:
    """Print the table of docs/statistics.md."""
    print("| adapters | n | naive bias | bias | covers, % | better, % | best kept, % | contenders |")
    print("|---|---|---|---|---|---|---|---|")
    for label, worth in WORTHS.items():
        for n in (50, 300):
            found = [told(worth, n, seed) for seed in range(RUNS)]
            mean = {name: float(np.mean([getattr(one, name) for one in found])) for name in Told.__slots__}
            print(
                f"| {label} | {n} | {mean['naive']:+.3f} | {mean['error']:+.4f} | {100 * mean['covered']:.1f} | "
                f"{100 * mean['better']:.1f} | {100 * mean['kept']:.1f} | {mean['contenders']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
