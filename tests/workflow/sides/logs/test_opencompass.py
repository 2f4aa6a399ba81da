"""Predictions that OpenCompass 0.5.4 wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralift.errors import ComparisonError
from loralift.workflow.compare_inputs import compare_sides
from loralift.workflow.sides.reading import read_side
from tests.workflow.sides.logs.read import HERE, changed, mean, refused, verdict

BASE, MINE = (HERE / "opencompass" / f"{who}.json" for who in ("base", "mine"))


def test_its_answers_are_scored_here_as_opencompass_scored_them() -> None:
    """Its EMEvaluator printed 25.00, and 91.67 for the other model."""
    assert 100 * mean(read_side(BASE, ["exact_match"]), "exact_match") == 25
    assert 100 * mean(read_side(MINE, ["exact_match"]), "exact_match") == pytest.approx(91.67, abs=0.01)
    verdict("opencompass", "json", "exact_match")


def test_another_prompt_is_refused(tmp_path: Path) -> None:
    other = changed(tmp_path, MINE, lambda rows: rows["3"].update(origin_prompt="Answer briefly: what?"))
    with pytest.raises(ComparisonError, match="prompt differs on 1 of 12 rows"):
        compare_sides(BASE, other, ["exact_match"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows["3"].pop("prediction"), r"row 3: must have prediction \(text\), got None"),
        (lambda rows: rows["3"].update(prediction=["a"]), r"row 3: must have prediction \(text\)"),
        (lambda rows: rows["3"].pop("gold"), "row 3: gold must be a text or a list of texts, got None"),
        (lambda rows: rows["3"].update(gold=1), "row 3: gold must be a text or a list of texts, got 1"),
        (lambda rows: rows["3"].pop("origin_prompt"), "origin_prompt"),
    ],
)
def test_spoiled_predictions_are_refused_in_one_line(change: Any, said: str, tmp_path: Path) -> None:
    refused(changed(tmp_path, BASE, change), said, ["exact_match"])
