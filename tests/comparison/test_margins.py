"""Margins that nobody declared fit the base's value, so that no large change of a small value is equivalent."""

from __future__ import annotations

import random

import numpy as np
import pytest

from loralift.comparison import Settings, compare, compare_slices, with_margins
from loralift.metrics import METRICS, MetricSettings
from loralift.records import MetricInfo, Score

INFOS = {name: METRICS[name].info(MetricSettings()) for name in ("rouge2", "f1", "bleu")}
ROWS = 400


def rows(seed: int, metric: str, value: float, spread: float) -> list[Score]:
    draw = random.Random(seed)
    return [Score(str(i), {metric: max(0.0, value + draw.gauss(0, spread))}) for i in range(ROWS)]


def compared(metric: str, before: float, after: float, margins: dict[str, float] | None = None) -> tuple[str, float]:
    base, mine = rows(1, metric, before, before / 30), rows(2, metric, after, before / 30)
    infos = {metric: INFOS[metric]}
    row = compare("base", base, {"mine": mine}, infos, Settings(metric, margins or {}, resamples=200)).rows[0]
    return str(row.verdict), row.margin or 0.0


@pytest.mark.parametrize(
    ("metric", "before", "after", "verdict"),
    [
        ("rouge2", 0.025, 0.032, "better"),  # a rise of 28 %, inside +-0.01
        ("bleu", 0.66, 0.48, "worse"),  # a fall of 27 %, inside +-0.5
        ("f1", 0.5, 0.5005, "equivalent"),
    ],
)
def test_a_large_change_of_a_small_value_is_not_equivalent(
    metric: str, before: float, after: float, verdict: str
) -> None:
    found, margin = compared(metric, before, after)
    assert found == verdict
    assert margin == pytest.approx(min(INFOS[metric].margin or 0.0, 0.05 * before), rel=0.05)


def test_a_margin_that_was_declared_stands() -> None:
    assert compared("rouge2", 0.025, 0.032, {"rouge2": 0.01}) == ("equivalent", 0.01)


def test_of_nothing_nothing_is_a_small_part() -> None:
    base = [Score(str(i), {"f1": 0.0}) for i in range(50)]
    settings = with_margins(Settings("f1"), base, INFOS, {})
    assert settings.margin(INFOS["f1"]) is None
    assert settings.margin(INFOS["bleu"]) is None


def test_one_margin_holds_for_all_rows_and_for_parts_of_them() -> None:
    base = [Score(str(i), {"f1": 0.02 if i % 2 else 0.1}) for i in range(ROWS)]
    mine = [Score(str(i), {"f1": 0.021 if i % 2 else 0.1}) for i in range(ROWS)]
    settings = with_margins(Settings("f1", resamples=200), base, INFOS, {})
    assert with_margins(settings, mine, INFOS, {}) is settings
    parts = {"odd": {str(i): str(i % 2) for i in range(ROWS)}}
    of_parts = compare_slices(base, {"mine": mine}, INFOS["f1"], parts, settings)
    assert {part.row.margin for part in of_parts} == {settings.margin(INFOS["f1"])} == {0.05 * 0.06}


def test_the_value_of_a_corpus_metric_is_that_of_its_sums() -> None:
    info = MetricInfo("ratio", "Ratio", margin=1.0, corpus=True)
    base = [Score(str(i), {"ratio": 9.0}, {"ratio": (1.0, float(i + 1))}) for i in range(9)]
    settings = with_margins(Settings("ratio"), base, {"ratio": info}, {"ratio": lambda s: s[..., 0] / s[..., 1]})
    assert settings.margin(info) == pytest.approx(0.05 * 9 / np.arange(1, 10).sum())
