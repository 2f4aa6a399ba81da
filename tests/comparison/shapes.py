"""Data of the shapes that metrics really have, and scores made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from loralift.records import MetricInfo, Score

QUALITY = MetricInfo("quality", "Quality")
RIGHT = MetricInfo("right", "Right")
LOSS = MetricInfo("loss", "Loss", high=None, higher_is_better=False)
WORDS = MetricInfo("words", "Words", high=None, higher_is_better=None)
PERPLEXITY = MetricInfo("perplexity", "Perplexity", low=1.0, high=None, higher_is_better=False, corpus=True)


def rows(**metrics: Sequence[float | None]) -> list[Score]:
    """Scores with the ids q00000, q00001, … from columns of values."""
    values = [dict(zip(metrics, row, strict=True)) for row in zip(*metrics.values(), strict=True)]
    return [
        Score(f"q{i:05}", {m: None if v is None else float(v) for m, v in row.items()}) for i, row in enumerate(values)
    ]


def corpus_rows(metric: str, statistics: np.ndarray) -> list[Score]:
    """Scores that carry only sufficient statistics, shape (n, k)."""
    return [Score(f"q{i:05}", {}, {metric: tuple(map(float, row))}) for i, row in enumerate(statistics)]


def perplexity(sums: np.ndarray) -> np.ndarray:
    """exp(-summed log-likelihood / tokens)."""
    return np.exp(-sums[..., 0] / sums[..., 1])


def bounded(n: int, seed: int, shift: float = 0.0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """A baseline in [0, 1] and a candidate that follows it."""
    rng = np.random.default_rng(seed)
    baseline = rng.beta(5, 3, n)
    return baseline, np.clip(baseline + shift + rng.normal(0, noise, n), 0, 1)


def many(seed: int = 0, n: int = 120) -> tuple[list[Score], dict[str, list[Score]]]:
    """A baseline and a better, a worse and an equal candidate, on four metrics."""
    rng = np.random.default_rng(seed)

    def variant(shift: float) -> list[Score]:
        good = np.clip(rng.beta(5, 3, n) + shift, 0, 1)
        return rows(quality=good, loss=1 / (good + 0.1), right=good > 0.6, words=rng.poisson(80, n))

    return variant(0.0), {"up": variant(0.1), "down": variant(-0.1), "same": variant(0.0)}


def likelihoods(n: int, seed: int, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Statistics (log-likelihood, tokens) of a baseline and of a candidate that finds the same references likelier."""
    rng = np.random.default_rng(seed)
    tokens = np.ceil(np.exp(rng.normal(4.5, 0.8, n)))
    each = rng.gamma(8, 0.3, n)
    candidate = np.maximum(each * factor + rng.normal(0, 0.1, n), 0.01)
    return np.stack([-each * tokens, tokens], axis=1), np.stack([-candidate * tokens, tokens], axis=1)


def only(comparison_rows: Sequence, metric: str) -> object:
    """The one row of a metric."""
    (found,) = [row for row in comparison_rows if row.metric == metric]
    return found


def infos(*metrics: MetricInfo) -> Mapping[str, MetricInfo]:
    """By name."""
    return {metric.name: metric for metric in metrics}
