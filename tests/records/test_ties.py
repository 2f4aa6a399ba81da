"""One rule of what is a tie, on numbers and on arrays."""

from __future__ import annotations

import numpy as np
import pytest

from loralift.records import tied


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.3, 0.1 + 0.2, True),
        (0.0, 0.0, True),
        (0.0, 1e-300, False),
        (-1.0, 1.0, False),
        (1e6, 1e6 * (1 + 1e-13), True),
        (0.3, 0.3 * (1 + 1e-10), False),
    ],
)
def test_what_differs_by_rounding_is_tied(before: float, after: float, expected: bool) -> None:
    assert tied(before, after) is tied(after, before) is expected
    assert tied(np.array([before]), np.array([after])).tolist() == [expected]
