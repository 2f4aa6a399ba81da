"""Do the verdicts hold what they promise? Simulations with a known truth.

``python -m benchmarks.verdicts`` prints the tables of ``docs/statistics.md``: the error rate of the whole family, the
coverage of the intervals, the power. Seeds are fixed; the bootstrap draws 2,000 samples and the permutation test 5,000
instead of 10,000, to stay under ten minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from loralift.comparison import Settings, compare, minimum_detectable_effect, power
from loralift.comparison.contrast import Contrast, contrast
from loralift.comparison.equivalence import equivalence
from loralift.comparison.intervals import Confidence, Method, Tango, chosen, confidence, interval, needs_bootstrap
from loralift.comparison.pairing import Aggregate, Sample
from loralift.comparison.resampling import bootstrap, relabel
from loralift.comparison.significance import needs_relabelling, significance
from loralift.records import MetricInfo, Score

Floats = NDArray[np.float64]

SIZES = (30, 100, 648)
RUNS = {30: 2_000, 100: 2_000, 648: 1_500}
REPEATS = 4_000
BOOTSTRAP = 2_000
PERMUTATION = 5_000
WORKERS = 2

ROW_IDS = tuple(f"q{i:05}" for i in range(2_000))

GRID = np.linspace(-8, 8, 4_001)
"""Standard normal quality of an answer, from which every score is a rising function."""


def _curve(quantile: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    values = quantile(np.clip(stats.norm.cdf(GRID), 1e-12, 1 - 1e-12))
    return lambda quality: np.interp(quality, GRID, values)


SHAPES: dict[str, Callable[[Floats], Floats]] = {
    "bounded": _curve(stats.beta(5, 3).ppf),
    "skewed": _curve(stats.beta(1.1, 8).ppf),
    "mostly ties": _curve(lambda u: np.maximum(stats.beta(1.1, 8).ppf(np.maximum(u - 0.6, 0) / 0.4), 0)),
    "binary": lambda quality: np.asarray(quality > 0.5, dtype=np.float64),
    "heavy-tailed": _curve(stats.t(3).ppf),
}
"""Metrics by the distribution of their row scores: semantic similarity, ROUGE-2, F1 of short answers, exact match; the
last is a Student t with three degrees of freedom, whose third moment does not exist."""


def perplexity(sums: Floats) -> Floats:
    """exp(-log-likelihood / tokens) of sums (..., 2)."""
    return np.asarray(np.exp(-sums[..., 0] / sums[..., 1]))


def bleu(sums: Floats) -> Floats:
    """BLEU of sums (..., 10): four counts of matches, four of n-grams, the answers' and the references' lengths."""
    precision = np.maximum(sums[..., :4], 1e-9) / np.maximum(sums[..., 4:8], 1e-9)
    brevity = np.exp(np.minimum(0, 1 - sums[..., 9] / np.maximum(sums[..., 8], 1e-9)))
    return np.asarray(100 * np.prod(precision, axis=-1) ** 0.25 * brevity)


def perplexity_rows(quality: Floats, rng: np.random.Generator, tokens: Floats) -> Floats:
    """Rows' (log-likelihood, tokens)."""
    return np.stack([-tokens * np.exp(0.9 - 0.3 * quality), tokens], axis=-1)


def bleu_rows(quality: Floats, rng: np.random.Generator, tokens: Floats) -> Floats:
    """Rows' ten BLEU statistics."""
    length = np.maximum(np.round(tokens * np.exp(rng.normal(0, 0.3, tokens.shape))), 5)
    total = length[..., None] - np.arange(4)
    rate = stats.norm.cdf(quality[..., None] * 0.5 - 0.3) * 0.6 ** np.arange(4)
    return np.concatenate([np.round(total * rate), total, length[..., None], tokens[..., None]], axis=-1)


CORPUS: dict[str, tuple[Callable[[Floats, np.random.Generator, Floats], Floats], Aggregate]] = {
    "perplexity": (perplexity_rows, perplexity),
    "BLEU": (bleu_rows, bleu),
}


def qualities(rng: np.random.Generator, variants: int, metrics: int, n: int) -> Floats:
    """Standard normal (variants, metrics, n): rows differ in difficulty, answers in quality, metrics in their view."""
    difficulty, answer = rng.normal(size=(1, 1, n)), rng.normal(size=(variants, 1, n))
    return np.asarray(
        np.sqrt(0.5) * difficulty + np.sqrt(0.3) * answer + np.sqrt(0.2) * rng.normal(size=(variants, metrics, n))
    )


def means(name: str, effect: float, n: int, repeats: int, rng: np.random.Generator) -> tuple[list[Contrast], float]:
    """Contrasts of a metric whose candidate has better quality, and the true difference."""
    shape = SHAPES[name]
    weight = stats.norm.pdf(GRID)
    truth = float(((shape(GRID + effect) - shape(GRID)) * weight).sum() / weight.sum())
    found = []
    for _ in range(repeats):
        baseline, candidate = qualities(rng, 2, 1, n)[:, 0]
        found.append(_contrast(Sample(ROW_IDS[:n], shape(baseline), shape(candidate + effect), n)))
    return found, truth


