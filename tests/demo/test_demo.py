"""What `loralift demo` promises: four adapters, four truths, and a report of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift import demo
from loralift.workflow.run_directory import RunDirectory


@pytest.fixture(scope="module")
def run(demo_run: Path) -> Path:
    return demo_run


@pytest.fixture(scope="module")
def comparison(run: Path) -> dict[str, Any]:
    return json.loads((run / "comparison.json").read_text(encoding="utf-8"))


def row(comparison: dict[str, Any], candidate: str) -> dict[str, Any]:
    return next(
        row
        for row in comparison["rows"]
        if row["candidate"] == candidate and row["metric"] == comparison["primary"] == "semantic_similarity"
    )


def test_four_adapters_four_truths(run: Path, comparison: dict[str, Any]) -> None:
    assert comparison["verdicts"] == {"fuller-lora": "better", "endless-lora": "worse", "faint-lora": "equivalent"}
    refused = RunDirectory(run).read_run()["refused"]
    assert refused.keys() == {"dead-lora"}
    assert "are zero" in refused["dead-lora"]


def test_the_intervals_say_so(comparison: dict[str, Any]) -> None:
    better, worse, same = (row(comparison, name) for name in ("fuller-lora", "endless-lora", "faint-lora"))
    assert better["n"] == worse["n"] == same["n"] == 149
    assert better["interval"]["low"] > better["margin"]
    assert worse["interval"]["high"] < -worse["margin"]
    bounds = same["equivalence_interval"]
    assert -same["margin"] < bounds["low"] < bounds["high"] < same["margin"]


def test_nothing_leaked(comparison: dict[str, Any]) -> None:
    assert comparison["confounds"]["leaks"] == {name: [] for name in comparison["candidates"]}


def test_the_base_answers_the_question_asked(run: Path) -> None:
    """A definition of the term in question: a real sentence about it, in nine answers of ten."""
    rows = {r["id"]: r for r in map(json.loads, demo.QUESTIONS.read_text(encoding="utf-8").splitlines())}
    answers = [json.loads(line) for line in (run / "base" / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    about = [answer["text"].lower().startswith(rows[answer["id"]]["term"].lower()) for answer in answers]
    assert sum(about) / len(about) > 0.9
    assert all(answer["finish_reason"] == "stop" for answer in answers)


def test_the_report_is_one_file_under_five_megabytes(run: Path) -> None:
    page = (run / "report.html").read_bytes()
    assert len(page) < 5e6
    assert all(name.encode() in page for name in demo.ADAPTERS)
