"""Confidence intervals, as the quantiles of a confidence distribution.

Each method here knows two things: ``quantile(q)``, the end of a one-sided interval of level q, and its inverse
``cdf(x)``, the one-sided p value of "the true difference is at most x" (Xie and Singh, 2013). A 95 % interval is two
quantiles, an equivalence test two values of ``cdf``: neither can contradict the other.

Which method ``auto`` takes was decided by simulation (``docs/statistics.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from loralift.comparison.estimate import Estimate
from loralift.comparison.pairing import Floats
from loralift.records import Interval

Method = Literal["auto", "t", "bca", "percentile", "expanded percentile"]

BCA_FROM = 1_000
"""Pairs from which ``auto`` uses BCa. Below, its bias and skew are too noisy: it can cover less than 93.5 %."""


FEWEST_REPLICATES = 100


class Confidence(Protocol):
    """What is known of a true difference."""

    @property
    def method(self) -> str:
        """Its name, as an ``Interval`` carries it."""

    def quantile(self, q: float) -> float:
        """The value that the true difference is below with confidence q, 0 < q < 1."""

    def cdf(self, x: float) -> float:
        """The confidence that the true difference is at most x."""


def interval(confidence: Confidence, level: float) -> Interval:
    """The equal-tailed interval of a level in (0, 1)."""
    tail = (1 - level) / 2
    return Interval(
        low=float(confidence.quantile(tail)),
        high=float(confidence.quantile(1 - tail)),
        level=level,
        method=confidence.method,
    )


def chosen(estimate: Estimate, method: Method, *, corpus: bool) -> str:
    """The method that ``auto`` stands for, or the method itself."""
    if method != "auto":
        return method
    if estimate.n >= BCA_FROM:
        return "bca"
    return "expanded percentile" if corpus else "t"


def needs_bootstrap(estimate: Estimate, method: str) -> bool:
    """Whether an interval by a chosen method is made from bootstrap replicates."""
    return method != "t" and estimate.n >= 2 and estimate.deviation > 0


def confidence(estimate: Estimate, method: str, replicates: Floats | None = None) -> Confidence | None:
    """What the rows say about the true value.

    Args:
        estimate: From n rows.
        method: As ``chosen``.
        replicates: Sorted bootstrap values, where ``needs_bootstrap`` said so.

    Returns:
        The confidence distribution; None for fewer than two rows, or where an aggregate is hardly ever finite.
    """
    if estimate.n < 2:
        return None
    if estimate.deviation == 0:
        return Point(estimate.value, estimate.n)
    if method == "t":
        return StudentT(estimate.value, estimate.standard_error, estimate.n - 1)
    if replicates is None or replicates.size < FEWEST_REPLICATES:
        return None
    if method == "bca":
        return BCa.of(estimate, replicates)
    return Percentile(replicates, estimate.n if method == "expanded percentile" else None)


@dataclass(frozen=True, slots=True)
class StudentT:
    """The paired t interval; for a corpus statistic, on its jackknife pseudo-values (Tukey, 1958)."""

    difference: float
    standard_error: float
    freedom: int
    method: str = "t"

    def quantile(self, q: float) -> float:
        """See ``Confidence``."""
        from scipy.special import stdtrit

        return float(self.difference + self.standard_error * stdtrit(self.freedom, q))

    def cdf(self, x: float) -> float:
        """See ``Confidence``."""
        from scipy.special import stdtr

        return float(stdtr(self.freedom, (x - self.difference) / self.standard_error))


@dataclass(frozen=True, slots=True, eq=False)
class Percentile:
    """Bootstrap percentiles (Efron, 1979), or expanded to Student's t width (Hesterberg, 2015) where n is given.

    A bootstrap of n rows is too narrow by root((n - 1) / n) and takes normal for t quantiles; at n = 30 that costs two
    points of coverage. The expansion moves the levels, and so keeps the replicates' own shape.
    """

    replicates: Floats
    n: int | None = None

    @property
    def method(self) -> str:
        """See ``Confidence``."""
        return "percentile" if self.n is None else "expanded percentile"

    def quantile(self, q: float) -> float:
        """See ``Confidence``."""
        from scipy.special import ndtr, stdtrit

        level = q if self.n is None else ndtr(stdtrit(self.n - 1, q) * math.sqrt(self.n / (self.n - 1)))
        return quantile_of(self.replicates, level)

    def cdf(self, x: float) -> float:
        """See ``Confidence``."""
        from scipy.special import ndtri, stdtr

        level = share_below(self.replicates, x)
        if self.n is None:
            return level
        return float(stdtr(self.n - 1, ndtri(level) * math.sqrt((self.n - 1) / self.n)))


@dataclass(frozen=True, slots=True, eq=False)
class BCa:
    """Bias-corrected and accelerated bootstrap percentiles (Efron, 1987).

    Attributes:
        replicates: Sorted bootstrap differences.
        bias: z0, the normal quantile of the share of replicates below the estimate.
        acceleration: a, a sixth of the skewness of the jackknife values over root n.
    """

    replicates: Floats
    bias: float
    acceleration: float
    method: str = "bca"

    @classmethod
    def of(cls, estimate: Estimate, replicates: Floats) -> BCa:
        """From an estimate; the jackknife of a mean is its rows, so the acceleration has a closed form."""
        from scipy.special import ndtri

        centred = estimate.pseudo_values - estimate.pseudo_values.mean()
        acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
        bias = ndtri(share_below(replicates, estimate.value))
        return cls(replicates, float(bias), float(acceleration))

    def quantile(self, q: float) -> float:
        """See ``Confidence``."""
        from scipy.special import ndtr, ndtri

        z = self.bias + ndtri(q)
        return quantile_of(self.replicates, ndtr(self.bias + z / (1 - self.acceleration * z)))

    def cdf(self, x: float) -> float:
        """See ``Confidence``."""
        from scipy.special import ndtr, ndtri

        w = ndtri(share_below(self.replicates, x)) - self.bias
        return float(ndtr(w / (1 + self.acceleration * w) - self.bias))


@dataclass(frozen=True, slots=True)
class Tango:
    """The score interval for the difference of paired proportions (Tango, 1998), for 0/1 values.

    Attributes:
        wins: Pairs where only the candidate is 1.
        losses: Pairs where only the baseline is 1.
        n: Pairs.
    """

    wins: int
    losses: int
    n: int
    method: str = "tango"

    def cdf(self, x: float) -> float:
        """See ``Confidence``."""
        return 0.5 * math.erfc(self._score(min(max(x, -1.0), 1.0)) / math.sqrt(2))

    def quantile(self, q: float) -> float:
        """See ``Confidence``; by bisection, as ``cdf`` rises from -1 to 1."""
        low, high = -1.0, 1.0
        while high - low > 1e-13:
            middle = (low + high) / 2
            low, high = (middle, high) if self.cdf(middle) < q else (low, middle)
        return low if low == -1.0 else high

    def _score(self, x: float) -> float:
        """The score statistic of "the difference is x"; standard normal if it is."""
        n, wins, losses = self.n, self.wins, self.losses
        b = (2 * n - wins + losses) * x - wins - losses
        root = math.sqrt(max(b * b + 8 * n * losses * x * (1 - x), 0.0))
        discordant = (root - b) / (4 * n)
        variance = n * (2 * discordant + x * (1 - x))
        surplus = wins - losses - n * x
        if variance <= 1e-15 * n:
            return math.copysign(math.inf, surplus) if surplus else 0.0
        return surplus / math.sqrt(variance)


@dataclass(frozen=True, slots=True)
class Wilson:
    """The score interval of one proportion (Wilson, 1927).

    Attributes:
        ones: Rows that are 1.
        n: Rows.
    """

    ones: int
    n: int
    method: str = "wilson"

    def quantile(self, q: float) -> float:
        """See ``Confidence``."""
        from scipy.special import ndtri

        z, share = float(ndtri(q)), self.ones / self.n
        spread = z * math.sqrt(share * (1 - share) / self.n + z * z / (4 * self.n**2))
        return min(max((share + z * z / (2 * self.n) + spread) / (1 + z * z / self.n), 0.0), 1.0)

    def cdf(self, x: float) -> float:
        """See ``Confidence``."""
        surplus, variance = self.ones - self.n * x, self.n * x * (1 - x)
        score = surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus)
        return 0.5 * math.erfc(score / math.sqrt(2))


@dataclass(frozen=True, slots=True)
class Point:
    """Every pair differs by the same amount: no spread to measure, so the interval is one point.

    ``cdf`` is then the one-sided sign-flip p value, 2^-n: two such pairs prove nothing, ten prove much.
    """

    difference: float
    n: int
    method: str = "no spread"

    def quantile(self, q: float) -> float:
        """See ``Confidence``."""
        return self.difference

    def cdf(self, x: float) -> float:
        """See ``Confidence``."""
        if x == self.difference:
            return 0.5
        tail = 0.5**self.n
        return tail if x < self.difference else 1 - tail


def quantile_of(replicates: Floats, q: float) -> float:
    """Linearly interpolated quantile of sorted replicates."""
    return float(np.interp(q * (replicates.size - 1), np.arange(replicates.size), replicates))


def share_below(replicates: Floats, x: float) -> float:
    """Share of sorted replicates below x, ties counted half, kept off 0 and 1 by one replicate."""
    size = replicates.size
    below = (int(np.searchsorted(replicates, x, "left")) + int(np.searchsorted(replicates, x, "right"))) / 2
    return min(max(below / size, 1 / (size + 1)), size / (size + 1))
