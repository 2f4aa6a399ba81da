"""Do the claims on several protocols hold what they promise? Simulations with a known truth.

``python -m benchmarks.protocols`` prints the tables of ``docs/statistics.md`` on claims 2 and 3, from the functions
themselves: `against_best` and `whichever_way`. Seeds are fixed; permutation tests draw 1,000 samples instead of 10,000.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.verdicts import GRID, ROW_IDS, SHAPES
from loralift.comparison import Settings, against_best, compare, minimum_detectable_effect, whichever_way
from loralift.records import AgainstBest, MetricInfo, Protocol, ProtocolResult, Score

Floats = NDArray[np.float64]

SIZES = (30, 100, 648)
TRIALS = 4_000
RESAMPLES = 1_000
WORKERS = 2
INFO = MetricInfo("score", "Score")


def uneven(quality: Floats) -> Floats:
    """Values (…, protocols, n) that scatter twice as much under every other protocol."""
    scale = 1.0 + np.arange(quality.shape[-2]) % 2
    return np.asarray(0.5 + 0.1 * scale[:, None] * quality)


@dataclass(frozen=True, slots=True)
class Shape:
    """How row scores are distributed.

    Attributes:
        curve: Standard normal quality to score.
        difficulty: Share of the quality's variance that belongs to the question, whoever answers and however asked.
        way: Share that belongs to the question under one protocol, for base and adapter alike.
    """

    curve: Callable[[Floats], Floats]
    difficulty: float = 0.5
    way: float = 0.2


KINDS = {
    "bounded": Shape(SHAPES["bounded"]),
    "skewed": Shape(SHAPES["skewed"]),
    "binary": Shape(SHAPES["binary"]),
    "uneven spread": Shape(uneven),
    "adapter like base": Shape(SHAPES["bounded"], difficulty=0.2, way=0.7),
}


@dataclass(frozen=True, slots=True)
class Truth:
    """One cell of a table.

    Attributes:
        kind: A key of KINDS.
        n: Questions.
        base: The base's quality under each protocol, in standard deviations of a row.
        adapter: The adapter's.
    """

    kind: str
    n: int
    base: tuple[float, ...]
    adapter: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What one run said of one claim.

    Attributes:
        verdict: The verdict.
        difference: The estimate.
        low: Of the 95 % interval.
        high: Likewise.
        plain: Half the width of the t interval that takes the rows as independent.
        widening: The factor.
        target: The true difference under the protocols that were chosen.
    """

    verdict: str
    difference: float
    low: float
    high: float
    plain: float
    widening: float
    target: float


def drawn(truth: Truth, rng: np.random.Generator) -> Floats:
    """Row scores (base and adapter, protocols, n)."""
    shape, ways = KINDS[truth.kind], len(truth.base)
    rest = 1 - shape.difficulty - shape.way
    quality = np.sqrt(shape.difficulty) * rng.normal(size=truth.n) + np.sqrt(shape.way) * rng.normal(
        size=(ways, truth.n)
    )
    noise = np.sqrt(rest) * rng.normal(size=(2, ways, truth.n))
    return shape.curve(quality + noise + np.array([truth.base, truth.adapter])[..., None])


def scored(values: Floats) -> dict[str, dict[str, list[Score]]]:
    """Protocol to variant to rows."""
    return {
        f"way {p}": {
            variant: [Score(row, {"score": value}) for row, value in zip(ROW_IDS, values[v, p].tolist(), strict=False)]
            for v, variant in enumerate(("base", "adapter"))
        }
        for p in range(values.shape[1])
    }


@cache
def value_of(kind: str, quality: float, protocol: int) -> float:
    """The mean score at a mean quality."""
    weight = stats.norm.pdf(GRID)
    values = KINDS[kind].curve(np.tile(GRID + quality, (protocol + 1, 1)))[protocol]
    return float((values * weight).sum() / weight.sum())


def one(truth: Truth, seed: int) -> tuple[Told, Told]:
    """What `against_best` says of one sample: as trained, and at its best."""
    values = drawn(truth, np.random.default_rng([4, truth.n, len(truth.base), seed]))
    settings = Settings("score", seed=seed, resamples=RESAMPLES)
    worth = [
        {f"way {p}": value_of(truth.kind, quality, p) for p, quality in enumerate(side)}
        for side in (truth.base, truth.adapter)
    ]
    found = against_best(scored(values), ["adapter"], INFO, settings, trained="way 0")
    as_trained, at_its_best = (_told(claim, *worth) for claim in found)
    return as_trained, at_its_best


