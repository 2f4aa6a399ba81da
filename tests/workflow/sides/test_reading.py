"""What is read of a side, and what a reader is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import ComparisonError
from loralift.workflow.compare_inputs import compare_sides, read_sides
from loralift.workflow.sides.reading import read_side


def write(path: Path, rows: list[dict[str, Any]], mark: str = "") -> Path:
    path.write_text(mark + "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def texts(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": str(i), "prediction": f"it is {i}", "reference": f"it is {i}"} | changes for i in range(12)]


def bare(prefix: str = "q", rows: int = 12, **changes: Any) -> list[dict[str, Any]]:
    """As LLaMA-Factory writes its predictions."""
    return [{"prompt": f"{prefix}{i}", "predict": f"it {i}", "label": f"it is {i}"} | changes for i in range(rows)]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    side = read_side(write(tmp_path / "bom.jsonl", texts(), "\ufeff"), ["f1"])
    assert [score.values for score in side.scores] == [{"f1": 1.0}] * 12


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        ("<think>\nlet me see\n</think>\nit is so", True),
        ("let me see</think>it is so", True),
        ("<reasoning>hm</reasoning>", True),
        ("[THINK]hm[/THINK] it is", True),
        ("I think so: a <b> and a thinker", False),
    ],
)
def test_answers_that_hold_thinking_are_counted(tmp_path: Path, answer: str, counted: bool) -> None:
    rows = texts()
    rows[3]["prediction"] = rows[4]["prediction"] = answer
    notes = read_side(write(tmp_path / "t.jsonl", rows), ["f1"]).notes
    said = "2 answers of t hold thinking (<think> or the like), scored as a part of the answer."
    assert notes == ((said,) if counted else ())


def test_of_several_references_one_is_used_and_that_is_said(tmp_path: Path) -> None:
    rows = [*texts()[:5], *texts(reference=["it is 1", "it was"])[5:]]
    side = read_side(write(tmp_path / "several.jsonl", rows), ["f1"])
    assert side.notes == ("7 rows of several have several references; only the first is used.",)
    assert read_side(write(tmp_path / "one.jsonl", texts(reference=["it is 1"])), ["f1"]).notes == ()


def test_numbers_that_are_written_as_texts_are_named(tmp_path: Path) -> None:
    rows = [{"id": i, "f1": 0.5, "acc": "0.53", "kind": "tax"} for i in range(9)]
    side = read_side(write(tmp_path / "s.jsonl", rows), None)
    assert list(side.metrics) == ["f1"]
    assert side.notes == ("s.jsonl: acc left out, for its values are texts, not numbers: '0.53'.",)
    texts_alone = write(tmp_path / "t.jsonl", [{"id": i, "f1": "0.5"} for i in range(9)])
    with pytest.raises(ComparisonError, match=r"t has no metric; .*f1 left out, for its values are texts, not numbers"):
        compare_sides(texts_alone, texts_alone)


def test_rows_without_ids_are_paired_by_position_where_the_references_are_the_same(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.jsonl", bare()), write(tmp_path / "b.jsonl", bare())
    before, after = read_sides(one, other, ["f1"])
    assert [score.id for score in before.scores] == [score.id for score in after.scores] == [*map(str, range(1, 13))]
    note = "Neither side has ids: 12 rows are paired by their position, at which both have the same reference."
    assert before.notes == (note,)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (bare(rows=11), "there are 12 and 11"),
        (bare(label="another"), "in row 1 the reference differs"),
        (bare(prefix="p"), "in row 1 the question differs"),
        (bare()[::-1], "in row 1 the question differs"),
        ([{"f1": 0.5}] * 12, "only where both have references"),
        (texts(), "must have lines of JSON with an id"),
    ],
)
def test_rows_without_ids_whose_order_may_be_another_are_refused(tmp_path: Path, other: list, why: str) -> None:
    sides = write(tmp_path / "a.jsonl", bare()), write(tmp_path / "b.jsonl", other)
    for one, two in (sides, sides[::-1]):
        with pytest.raises(ComparisonError, match=r"must have lines of JSON with an id") as error:
            read_sides(one, two, None if "f1" in other[0] else ["f1"])
        assert why.replace("12 and 11", "1") in str(error.value)
