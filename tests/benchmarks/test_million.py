"""The canned run: what a row costs in memory, from the questions to the verdict."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from benchmarks import million
from loralift import kept
from loralift.comparison import analysis
from loralift.nemo import scoring
from loralift.records import scores
from loralift.reporting.charts.apart import Drawing
from loralift.workflow import generating, reporting

FEW, MANY = 100, 400
MOST_BYTES_A_ROW = 900
"""Of what Python allocates, at the highest: ids, places of rows in files, and the columns of a metric or two."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that their own size does not hide what a row costs."""
    for module, name, size in (
        (kept, "FEW", 50),
        (scores, "BLOCK", 50),
        (scoring, "AT_ONCE", 50),
        (generating, "AT_ONCE", 50),
        (analysis, "MOST_BYTES", 1),
    ):
        assert hasattr(module, name)
        monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(reporting, "draw_apart", lambda report: Drawing())


def highest(root: Path, rows: int) -> int:
    """The most bytes that Python holds at a time during a run of so many rows."""
    root.mkdir()
    million.write_data(root, rows)
    tracemalloc.start()
    try:
        million.canned_run(root, ("f1", "perplexity"), million.MOST_TOKENS)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.thorough
def test_a_row_costs_few_bytes(tmp_path: Path) -> None:
    highest(tmp_path / "first", 20)  # imports, and what is made once
    few, many = (highest(tmp_path / str(rows), rows) for rows in (FEW, MANY))
    assert (many - few) / (MANY - FEW) < MOST_BYTES_A_ROW
