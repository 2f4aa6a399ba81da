"""Where two answers part, and what is called a move."""

from __future__ import annotations

import pytest

from loralift.comparison import first_divergence, judge_mode
from loralift.records import MetricComparison, NoiseFloor, Verdict


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        ((), (), None),
        ((4, 5, 6), (4, 5, 6), None),
        ((4, 5, 6), (4, 7, 6), 2),
        ((4, 5, 6), (4, 5), 3),
        ((4,), (4, 5, 6), 2),
        ((), (4,), 1),
    ],
)
def test_the_first_place_that_differs(one: tuple[int, ...], other: tuple[int, ...], place: int | None) -> None:
    assert first_divergence(one, other) == place
    assert first_divergence(other, one) == place


def row(metric: str, difference: float | None, verdict: Verdict) -> MetricComparison:
    return MetricComparison(metric, "reference", "mode", 32, 0, 0.5, 0.5, difference, verdict=verdict)


FLOORS = {name: NoiseFloor(name, 32, 0.0, 0.01) for name in ("f1", "rouge1")}


@pytest.mark.parametrize(
    ("rows", "floors", "identical", "expected"),
    [
        ([row("f1", 0.0, "equivalent")], FLOORS, True, "identical"),
        # every token the same, and still another perplexity: the likelihoods are wrong
        ([row("f1", 0.0, "equivalent"), row("perplexity", 3.0, "worse")], FLOORS, True, "MOVES"),
        ([row("f1", 0.02, "equivalent")], FLOORS, False, "equivalent"),
        ([row("f1", 0.02, "better")], FLOORS, False, "MOVES"),
        ([row("f1", -0.005, "worse")], FLOORS, False, "within noise"),
        ([row("f1", 0.005, "inconclusive"), row("rouge1", 0.0, "equivalent")], FLOORS, False, "within noise"),
        ([row("f1", 0.02, "inconclusive"), row("rouge1", 0.001, "inconclusive")], FLOORS, False, "undecided"),
        # nothing but 0 on both sides says nothing against a mode, and None neither
        ([row("exact_match", 0.0, "inconclusive"), row("f1", None, "inconclusive")], FLOORS, False, "equivalent"),
        # the mode that is the noise has no floor to hide behind
        ([row("f1", -0.005, "worse")], None, False, "MOVES"),
        ([row("f1", 0.02, "inconclusive")], None, False, "within noise"),
    ],
)
def test_verdicts(
    rows: list[MetricComparison], floors: dict[str, NoiseFloor] | None, identical: bool, expected: str
) -> None:
    verdict, moved = judge_mode(rows, floors, identical=identical)
    assert verdict == expected
    assert bool(moved) == (expected == "MOVES")
    assert all(row.verdict in ("better", "worse") for row in rows if row.metric in moved)
