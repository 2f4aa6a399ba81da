"""A run whose answers think, from the command line: canned answers in a finished run, scored again by a resume."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FEW = 3
"""Of the adapter's answers, those that never finish thinking."""


@pytest.fixture(scope="module")
def thinking(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose adapter thinks before its answers, which are the references, and does not finish a few times."""
    run = shutil.copytree(finished, tmp_path_factory.mktemp("thinking") / "run")
    references = {row["id"]: row["reference"] for row in lines(run / "dataset.jsonl")}
    path = run / "letters" / "answers.jsonl"
    order = list(references)
    rows = sorted(lines(path), key=lambda row: order.index(row["id"]))
    for number, row in enumerate(rows):
        thought = "<think>\nQuestion: what, what, what?"
        row["text"] = thought if number < FEW else f"{thought}\n</think>\n\n{references[row['id']]}"
        row |= {"thinking_tokens": 5, "half": None}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return run


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_answer_alone_is_scored_and_the_whole_is_kept(
    cli: Callable[..., Any], arguments: list[str], thinking: Path
) -> None:
    kept = (thinking / "letters" / "answers.jsonl").read_bytes()
    outcome = cli(*arguments, "--output-dir", thinking, "--resume")
    assert outcome.code == 0, outcome.err
    rows = lines(thinking / "letters" / "scores.jsonl")
    assert [row["f1"] for row in rows] == [None] * FEW + [1.0] * (len(rows) - FEW)
    assert rows[0]["unscored"]["f1"] == "thinking never finished"
    assert [row["unfinished"] for row in rows[: FEW + 1]] == [1.0] * FEW + [0.0]
    assert (thinking / "letters" / "answers.jsonl").read_bytes() == kept
    said = " ".join(outcome.out.split())
    headline = said[said.index("letters is BETTER than base on Token F1:") :]
    assert f"n = {len(rows) - FEW}, but {FEW} of {len(rows)} of letters's answers never finished thinking" in headline
    assert f"{len(rows)} answers of letters hold thinking (<think> or the like), which is parted" in said
    assert f"{FEW} answers of letters ended before their thinking did" in said
    results = json.loads((thinking / "letters_results.json").read_text(encoding="utf-8"))
    assert results["thinking"] == {"tags": [["<think>", "</think>"]], "opened": "", "keep": False}
    bundle = next((thinking / "nemo" / "letters").glob("*.f1/results.jsonl"))
    assert len(lines(bundle)) == len(rows) - FEW
    report = (thinking / "report.md").read_text(encoding="utf-8")
    assert "never finished thinking" in report
    assert "what, what" not in report
    comparison = json.loads((thinking / "comparison.json").read_text(encoding="utf-8"))
    assert [cut["kind"] for cut in comparison["confounds"]["cuts"]] == []

    # thinking kept: everything is scored as before, nothing is generated, and a comparison of the two runs says so
    both = shutil.copytree(thinking, thinking.parent / "kept")
    outcome = cli(*arguments, "--thinking", "keep", "--output-dir", both, "--resume")
    assert outcome.code == 0, outcome.err
    assert (both / "letters" / "answers.jsonl").read_bytes() == kept
    again = lines(both / "letters" / "scores.jsonl")
    assert all(0 < row["f1"] < 1 for row in again[FEW:])
    assert "never finished thinking, and" not in outcome.out
    assert "hold thinking (<think> or the like), scored as a part" in " ".join(outcome.out.split())
    outcome = cli("compare", thinking / "letters", both / "letters", "--primary", "f1")
    assert "made it differently" in outcome.out
    assert "thinking:kept|" in outcome.out


def test_a_damaged_choice_of_tags_is_refused(cli: Callable[..., Any], finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    path = run / "base_results.json" if (run / "base_results.json").exists() else run / "baseline_results.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for spoiled in ({"tags": [["", "x"]]}, {"tags": [["<a>", "</a>"]], "opened": "<b>"}, {"tags": 3}, "yes"):
        path.write_text(json.dumps(document | {"thinking": spoiled}), encoding="utf-8")
        outcome = cli("report", run)
        assert (outcome.code, path.name in outcome.err) == (2, True), spoiled