def _told(claim: AgainstBest, base: dict[str, float], adapter: dict[str, float]) -> Told:
    row = claim.row
    assert row.interval is not None
    assert row.difference is not None
    assert row.verdict is not None
    assert row.deviation is not None
    halves = np.array([row.n // 2, row.n - row.n // 2]) / row.n
    targets = [
        adapter[mine] - base[its] for mine, its in zip(claim.candidate_protocols, claim.baseline_protocols, strict=True)
    ]
    return Told(
        row.verdict,
        row.difference,
        row.interval.low,
        row.interval.high,
        float(stats.t.ppf(0.975, row.n - 1) * row.deviation / np.sqrt(row.n)),
        claim.widening,
        float(halves @ targets),
    )


CLAIMS = ("as trained", "at its best")


def runs(pool: ProcessPoolExecutor, truth: Truth, trials: int) -> list[list[Told]]:
    """What was told in many samples, claim by claim."""
    found = list(pool.map(partial(one, truth), range(trials), chunksize=25))
    return [[told[claim] for told in found] for claim in range(len(CLAIMS))]


def share(truths: Sequence[bool]) -> float:
    """Of samples, in per cent."""
    return 100 * float(np.mean(truths))


def equal_table(pool: ProcessPoolExecutor, trials: int) -> None:
    """Protocols of equal worth, an adapter equal to the base: every better or worse is false, the truth is 0."""
    print("| metric | protocols | claim | false verdicts, % | covers, % | covers without widening, % | widening |")
    print("|---|---|---|---|---|---|---|")
    for kind, ways in product(KINDS, (2, 4)):
        nothing = (0.0,) * ways
        by_size = [runs(pool, Truth(kind, n, nothing, nothing), trials) for n in SIZES]
        for claim, name in enumerate(CLAIMS):
            found = [sizes[claim] for sizes in by_size]
            false = [share([one.verdict in ("better", "worse") for one in told]) for told in found]
            covers = [share([one.low <= 0 <= one.high for one in told]) for told in found]
            plain = [share([abs(one.difference) <= one.plain for one in told]) for told in found]
            factors = [float(np.mean([one.widening for one in told])) for told in found]
            cells = [" / ".join(f"{cell:.1f}" for cell in column) for column in (false, covers, plain)]
            factor = " / ".join(f"{cell:.2f}" for cell in factors)
            print(f"| {kind} | {ways} | {name} | {cells[0]} | **{cells[1]}** | {cells[2]} | {factor} |", flush=True)


LEADS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)


def unequal_table(pool: ProcessPoolExecutor, trials: int) -> None:
    """One protocol leads; the adapter is as good as the base at its best.

    A lead is counted in standard errors of the difference of two protocols on half of the questions, of which each
    half chooses by one.
    """
    head = (
        "protocols",
        "lead",
        "claim",
        "widening",
        "worse, %",
        "better, %",
        "interval < 0 / > 0, %",
        "covers, %",
    )
    print(f"| {' | '.join(head)} |")
    print("|---|---|---|---|---|---|---|---|")
    n = 100
    for ways, lead in product((2, 4), LEADS):
        behind = -lead * np.sqrt(2 * (1 - KINDS["bounded"].difficulty) / (n / 2))
        base = (behind, 0.0, *(behind,) * (ways - 2))
        adapter = (0.0, *(behind,) * (ways - 1))
        for name, told in zip(CLAIMS, runs(pool, Truth("bounded", n, base, adapter), trials), strict=True):
            cells = [
                share([one.verdict == "worse" for one in told]),
                share([one.verdict == "better" for one in told]),
            ]
            missed = f"{share([one.high < 0 for one in told]):.1f} / {share([one.low > 0 for one in told]):.1f}"
            covers = share([one.low <= one.target <= one.high for one in told])
            factor = np.mean([one.widening for one in told])
            figures = " | ".join(f"{cell:.1f}" for cell in cells)
            print(f"| {ways} | {lead:g} | {name} | {factor:.2f} | {figures} | {missed} | {covers:.1f} |", flush=True)


def found_better(truth: Truth, seed: int) -> tuple[bool, ...]:
    """Whether the test of one protocol, `whichever_way`, and `against_best` in both claims find the adapter better."""
    rows = scored(drawn(truth, np.random.default_rng([5, truth.n, len(truth.base), seed])))
    settings = Settings("score", seed=seed, resamples=RESAMPLES)
    results = []
    for name, of_way in rows.items():
        found = compare("base", of_way["base"], {"adapter": of_way["adapter"]}, {"score": INFO}, settings)
        results.append(ProtocolResult(Protocol(name, "plain", "", 0, False, (), 256, 0.0, 1.0), found.rows))
    best = against_best(rows, ["adapter"], INFO, settings, trained="way 0")
    told = [results[0].rows[0].verdict, whichever_way(results)[0].verdict, *(claim.row.verdict for claim in best)]
    return tuple(verdict == "better" for verdict in told)


def power_table(pool: ProcessPoolExecutor, trials: int) -> None:
    """How often an adapter that is better by the same under every protocol is found so."""
    print("| protocols | effect | one protocol, % | whichever way, % | as trained, % | at its best, % |")
    print("|---|---|---|---|---|---|")
    shape = KINDS["bounded"]
    n = 100
    for worth, ways, effect in product(("equal", "one leads"), (2, 4), (1.0, 1.5)):
        spread = np.sqrt(2 * (1 - shape.difficulty - shape.way))
        detectable = minimum_detectable_effect(float(spread), n)
        assert detectable is not None
        behind = 0.0 if worth == "equal" else -8 * np.sqrt(2 * (1 - shape.difficulty) / (n / 2))
        base = (0.0, *(behind,) * (ways - 1))
        adapter = tuple(quality + effect * detectable for quality in base)
        found = list(pool.map(partial(found_better, Truth("bounded", n, base, adapter)), range(trials), chunksize=25))
        figures = " | ".join(f"{100 * cell:.1f}" for cell in np.mean(found, axis=0))
        print(f"| {ways}, {worth} | {effect:g} | {figures} |", flush=True)


def main() -> None:
    """Print the tables as markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS, help="samples of each line")
    parser.add_argument("--table", choices=["equal", "unequal", "power"], help="one of them; all if left out")
    given = parser.parse_args()
    tables = {"equal": equal_table, "unequal": unequal_table, "power": power_table}
    started = time.perf_counter()
    with ProcessPoolExecutor(WORKERS) as pool:
        for name in [given.table] if given.table else tables:
            tables[name](pool, given.trials)
            print(f"\n({time.perf_counter() - started:.0f} s since the start)\n", flush=True)


if __name__ == "__main__":
    main()