def corpora(name: str, effect: float, n: int, repeats: int, rng: np.random.Generator) -> tuple[list[Contrast], float]:
    """The same for a corpus metric; its truth is that of two million rows."""
    rows, aggregate = CORPUS[name]

    def drawn(size: int) -> tuple[Floats, Floats]:
        baseline, candidate = qualities(rng, 2, 1, size)[:, 0]
        tokens = np.ceil(np.exp(rng.normal(4.5, 0.7, size)))
        return rows(baseline, rng, tokens), rows(candidate + effect, rng, tokens)

    totals = [np.stack([side.sum(axis=0) for side in drawn(200_000)]) for _ in range(10)]
    whole = np.sum(totals, axis=0)
    found = []
    for _ in range(repeats):
        left, right = drawn(n)
        values = aggregate(left), aggregate(right)
        found.append(_contrast(Sample(ROW_IDS[:n], *values, n, {}, left, right, aggregate)))
    return found, float(aggregate(whole[1]) - aggregate(whole[0]))


def _contrast(sample: Sample) -> Contrast:
    found = contrast(sample)
    assert found is not None
    return found


def confidences(contrasts: Sequence[Contrast], method: Method) -> Iterator[Confidence]:
    """What is known of each true difference."""
    for batch in (contrasts[start : start + 100] for start in range(0, len(contrasts), 100)):
        names = [chosen(found.estimate, method, corpus=found.corpus) for found in batch]
        drawn = [i for i, found in enumerate(batch) if not found.binary and needs_bootstrap(found.estimate, names[i])]
        sorted_values = bootstrap([batch[i].estimate for i in drawn], 0, BOOTSTRAP)
        replicates = dict(zip(drawn, sorted_values, strict=True))
        for i, found in enumerate(batch):
            known: Confidence | None = Tango(*found.discordant, found.n)
            if not found.binary:
                known = confidence(found.estimate, names[i], replicates.get(i))
            assert known is not None
            yield known


def coverage(case: tuple[str, int, Method]) -> tuple[str, float, float, float, float]:
    """The method used, and in per cent: truth in the 95 % interval, below it, above it; equivalent at the edge."""
    name, n, method = case
    contrasts, truth = (means if name in SHAPES else corpora)(name, 0.3, n, REPEATS, np.random.default_rng([1, n]))
    known = list(confidences(contrasts, method))
    found = [interval(one, 0.95) for one in known]
    below, above = np.mean([truth < one.low for one in found]), np.mean([truth > one.high for one in found])
    edge = np.mean([equivalence(one, abs(truth)).holds for one in known])
    return found[0].method, 100 * (1 - below - above), 100 * below, 100 * above, 100 * edge


def power_of(case: tuple[str, int]) -> tuple[float, float]:
    """Share of ``better`` for a metric alone, and what theory says, in per cent; the effect aims at 80."""
    name, n = case
    rng = np.random.default_rng([2, n])
    wide, _ = means(name, 0.0, 2_000, 200, rng)
    spread = float(np.mean([found.estimate.deviation for found in wide]))
    wanted = minimum_detectable_effect(spread, n)
    assert wanted is not None
    _, slope = means(name, 0.1, n, 1, rng)
    contrasts, truth = means(name, 0.1 * wanted / slope, n, REPEATS, rng)
    deviation = float(np.sqrt(np.mean([found.estimate.deviation**2 for found in contrasts])))
    theory = power(truth, deviation, n) if name != "binary" else _mcnemar_power(contrasts, n)
    known = confidences(contrasts, "auto")
    drawn = {i for i, found in enumerate(contrasts) if needs_relabelling(found)}
    relabelled = dict(zip(sorted(drawn), relabel([contrasts[i] for i in sorted(drawn)], 0, PERMUTATION), strict=True))
    better = 0
    for i, (found, one) in enumerate(zip(contrasts, known, strict=True)):
        test = significance(found, relabelled.get(i))
        assert test is not None
        better += test.p_value < 0.05 and interval(one, 0.95).low > 0
    return 100 * better / REPEATS, 100 * theory


def _mcnemar_power(contrasts: Sequence[Contrast], n: int) -> float:
    """Of the exact test, summed over the numbers of discordant pairs and of wins."""
    wins, losses = np.mean([found.discordant for found in contrasts], axis=0) / n
    total = 0.0
    for discordant in range(1, n + 1):
        most = int(stats.binom.ppf(0.025, discordant, 0.5))
        while most >= 0 and 2 * stats.binom.cdf(most, discordant, 0.5) >= 0.05:
            most -= 1
        share = stats.binom.pmf(discordant, n, wins + losses)
        total += share * stats.binom.cdf(most, discordant, losses / (wins + losses)) if most >= 0 else 0.0
    return float(total)


