"""When two values are the same: one rule for wins and ties, tests, charts and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:  # every command imports the records; numpy would be a third of the time that --help takes
    import numpy as np
    from numpy.typing import NDArray

ROUNDING = 1e-12
"""Differences below this share of the values' size are rounding, and count as none."""


@overload
def tied(before: float, after: float) -> bool: ...
@overload
def tied(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.bool_]: ...
def tied(before: Any, after: Any) -> Any:
    """Whether two values differ by rounding at most, as the same sum does that was added up in another order.

    >>> tied(0.3, 0.1 + 0.2), tied(0.3, 0.3001), tied(0.0, 1e-300)
    (True, False, False)

    Args:
        before: A finite value, or values of shape (...).
        after: The same.

    Returns:
        One truth, or truths of shape (...).
    """
    apart = abs(after - before)
    return (apart <= ROUNDING * abs(before)) | (apart <= ROUNDING * abs(after))
