"""Results that promptfoo 0.121.20 wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralift.workflow.sides.reading import read_side
from tests.workflow.sides.logs.read import HERE, changed, mean, refused, verdict

BASE = HERE / "promptfoo" / "base.json"


def test_values_are_those_that_promptfoo_printed() -> None:
    """It printed 3 passed (25.00%) of 12, and 11 passed (91.67%) for the other provider."""
    base, mine = read_side(BASE, None), read_side(HERE / "promptfoo" / "mine.json", None)
    assert [mean(base, name) for name in ("pass", "score", "exact", "contains")] == [0.25] * 4
    assert mean(mine, "pass") == pytest.approx(0.9167, abs=1e-4)
    assert (base.name, base.kind) == ("toy:base", "a log of promptfoo 0.121.20")
    assert (base.scores[0].id, base.documents["q01"]["temperature"]) == ("q01", "0.0")
    verdict("promptfoo", "json", "pass")


def test_a_test_that_passes_is_right_and_a_named_score_has_no_direction_but_the_users() -> None:
    base = read_side(BASE, None)
    assert (base.metrics["pass"].higher_is_better, base.metrics["exact"].higher_is_better) == (True, None)
    verdict("promptfoo", "json", "exact", higher_is_better=["exact"])


def test_a_provider_that_failed_has_no_score_where_promptfoo_writes_0() -> None:
    side = read_side(HERE / "promptfoo" / "errors.json", None)
    assert [score.values["score"] for score in side.scores] == [1.0, None, 1.0]
    assert [score.values["pass"] for score in side.scores] == [1.0, None, 1.0]
    assert side.notes == (
        "1 of 3 rows of errors.json ended in an error and have no score (q08): the endpoint went away",
    )


def heavy(document: Any) -> None:
    document["results"]["results"][1]["gradingResult"]["namedScoreWeights"]["exact"] = 2


def other_provider(document: Any) -> None:
    document["results"]["results"][3]["provider"] = {"id": "toy:mine", "label": ""}


def results(document: Any) -> Any:
    return document["results"]["results"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (heavy, "result 2: exact is a sum of weight 2"),
        (other_provider, r"holds several sides \(prompt 0 of toy:base, prompt 0 of toy:mine\)"),
        (lambda d: results(d)[4].update(failureReason=7), "result 5: failureReason must be 0, 1 or 2, got 7"),
        (
            lambda d: results(d)[4].update(success="yes"),
            "result 5: success must be a number, as in other rows, got 'yes'",
        ),
        (
            lambda d: results(d)[4]["namedScores"].update(score=1),
            "result 5: no assertion's metric may be called score",
        ),
        (lambda d: results(d).clear(), "holds no sample"),
        (lambda d: d["results"].update(results=None), r"must have results \(a list\), got None"),
    ],
)
def test_spoiled_results_are_refused_in_one_line(change: Any, said: str, tmp_path: Path) -> None:
    refused(changed(tmp_path, BASE, change), said)


def test_tests_without_an_id_of_their_own_have_their_position(tmp_path: Path) -> None:
    def without(document: Any) -> None:
        for row in results(document):
            row["vars"].pop("id"), row["metadata"].pop("id")

    assert [score.id for score in read_side(changed(tmp_path, BASE, without), None).scores][:2] == ["0", "1"]
