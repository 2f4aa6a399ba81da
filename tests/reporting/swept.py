"""A report of a sweep, on values made up: a rise and a fall, as training has it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loralift.comparison import Settings, compare, summarise
from loralift.records import Axis, MetricInfo, Report, Score, Sweep
from loralift.workflow.sweeps import axes_of, sweep_of

F1 = MetricInfo("f1", "Token F1", margin=0.01)


def swept(adapters: int, rows: int = 60, *, height: float = 0.08, resamples: int = 200) -> Report:
    """A report on so many checkpoints, every 100 steps, of ranks 8, 16, 32, 64, 8, …"""
    rng = np.random.default_rng(0)
    base = rng.beta(2, 3, rows)
    settings = Settings("f1", resamples=resamples)
    numbers, scores = {}, {"base": _scores(base)}
    for place in range(1, adapters + 1):
        shift = height * np.sin(np.pi * place / (adapters + 1)) - height / 4
        name = f"checkpoint-{100 * place}"
        scores[name] = _scores(base + shift + rng.normal(0, 0.08, rows))
        numbers[name] = {"step": 100.0 * place, "epoch": place / 4, "r": float(8 << place % 4), "same": 1.0}
    candidates = {name: scores[name] for name in numbers}
    comparison = compare("base", scores["base"], candidates, {"f1": F1}, settings)
    return Report(
        title="made up",
        variants=tuple(scores),
        metrics={"f1": F1},
        summaries={name: {"f1": summarise(rows, F1)} for name, rows in scores.items()},
        comparison=comparison,
        sweep=sweep_of(numbers, scores, comparison, settings, None),
    )


def without_best(report: Report) -> Report:
    """The same where the best could not be judged."""
    assert report.sweep is not None
    return replace(report, sweep=Sweep(report.sweep.axes))


def _scores(values: np.ndarray) -> list[Score]:
    return [Score(f"q{i}", {"f1": float(value)}) for i, value in enumerate(values)]


__all__ = ["Axis", "axes_of", "swept", "without_best"]
