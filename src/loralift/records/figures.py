"""Metrics, their aggregates and their comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What a comparison and a report must know of a metric.

    Attributes:
        name: As the ecosystem spells it, e.g. ``rougeL``.
        title: For people, e.g. ``ROUGE-L``.
        low: Smallest possible value; None: unbounded.
        high: Largest possible value; None: unbounded.
        higher_is_better: None for descriptive metrics, which explain but are never judged.
        margin: Differences within +-margin count as equivalent; in the metric's own unit. None: never equivalent.
        unit: e.g. ``words``, ``s``; empty for a score.
        decimals: Digits after the point that a table shows.
        corpus: Whether the aggregate is a corpus statistic rather than the mean of the rows.
        signature: Settings, implementation and version, in sacrebleu's manner: ``stemmer:no|version:0.1.2``.
    """

    name: str
    title: str
    low: float | None = 0.0
    high: float | None = 1.0
    higher_is_better: bool | None = True
    margin: float | None = None
    unit: str = ""
    decimals: int = 3
    corpus: bool = False
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        level: Confidence level in (0, 1), e.g. 0.95.
        method: How it was made: ``t``, ``HC3 t``, ``bca``, ``percentile``, ``expanded percentile``, ``tango``,
            ``wilson``, or ``no spread`` where every row is the same and the interval is one point.
    """

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric of one variant over all rows.

    Attributes:
        metric: Its name.
        n: Rows scored; questions where the answers to one question were averaged.
        unscored: Rows that could not be scored (None).
        value: The aggregate: mean of rows, or the corpus statistic.
        mean: Mean of the rows.
        median: Median of the rows.
        std: Sample standard deviation of the rows (n - 1); None for fewer than two.
        interval: 95 % confidence interval of ``value``; None for fewer than two rows.
        reasons: Why rows could not be scored, to the number of rows: those among ``unscored`` that say why.
    """

    metric: str
    n: int
    unscored: int
    value: float | None
    mean: float | None
    median: float | None
    std: float | None
    interval: Interval | None
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One metric of one candidate against one baseline, on rows paired by id.

    Attributes:
        metric: Its name.
        baseline: The baseline variant.
        candidate: The candidate variant.
        n: Pairs; questions where the answers to one question were averaged.
        dropped: Rows that could not be paired or scored on one side or both.
        baseline_value: Aggregate of the baseline on the pairs.
        candidate_value: Aggregate of the candidate on the same pairs.
        difference: candidate_value - baseline_value, in the metric's unit.
        interval: 95 % confidence interval of the difference; None for fewer than two pairs.
        equivalence_interval: 90 % confidence interval (two one-sided tests at 5 %); None as above.
        p_value: Two-sided; None for fewer than two pairs.
        p_adjusted: After weighted Holm over the family of metrics and candidates; None for descriptive metrics.
        test: The test behind p_value, e.g. ``sign-flip permutation (exact)``.
        effect_size: Cohen's d_z: mean difference / standard deviation of the differences, with the sign of
            ``difference``; for corpus metrics on the jackknife's pseudo-values; None without spread.
        probability_of_superiority: Share of pairs the candidate wins, ties counted half; in [0, 1].
        wins: Pairs the candidate wins (by the metric's direction; by value for descriptive metrics).
        ties: Pairs with equal values.
        losses: Pairs the candidate loses.
        minimum_detectable_effect: Difference found with 80 % power at this n and spread, by a test at alpha before
            adjustment; in the metric's unit; None without spread.
        margin: The equivalence margin used; None: none was declared.
        p_equivalence: The larger of the two one-sided p values; None without a margin.
        verdict: None for descriptive metrics.
        warnings: What a reader of these figures must know, one sentence each.
        answers: Scored pairs of answers; more than ``n`` where answers to one question were averaged.
        dropped_reasons: Reason to the number of rows dropped for it; they sum to ``dropped``.
        deviation: Standard deviation of the differences, in the metric's unit; for corpus metrics of the jackknife's
            pseudo-values; None for fewer than two pairs. ``difference`` and ``interval`` over it are the effect size
            and, about, its interval.
        rows_needed: Pairs at which the observed difference, were it the true one, is found with 80 % power; None
            without a difference or without spread.
        unscored: Why the metric cannot score rows, to the number of rows: those among the dropped that say why.
    """

    metric: str
    baseline: str
    candidate: str
    n: int
    dropped: int
    baseline_value: float | None
    candidate_value: float | None
    difference: float | None
    interval: Interval | None = None
    equivalence_interval: Interval | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    test: str = ""
    effect_size: float | None = None
    probability_of_superiority: float | None = None
    wins: int = 0
    ties: int = 0
    losses: int = 0
    minimum_detectable_effect: float | None = None
    margin: float | None = None
    p_equivalence: float | None = None
    verdict: Verdict | None = None
    warnings: tuple[str, ...] = ()
    answers: int = 0
    dropped_reasons: Mapping[str, int] = field(default_factory=dict)
    deviation: float | None = None
    rows_needed: int | None = None
    unscored: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """One variant's place.

    Attributes:
        variant: Its name.
        rank: 1 plus the number of variants judged better than this one; several share a rank.
        value: Aggregate over its scored rows; None where nothing was scored.
        better_than: Variants that it is judged better than.
    """

    variant: str
    rank: int
    value: float | None
    better_than: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Variants in order.

    Attributes:
        metric: What they are ranked by.
        places: By rank, then value, then name.
        pairs: Every pair of variants once, the earlier in the order given as the baseline; Holm over the pairs.
    """

    metric: str
    places: tuple[Place, ...]
    pairs: tuple[MetricComparison, ...]


@dataclass(frozen=True, slots=True)
class Stopping:
    """How far questions were asked that are asked until every verdict is sure.

    Attributes:
        rows: How many were asked.
        of: How many there are.
        seed: Of the order in which they were drawn.
        looks: After how many rows the verdicts were looked at, ascending; the last is ``rows``.
        sure: Whether every verdict was sure at the last look. If not, there were no rows left.
    """

    rows: int
    of: int
    seed: int
    looks: tuple[int, ...]
    sure: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every candidate against the baseline, on every metric.

    Attributes:
        baseline: The variant compared against.
        candidates: The variants compared.
        primary: The metric that decides.
        alpha: Family-wise error rate.
        verdicts: Candidate to the primary metric's verdict.
        rows: One a candidate and metric, in the order of candidates, then metrics.
        metrics: Metric name to what a report must know of it.
        seed: Of every resampling.
        resamples: Number of bootstrap samples and of sign flips, where there are any.
        ranking: All variants on the primary metric, each against each; None for fewer than two candidates.
        stopping: How far the rows were asked, where they were until every verdict was sure; None: all were.
    """

    baseline: str
    candidates: tuple[str, ...]
    primary: str
    alpha: float
    verdicts: Mapping[str, Verdict]
    rows: tuple[MetricComparison, ...]
    metrics: Mapping[str, MetricInfo]
    seed: int
    resamples: int
    ranking: Ranking | None = None
    stopping: Stopping | None = None


@dataclass(frozen=True, slots=True)
class SdkPairedTest:
    """NeMo Evaluator's own paired test of one metric of one candidate, beside ours.

    Attributes:
        metric: Its name.
        candidate: The candidate variant.
        n: Pairs.
        test: ``mcnemar`` or ``permutation``.
        p_degradation: One-sided p value of the candidate being worse.
        p_improvement: One-sided p value of the candidate being better.
        note: Why there is none, where there is none.
    """

    metric: str
    candidate: str
    n: int
    test: str = ""
    p_degradation: float | None = None
    p_improvement: float | None = None
    note: str = ""
