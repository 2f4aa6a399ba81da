"""Stopping as soon as the verdict is sure, simulated: false verdicts over the whole path, verdicts found, rows saved.

Row differences are of shapes that metrics have; the looks are those of a run (every 64 rows of 648). Beside the rule
stand naive peeking (an ordinary t test and equivalence test at each look, each at 5 %) and the ordinary verdict of all
rows. Seeds are fixed.

    python -m benchmarks.stopping
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from loralift.comparison.sequences import ABOVE, BELOW, INSIDE, UNKNOWN, sides
from loralift.comparison.stopping import ON_THE_WAY, looks_of

Floats = NDArray[np.float64]
Sides = NDArray[np.int8]

RUNS = 4_000
AT_ONCE = 500
ROWS, BLOCK = 648, 64
ALPHA, MARGIN = 0.05, 0.01


@dataclass(frozen=True, slots=True)
class Shape:
    """Differences of rows.

    Attributes:
        reach: The largest difference that the metric's range allows.
        scatter: Standard deviation of one row's difference, about.
        drawn: Effect, shape wanted and generator to differences whose expectation is exactly the effect.
    """

    reach: float
    scatter: float
    drawn: Callable[[float, tuple[int, int], np.random.Generator], Floats]


def token_f1(effect: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Two in five rows tie; the others move by the difference of two scores, most of them small."""
    moved = rng.beta(1.1, 6, shape) - rng.beta(1.1, 6, shape)
    return np.where(rng.random(shape) < 0.4, 0.0, moved) + effect


