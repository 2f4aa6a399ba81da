"""Details that lighteval 0.13.0 wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from loralift.workflow.sides.reading import read_side
from tests.workflow.sides.logs.read import HERE, mean, refused, verdict

BASE = HERE / "lighteval" / "base.parquet"


def changed(tmp_path: Path, column: str, value: Any) -> Path:
    rows = parquet.read_table(BASE).to_pylist()
    rows[2][column] = value
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "changed.parquet")
    return tmp_path / "changed.parquet"


def test_values_are_those_that_lighteval_printed() -> None:
    """It printed em and rougeL 0.25, and 0.9167 for the other model."""
    base, mine = read_side(BASE, None), read_side(HERE / "lighteval" / "mine.parquet", None)
    assert [mean(base, name) for name in ("em", "rougeL")] == [0.25, 0.25]
    assert mean(mine, "em") == pytest.approx(0.9167, abs=1e-4)
    assert base.kind == "a log of lighteval"
    verdict("lighteval", "parquet", "em")


def test_rows_are_known_by_their_id_since_lighteval_sorts_them() -> None:
    base = read_side(BASE, None)
    assert [score.id for score in base.scores][:3] == ["7", "5", "2"]
    assert base.documents["7"]["question"] == "What do bees make?"
    assert {"stop", "max_new_tokens"} <= set(base.documents["7"])
    assert base.examples is not None
    assert {one.question.id: one.question.reference for one in base.examples()}["7"] == "honey"


def test_its_answers_are_scored_by_our_metrics_too() -> None:
    verdict("lighteval", "parquet", "exact_match")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("doc", None, "row 3: must have doc"),
        ("metric", None, "row 3: must have metric"),
        ("doc", {"query": "What?", "id": None}, "row 3: doc must have an id, got None"),
        ("doc", {"query": None, "id": "5"}, "row 3: must have query"),
        ("doc", {"query": "What?", "id": "5"}, "the id 5 is there more than once"),
    ],
)
def test_a_spoiled_parquet_is_refused_in_one_line(column: str, value: Any, said: str, tmp_path: Path) -> None:
    refused(changed(tmp_path, column, value), said)
