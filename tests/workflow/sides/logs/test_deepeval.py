"""Test runs that DeepEval 4.3.1 wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralift.workflow.compare_inputs import compare_sides
from loralift.workflow.sides.reading import read_side
from tests.workflow.sides.logs.read import HERE, changed, mean, refused, verdict

BASE, ERRORS = HERE / "deepeval" / "base.json", HERE / "deepeval" / "errors.json"


def test_values_are_those_that_deepeval_printed() -> None:
    """It printed a pass rate of 25.0% and an average of 0.25, and 91.67% for the other answers."""
    base, mine = read_side(BASE, None), read_side(HERE / "deepeval" / "mine.json", None)
    assert [mean(base, name) for name in ("Exact Match", "pass")] == [0.25, 0.25]
    assert mean(mine, "pass") == pytest.approx(0.9167, abs=1e-4)
    assert [score.id for score in base.scores][:2] == ["q01", "q02"]
    for metric in ("Exact Match", "pass"):
        verdict("deepeval", "json", metric)


def test_a_metric_that_failed_has_no_score_and_the_test_neither() -> None:
    side = read_side(ERRORS, None)
    assert side.scores[7].values == {"Exact Match": 0.0, "Length": None, "pass": None}
    assert side.scores[7].unscored["Length"] == "an error: the judge went away"
    # as DeepEval averaged it: without the one that failed
    assert mean(side, "Length") == pytest.approx((8 * 4 + 3) / 11)


def test_the_successes_say_which_side_of_the_threshold_is_better(tmp_path: Path) -> None:
    """Of an answer at most two words were wanted; "Length" says nothing, and another name the contrary."""
    assert read_side(ERRORS, None).metrics["Length"].higher_is_better is False

    def renamed(document: Any) -> None:
        for case in document["testCases"]:
            case["metricsData"][1]["name"] = "accuracy"

    assert read_side(changed(tmp_path, ERRORS, renamed), None).metrics["accuracy"].higher_is_better is False


def test_another_judge_another_threshold_or_strictness_is_told(tmp_path: Path) -> None:
    def judged(document: Any) -> None:
        for case in cases(document):
            case["metricsData"][0].update(evaluationModel="gpt-4.1-mini", threshold=0.5, strictMode=True)

    comparison, _ = compare_sides(BASE, changed(tmp_path, HERE / "deepeval" / "mine.json", judged))
    told = {row.metric: row.warnings for row in comparison.rows}
    plain, other = "tool:deepeval", "judge gpt-4.1-mini, strict True"
    assert f"The two sides made it differently: {plain}, and {plain}|{other}." in told["Exact Match"]
    bars = f"{plain}|Exact Match: threshold 1.0, and {plain}|Exact Match: threshold 0.5, {other}."
    assert f"The two sides made it differently: {bars}" in told["pass"]
    comparison, _ = compare_sides(BASE, HERE / "deepeval" / "mine.json")
    assert not any("made it differently" in warning for row in comparison.rows for warning in row.warnings)


def test_what_deepeval_does_not_say_of_a_metric_is_not_made_up(tmp_path: Path) -> None:
    def older(document: Any) -> None:
        for case in cases(document):
            for name in ("strictMode", "threshold"):
                case["metricsData"][0].pop(name)

    side = read_side(changed(tmp_path, BASE, older), None)
    assert [info.signature for info in side.metrics.values()] == ["tool:deepeval", "tool:deepeval|Exact Match"]


def cases(document: Any) -> Any:
    return document["testCases"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: cases(d)[0]["metricsData"][0].update(success=True), "on both sides of the threshold of Exact Match"),
        (lambda d: cases(d)[2]["metricsData"][0].update(score="high"), "test case 3: Exact Match must be a number"),
        (lambda d: cases(d)[2]["metricsData"].extend(cases(d)[2]["metricsData"]), "the metric Exact Match is there tw"),
        (lambda d: cases(d)[2].pop("metricsData"), r"test case 3: must have metricsData \(a list\)"),
        (lambda d: cases(d)[2].update(name="q01"), "the id q01 is there more than once"),
        (lambda d: d.update(conversationalTestCases=[{}]), "holds conversations, which are not read"),
        (lambda d: cases(d).clear(), "holds no sample"),
    ],
)  # fmt: skip
def test_a_spoiled_run_is_refused_in_one_line(change: Any, said: str, tmp_path: Path) -> None:
    refused(changed(tmp_path, BASE, change), said)
