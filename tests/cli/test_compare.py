from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Score files of another tool: the second is worse by a fifth."""
    before = [{"id": i, "accuracy": 0.70 + 0.002 * (i % 11)} for i in range(60)]
    after = [{"id": i, "accuracy": 0.50 + 0.002 * (i % 7)} for i in range(60)]
    return write(tmp_path / "before.jsonl", before), write(tmp_path / "after.jsonl", after[::-1])


def test_the_variants_of_a_run(finished: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    outcome = cli("compare", finished / "base", finished / "letters", "-o", tmp_path / "c.json", "--seed", "0")
    assert outcome.code == 0
    assert "letters against base" in outcome.out
    ours, runs = (json.loads(p.read_text("utf-8")) for p in (tmp_path / "c.json", finished / "comparison.json"))
    assert ours["verdicts"] == runs["verdicts"]
    assert [row["difference"] for row in ours["rows"]] == [row["difference"] for row in runs["rows"]]


def test_the_score_files_of_another_tool(sides: tuple[Path, Path], cli: Callable[..., Any]) -> None:
    outcome = cli("compare", *sides)
    assert outcome.code == 0
    assert "after is WORSE than before on accuracy: −0.2" in outcome.out


@pytest.mark.parametrize(("gate", "there", "back"), [("worse", 1, 0), ("not-better", 1, 0)])
def test_the_gate(sides: tuple[Path, Path], cli: Callable[..., Any], gate: str, there: int, back: int) -> None:
    assert cli("compare", *sides, "--fail-on", gate).code == there
    assert cli("compare", *sides[::-1], "--fail-on", gate).code == back


def test_predictions_are_scored_on_the_way(cli: Callable[..., Any], tmp_path: Path) -> None:
    rows = [{"id": str(i), "reference": f"item {i} costs {i} dollars"} for i in range(12)]
    bad = write(tmp_path / "bad.jsonl", [{**row, "prediction": "I like cats."} for row in rows])
    good = write(tmp_path / "good.jsonl", [{**row, "prediction": row["reference"]} for row in rows])
    outcome = cli("compare", bad, good, "--metrics", "f1,rouge", "--primary", "f1")
    assert "good is BETTER than bad on Token F1: +1.0" in outcome.out


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "1", "other": 0.5}], "share no metric"),
        ([{"id": "x", "accuracy": 0.5}], "no id"),
        ([{"accuracy": 0.5}], "with an id"),
        ([{"id": "1", "accuracy": "high"}], "accuracy"),
        ([{"id": "1", "prediction": "x"}], "prediction and reference"),
        ([], "an empty file"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    sides: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path, rows: list, message: str
) -> None:
    outcome = cli("compare", sides[0], write(tmp_path / "wrong.jsonl", rows))
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--primary", "bleu"], "`--primary` must be one of accuracy, got 'bleu'"),
        (["--fail-on", "maybe"], "`--fail-on` must be worse or not-better, got 'maybe'"),
        (["--margin", "accuracy=-1"], "`--margin` must be METRIC=X"),
        (["--seed", "-1"], "`--seed` must be a non-negative integer, got '-1'"),
    ],
)
def test_wrong_flags(sides: tuple[Path, Path], cli: Callable[..., Any], flags: list[str], message: str) -> None:
    outcome = cli("compare", *sides, *flags)
    assert (outcome.code, message in outcome.err) == (2, True)


def test_no_such_side(sides: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path) -> None:
    assert "cannot read" in cli("compare", sides[0], tmp_path / "nothing.jsonl").err
    assert "not a run directory" in cli("compare", sides[0], tmp_path).err