def exact_match(effect: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """One row in five differs, by 1."""
    drawn = rng.random(shape)
    return np.where(drawn < 0.1 + effect / 2, 1.0, np.where(drawn < 0.2, -1.0, 0.0))


def skewed(effect: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """One row in thirty loses half of the range or more, all others gain a little: the mean hangs on few rows."""
    lost = 0.5 + 0.4 * rng.random(shape)
    return np.where(rng.random(shape) < 1 / 30, -lost, 0.7 / 29) + effect


def similarity(effect: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Semantic similarity: much scatter on a range of -1 to 1, half of which no text ever uses."""
    return np.clip(rng.normal(0, 0.15, shape), -1, 1) + effect


def near_copy(effect: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """An adapter that hardly acts: nine rows in ten tie."""
    return np.where(rng.random(shape) < 0.9, 0.0, np.clip(rng.normal(0, 0.06, shape), -0.5, 0.5)) + effect


SHAPES: Mapping[str, Shape] = {
    "token F1": Shape(1.0, 0.14, token_f1),
    "exact match": Shape(1.0, 0.45, exact_match),
    "skewed": Shape(1.0, 0.13, skewed),
    "semantic similarity": Shape(2.0, 0.15, similarity),
    "hardly acts": Shape(1.0, 0.02, near_copy),
}

EFFECTS = (0.0, 1.5, 3.0, 5.0, 10.0)
"""True effects, in standard errors of the mean of all rows."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one way of judging said of many runs.

    Attributes:
        said: Shape (runs,).
        rows: After how many rows, shape (runs,).
    """

    said: Sides
    rows: NDArray[np.int64]


def by_rule(values: Floats, reach: float) -> Told:
    """What `--stop-when-sure` says: the sequence at every look, and the ordinary test with the rest of alpha."""
    looks = looks_of(values.shape[1], BLOCK)
    told = _first(sides(values, reach, looks, MARGIN, ALPHA * ON_THE_WAY), looks)
    last = ordinary(values, ALPHA * (1 - ON_THE_WAY))
    return Told(np.where(told.said == UNKNOWN, last, told.said), told.rows)


def by_sequence(values: Floats, reach: float) -> Told:
    """What the sequence alone says with all of alpha, without a last test."""
    looks = looks_of(values.shape[1], BLOCK)
    return _first(sides(values, reach, looks, MARGIN, ALPHA), looks)


def by_peeking(values: Floats, reach: float) -> Told:
    """What whoever tests at every look says, each time as if it were the only one."""
    del reach
    looks = looks_of(values.shape[1], BLOCK)
    return _first(np.stack([ordinary(values[:, :end], ALPHA) for end in looks], axis=-1), looks)


def by_all(values: Floats, reach: float) -> Told:
    """What the ordinary verdict of all rows says."""
    del reach
    return Told(ordinary(values, ALPHA), np.full(len(values), values.shape[1]))


WAYS = {"rule": by_rule, "sequence alone": by_sequence, "peeking": by_peeking, "all rows": by_all}


def ordinary(values: Floats, error: float) -> Sides:
    """Paired t test and equivalence test."""
    n = values.shape[1]
    mean, spread = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(n)
    wide, narrow = stats.t.isf(error / 2, n - 1), stats.t.isf(error, n - 1)
    found = np.where(mean > wide * spread, ABOVE, np.where(mean < -wide * spread, BELOW, UNKNOWN))
    return np.where(np.abs(mean) + narrow * spread < MARGIN, INSIDE, found).astype(np.int8)


def _first(found: Sides, looks: tuple[int, ...]) -> Told:
    """What is said at the first look at which anything is."""
    sure = found != UNKNOWN
    at = np.where(sure.any(axis=1), sure.argmax(axis=1), len(looks) - 1)
    return Told(np.take_along_axis(found, at[:, None], axis=1)[:, 0], np.asarray(looks)[at])


def false(said: Sides, effect: float) -> NDArray[np.bool_]:
    """Which verdicts are not true of a mean of `effect`."""
    return np.asarray(
        ((said == ABOVE) & (effect <= 0))
        | ((said == BELOW) & (effect >= 0))
        | ((said == INSIDE) & (abs(effect) >= MARGIN))
    )


def simulate(name: str, effect: float, runs: int, rows: int = ROWS) -> dict[str, tuple[float, float, float]]:
    """Way to false verdicts, verdicts and rows asked, in per cent, at a true effect in the metric's unit."""
    shape = SHAPES[name]
    rng = np.random.default_rng([4, list(SHAPES).index(name), round(1e6 * effect)])
    found = dict.fromkeys(WAYS, np.zeros(3))
    for begun in range(0, runs, AT_ONCE):
        values = shape.drawn(effect, (min(AT_ONCE, runs - begun), rows), rng)
        for way, told in ((way, judge(values, shape.reach)) for way, judge in WAYS.items()):
            sums = (false(told.said, effect).sum(), (told.said != UNKNOWN).sum(), told.rows.sum() / rows)
            found[way] = found[way] + 100 * np.array(sums) / runs
    return {way: (float(sums[0]), float(sums[1]), float(sums[2])) for way, sums in found.items()}


def effects_of(name: str) -> list[float]:
    """The true effects of a shape's lines; one lies on the margin's edge, where `equivalent` is just false."""
    error = SHAPES[name].scatter / np.sqrt(ROWS)
    return sorted({*(round(times * error, 4) for times in EFFECTS), MARGIN})


def main() -> None:
    """Print the tables of docs/statistics.md."""
    print(
        "| differences | true effect | false, % | false by peeking, % | verdict, % | of all rows, % | rows asked, % |"
    )
    print("|---|---|---|---|---|---|---|")
    alone = []
    for name in SHAPES:
        for effect in effects_of(name):
            found = simulate(name, effect, RUNS)
            rule, peeking, everything = (found[way] for way in ("rule", "peeking", "all rows"))
            print(
                f"| {name} | {effect:.4f} | {rule[0]:.1f} | {peeking[0]:.1f} | {rule[1]:.1f} | {everything[1]:.1f} | "
                f"{rule[2]:.0f} |",
                flush=True,
            )
            alone.append((name, effect, rule, found["sequence alone"]))
    print("\n| differences | true effect | verdict, rule / sequence alone, % | rows asked, % |\n|---|---|---|---|")
    for name, effect, rule, other in alone:
        print(f"| {name} | {effect:.4f} | {rule[1]:.1f} / {other[1]:.1f} | {rule[2]:.0f} / {other[2]:.0f} |")


if __name__ == "__main__":
    main()
