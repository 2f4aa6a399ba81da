"""Reviews that EvalScope 1.14.1 wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralift.workflow.sides.reading import read_side
from tests.workflow.sides.logs.read import HERE, changed, mean, refused, verdict

FOLDER = HERE / "evalscope"
BASE = FOLDER / "base.jsonl"


def test_values_are_those_that_evalscope_printed() -> None:
    """Its report had ROUGE-L recall 0.25, and 0.9167 for the other model."""
    assert mean(read_side(BASE, None), "Rouge-L-R") == 0.25
    assert mean(read_side(FOLDER / "mine.jsonl", None), "Rouge-L-R") == pytest.approx(0.9167, abs=1e-4)
    verdict("evalscope", "jsonl", "Rouge-L-R", higher_is_better=["Rouge-L-R"])
    verdict("evalscope", "jsonl", "exact_match")


def test_a_metric_that_failed_has_no_score_where_evalscope_writes_0() -> None:
    side = read_side(FOLDER / "errors.jsonl", None)
    assert all(score.values[f"bleu-{n}"] is None for score in side.scores for n in (1, 2, 3, 4))
    assert side.scores[0].unscored["bleu-1"] == "BLEU failed"
    assert mean(side, "Rouge-L-R") == 0.25


def test_several_answers_to_a_question_are_of_one_question() -> None:
    side = read_side(FOLDER / "repeats.jsonl", None)
    assert [score.id for score in side.scores] == ["0#0", "0#1", "1#0", "1#1", "2#0", "2#1"]
    assert side.repeated


@pytest.mark.parametrize(
    ("status", "value"), [("success", 0.0), ("fallback", 0.0), ("parse_error", None), ("excluded", None)]
)
def test_only_a_usable_status_carries_a_score(status: str, value: float | None, tmp_path: Path) -> None:
    path = changed(tmp_path, BASE, lambda rows: rows[0]["sample_score"]["score"].update(status=status))
    assert set(read_side(path, None).scores[0].values.values()) == {value}


def score(rows: Any) -> Any:
    return rows[2]["sample_score"]["score"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[2].pop("sample_score"), r"line 3: must have sample_score \(an object\), got None"),
        (lambda rows: score(rows).pop("value"), r"line 3: must have value \(an object\)"),
        (lambda rows: score(rows)["value"].update({"Rouge-L-R": "high"}), "line 3: Rouge-L-R must be a number"),
        (lambda rows: rows[2]["sample_score"].update(group_id=1), "the id 1 is there more than once"),
        (lambda rows: rows[2].pop("messages"), r"line 3: must have messages \(a list\)"),
        (lambda rows: score(rows).pop("extracted_prediction"), "extracted_prediction"),
    ],
)
def test_spoiled_reviews_are_refused_in_one_line(change: Any, said: str, tmp_path: Path) -> None:
    refused(changed(tmp_path, BASE, change), said)
