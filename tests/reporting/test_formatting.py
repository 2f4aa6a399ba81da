from __future__ import annotations

import pytest

from loralift.records import Interval, MetricInfo
from loralift.reporting import formatting

INFO = MetricInfo("f1", "Token F1")


def test_a_real_minus_sign_and_none_before_what_rounds_to_zero() -> None:
    assert [formatting.value(x, INFO) for x in (0.25, -0.25, -0.0001, None)] == ["0.250", "−0.250", "0.000", "–"]
    assert [formatting.difference(x, INFO) for x in (0.25, -0.25, -0.0001)] == ["+0.250", "−0.250", "0.000"]
    effects = [formatting.effect(x) for x in (0.123, -0.123, -0.001, 0.001, None)]
    assert effects == ["+0.12", "−0.12", "0.00", "0.00", "–"]
    assert formatting.interval(Interval(-0.0001, 0.02, 0.95, "t"), INFO) == "[0.000, +0.020]"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "0 %"),
        (0.004, "0.4 %"),
        (0.994, "99 %"),
        (0.9966, ">99 %"),
        (0.9999999, ">99 %"),
        (1.0, "100 %"),
        (1.004, "100 %"),
        (-0.38, "38 %"),
    ],
)
def test_a_percentage_is_rounded_neither_to_nothing_nor_to_all(share: float, said: str) -> None:
    assert formatting.percent(share) == said


def test_a_percentage_may_keep_its_sign() -> None:
    assert [formatting.percent(share, minus="−") for share in (-0.5, 0.5, 0.0)] == ["−50 %", "50 %", "0 %"]


@pytest.mark.parametrize(("p", "said"), [(None, "–"), (0.00001, "<0.0001"), (0.0012, "0.0012"), (0.04321, "0.043")])
def test_a_p_value_is_never_zero(p: float | None, said: str) -> None:
    assert formatting.p_value(p) == said
