"""What is compared again differs from the comparison by its rows, and by nothing else."""

from __future__ import annotations

import numpy as np

from loralift.comparison import Settings, compare
from loralift.metrics import METRICS, MetricSettings
from loralift.records import BASE, Leak, Score
from loralift.workflow.confounds import without_leaks

METRIC_INFOS = {name: METRICS[name].info(MetricSettings()) for name in ("rougeL", "f1", "exact_match", "answer_words")}
SETTINGS = Settings("rougeL", {"rougeL": 0.03, "f1": 0.04}, seed=3, resamples=500)


def variant(seed: int, shift: float) -> list[Score]:
    rng = np.random.default_rng(seed)
    right = np.clip(rng.beta(5, 3, 60) + shift, 0, 1)
    return [
        Score(f"q{i}", {"rougeL": x, "f1": x**2, "exact_match": float(x > 0.7), "answer_words": 40 * x})
        for i, x in enumerate(map(float, right))
    ]


SCORES = {BASE: variant(0, 0.0), "up": variant(1, 0.05), "down": variant(2, -0.05)}


def leaks(*ids: str) -> list[Leak]:
    return [Leak(row, "question", "exact", 1.0, 1) for row in ids]


def test_without_a_leaked_row_the_figures_are_the_comparisons_to_the_bit() -> None:
    candidates = {name: SCORES[name] for name in ("up", "down")}
    whole = compare(BASE, SCORES[BASE], candidates, METRIC_INFOS, SETTINGS)
    found = without_leaks(SCORES, METRIC_INFOS, SETTINGS, leaks("of another data set"), None)
    assert found == {row.candidate: row for row in whole.rows if row.metric == "rougeL"}
    assert found["up"].margin == 0.03


def test_the_rows_that_leaked_are_left_out_of_the_whole_family() -> None:
    found = without_leaks(SCORES, METRIC_INFOS, SETTINGS, leaks("q0", "q1"), None)
    clean = {name: rows[2:] for name, rows in SCORES.items()}
    base = clean.pop(BASE)
    whole = compare(BASE, base, clean, METRIC_INFOS, SETTINGS)
    assert found == {row.candidate: row for row in whole.rows if row.metric == "rougeL"}
    alone = compare(BASE, base, clean, {"rougeL": METRIC_INFOS["rougeL"]}, Settings("rougeL", seed=3, resamples=500))
    assert [row.p_value for row in alone.rows] == [row.p_value for row in found.values()]
    assert [row.p_adjusted for row in alone.rows] != [row.p_adjusted for row in found.values()]


def test_where_every_row_leaked_nothing_is_compared() -> None:
    assert without_leaks(SCORES, METRIC_INFOS, SETTINGS, leaks(*(f"q{i}" for i in range(60))), None) == {}