MEANS = ("bounded", "skewed", "mostly ties", "binary", "heavy-tailed", "skewed", "bounded")
INFOS = {f"{shape} {i}": MetricInfo(f"{shape} {i}", shape, None, None) for i, shape in enumerate(MEANS)} | {
    name: MetricInfo(name, name, 0.0, None, higher_is_better=name == "BLEU", corpus=True) for name in CORPUS
}
PRIMARY = "bounded 0"


def scores(quality: Floats, rng: np.random.Generator, tokens: Floats) -> list[Score]:
    """One variant's scores on nine metrics from qualities (9, n)."""
    values = [SHAPES[shape](quality[k]) for k, shape in enumerate(MEANS)]
    statistics = {
        name: rows(quality[len(MEANS) + k], rng, tokens).tolist() for k, (name, (rows, _)) in enumerate(CORPUS.items())
    }
    return [
        Score(
            row,
            {name: float(values[k][i]) for k, name in enumerate(INFOS) if k < len(MEANS)},
            {name: tuple(found[i]) for name, found in statistics.items()},
        )
        for i, row in enumerate(ROW_IDS[: len(tokens)])
    ]


def false_verdicts(case: tuple[int, int, bool]) -> tuple[bool, bool]:
    """Whether one run without effect gave any better or worse: in the family, and for the primary metric.

    With ``lifted``, the first adapter's primary metric does have an effect, and all others have none.
    """
    n, run, lifted = case
    rng = np.random.default_rng([3, n, run, lifted])
    quality = qualities(rng, 3, 9, n)
    if lifted:
        quality[1, 0] += 0.6
    tokens = np.ceil(np.exp(rng.normal(4.5, 0.7, n)))
    base, first, second = (scores(quality[v], rng, tokens) for v in range(3))
    found = compare(
        "base",
        base,
        {"first": first, "second": second},
        INFOS,
        Settings(primary=PRIMARY, seed=run, resamples=PERMUTATION),
        aggregates={name: aggregate for name, (_, aggregate) in CORPUS.items()},
    )
    true_nulls = [row for row in found.rows if not (lifted and (row.candidate, row.metric) == ("first", PRIMARY))]
    told = [row.metric for row in true_nulls if row.verdict in ("better", "worse")]
    return bool(told), PRIMARY in told


def main() -> None:
    """Print the three tables as markdown."""
    started = time.perf_counter()
    with ProcessPoolExecutor(WORKERS) as pool:
        for table in (family_table, coverage_table, power_table):
            table(pool)
            print(f"\n({time.perf_counter() - started:.0f} s since the start)\n", flush=True)


def family_table(pool: ProcessPoolExecutor) -> None:
    """Errors of the whole family: 9 metrics x 2 adapters."""
    print("| truth | n | runs | some false verdict, % | primary alone, % | simulation error |")
    print("|---|---|---|---|---|---|")
    for lifted in (False, True):
        for n in SIZES if not lifted else (100,):
            cases = [(n, run, lifted) for run in range(RUNS[n])]
            told = np.array(list(pool.map(false_verdicts, cases, chunksize=50)))
            some, first = 100 * told.mean(axis=0)
            error = 1.96 * np.sqrt(some * (100 - some) / len(cases))
            truth = "one adapter's primary is better" if lifted else "no effect"
            print(f"| {truth} | {n} | {len(cases)} | {some:.1f} | {first:.1f} | ±{error:.1f} |", flush=True)


def coverage_table(pool: ProcessPoolExecutor) -> None:
    """Coverage of the default interval, and of the other two."""
    methods: tuple[Method, ...] = ("auto", "bca", "percentile")
    cases = [(name, n, method) for name in (*SHAPES, *CORPUS) for n in SIZES for method in methods]
    found = dict(zip(cases, pool.map(coverage, cases), strict=True))
    print(
        "| metric | n | default | covers, % | truth below / above, % | false equivalent, % | BCa, % | percentile, % |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in (*SHAPES, *CORPUS):
        for n in SIZES:
            used, covers, below, above, edge = found[name, n, "auto"]
            rest = [f"{found[name, n, other][1]:.1f}" if name != "binary" else "–" for other in methods[1:]]
            tails = f"{below:.1f} / {above:.1f}"
            print(f"| {name} | {n} | {used} | **{covers:.1f}** | {tails} | {edge:.1f} | {' | '.join(rest)} |")


def power_table(pool: ProcessPoolExecutor) -> None:
    """Power of a metric alone against the theory's."""
    cases = [(name, n) for name in SHAPES for n in SIZES]
    print("| metric | n | power, % | theory, % |")
    print("|---|---|---|---|")
    for (name, n), (measured, theory) in zip(cases, pool.map(power_of, cases), strict=True):
        print(f"| {name} | {n} | {measured:.1f} | {theory:.1f} |")


if __name__ == "__main__":
    main()
