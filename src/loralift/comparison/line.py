"""A straight line by least squares, with standard errors that hold where the scatter is uneven."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loralift.comparison.estimate import of_mean
from loralift.comparison.pairing import Floats
from loralift.records import ROUNDING


@dataclass(frozen=True, slots=True)
class Line:
    """y = intercept + slope x.

    Attributes:
        intercept: y at x = 0.
        slope: Of y on x.
        intercept_error: HC3 standard error.
        slope_error: HC3 standard error; infinite where one row alone decides the slope.
        freedom: Degrees of freedom.
    """

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float
    freedom: int


def fit(x: Floats, y: Floats) -> Line:
    """Fit a line, with HC3 standard errors (MacKinnon and White, 1985; Long and Ervin, 2000).

    HC3 divides each row's residual by 1 - h, for its leverage h: what the residual would be had the row not taken part.

    Args:
        x: Shape (n,), n at least 3.
        y: Shape (n,).

    Returns:
        The line; the mean of y, with its own standard error and slope 0, where all x are 0.

    Raises:
        ValueError: All x are the same, and not 0.
    """
    n = x.size
    if not x.any():
        mean = of_mean(y)
        return Line(mean.value, 0.0, mean.standard_error, 0.0, n - 1)
    centred = x - x.mean()
    if np.abs(centred).max() <= ROUNDING * np.abs(x).max():
        raise ValueError("without spread in x there is no line")
    spread = float((centred**2).sum())
    slope = float((centred * y).sum()) / spread
    intercept = float(y.mean() - slope * x.mean())
    left = 1 - 1 / n - centred**2 / spread
    alone = left <= ROUNDING
    residuals = np.where(alone, 0.0, y - intercept - slope * x) / np.where(alone, 1.0, left)

    def error(weights: Floats) -> float:
        return math.sqrt(float(((weights * residuals) ** 2).sum()))

    return Line(
        intercept=intercept,
        slope=slope,
        intercept_error=error(1 / n - x.mean() * centred / spread),
        slope_error=math.inf if alone.any() else error(centred / spread),
        freedom=n - 2,
    )
