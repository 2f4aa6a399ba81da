from __future__ import annotations

import json
import math

import pytest

from loralift.comparison import Settings, compare
from loralift.errors import RunDirectoryError
from loralift.metrics import METRICS, MetricSettings
from loralift.records import Answer, Comparison, MetricInfo, Score
from loralift.workflow.codec import decode, plain, score_of, score_row, scores_of


def test_a_score_comes_back_as_it_was() -> None:
    score = Score("q1", {"f1": 0.1 + 0.2, "rouge1": None}, {"bleu": (1.0, 2.0)})
    assert score_of(json.loads(json.dumps(score_row(score)))) == score


def test_a_comparison_comes_back_as_it_was() -> None:
    infos = {
        "f1": METRICS["f1"].info(MetricSettings()),
        "length": MetricInfo("length", "Length", higher_is_better=None),
    }
    base = [Score(str(i), {"f1": i / 40, "length": float(i)}) for i in range(20)]
    mine = [Score(str(i), {"f1": (i + i % 3) / 40, "length": float(i % 4)}) for i in range(20)]
    comparison = compare("base", base, {"mine": mine}, infos, Settings("f1"))
    assert decode(Comparison, json.loads(json.dumps(plain(comparison), allow_nan=False))) == comparison


def test_what_json_cannot_say_becomes_null() -> None:
    assert plain({"a": math.inf, "b": (math.nan, 1.0)}) == {"a": None, "b": [None, 1.0]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "a", "f1": "high"}, "f1"),
        ({"f1": 0.5}, "'id'"),
        ({"id": "a", "statistics": {"bleu": ["x"]}}, "statistics"),
    ],
)
def test_a_line_that_is_no_score_is_refused_and_says_which_field(row: dict, message: str) -> None:
    with pytest.raises(RunDirectoryError, match=message):
        score_of(row)


def test_an_answer_with_a_wrong_field_is_refused() -> None:
    with pytest.raises(RunDirectoryError, match="finish_reason"):
        decode(Answer, {"id": "a", "text": "x", "finish_reason": "tired"})


def test_reasons_come_back_and_rows_without_one_have_no_word_of_it() -> None:
    score = Score("q1", {"rougeL": None, "f1": 0.5}, unscored={"rougeL": "ROUGE sees too little of the reference"})
    row = json.loads(json.dumps(score_row(score)))
    assert row == {"id": "q1", "rougeL": None, "f1": 0.5, "unscored": dict(score.unscored)}
    assert score_of(row) == score
    assert score_row(Score("q2", {"f1": 1.0})) == {"id": "q2", "f1": 1.0}
    assert score_of({"id": "q2", "f1": 1.0}).unscored == {}


def test_another_tools_metric_may_have_that_name() -> None:
    assert score_of({"id": "a", "unscored": 3.0}) == Score("a", {"unscored": 3.0})
    with pytest.raises(RunDirectoryError, match="unscored"):
        score_of({"id": "a", "unscored": "three"})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "a", "f1": 1.0}, "row 2: the id a is there more than once"),
        ({"id": "b", "statistics": {"bleu": [1.0]}}, "row 2: the statistics of bleu must be 2 finite numbers"),
        (
            {"id": "b", "statistics": {"bleu": [1.0, math.inf]}},
            "row 2: the statistics of bleu must be 2 finite numbers",
        ),
        ({"id": "b", "f1": []}, "row 2: not a Score"),
    ],
)
def test_lines_that_are_not_of_one_file_of_scores_are_refused(row: dict, said: str) -> None:
    with pytest.raises(RunDirectoryError, match=f"^scores.jsonl, {said}"):
        scores_of("scores.jsonl", [{"id": "a", "statistics": {"bleu": [1.0, 2.0]}}, row])
