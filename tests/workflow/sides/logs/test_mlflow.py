"""Tables of an evaluation that MLflow 3 wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralift.errors import ComparisonError, UsageError
from loralift.workflow.compare_inputs import compare_sides
from loralift.workflow.sides.reading import read_side
from tests.workflow.sides.logs.read import HERE, changed, mean, refused, verdict

BASE, MINE = (HERE / "mlflow" / f"{who}.json" for who in ("base", "mine"))


def test_values_are_those_that_mlflow_printed() -> None:
    """It printed overlap/mean 0.25, and a metric of the user's own has no direction but the user's word."""
    assert mean(read_side(BASE, None), "overlap") == 0.25
    with pytest.raises(UsageError, match="whether more or less of overlap is better is not known"):
        compare_sides(BASE, MINE)
    comparison = verdict("mlflow", "json", "overlap", higher_is_better=["overlap"])
    assert any("12 rows are paired by their position" in warning for warning in comparison.rows[0].warnings)


def test_its_answers_are_scored_by_our_metrics_as_mlflow_scored_them() -> None:
    """Its exact_match/v1 of the whole was 0.25 too."""
    assert mean(read_side(BASE, ["exact_match"]), "exact_match") == 0.25
    verdict("mlflow", "json", "exact_match")


def test_rows_in_another_order_are_paired_by_their_input(tmp_path: Path) -> None:
    turned = changed(tmp_path, MINE, lambda table: table["data"].reverse())
    comparison, _ = compare_sides(BASE, turned, ["exact_match"])
    (row,) = comparison.rows
    assert (row.n, row.wins, row.losses) == (12, 8, 0)
    assert any("12 rows are paired by equal input" in warning for warning in row.warnings)


def test_rows_without_ids_and_inputs_are_not_paired_in_another_order(tmp_path: Path) -> None:
    def blind(table: Any) -> None:
        table["columns"][0] = "text"
        table["data"].reverse()

    with pytest.raises(ComparisonError, match="without ids rows are paired by position, and in row 1 the reference"):
        compare_sides(BASE, changed(tmp_path, MINE, blind), ["exact_match"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table["data"][2].pop(), "row 3: must have 4 cells, one a column"),
        (lambda table: table["data"][2].__setitem__(3, "high"), "row 3: overlap/score must be a number"),
        (lambda table: table["columns"].__setitem__(0, "predictions"), "a column is there twice"),
        (lambda table: table["data"].clear(), "holds no sample"),
        (lambda table: table.update(data=None), r"must have data \(a list\), got None"),
    ],
)
def test_a_spoiled_table_is_refused_in_one_line(change: Any, said: str, tmp_path: Path) -> None:
    refused(changed(tmp_path, BASE, change), said)
