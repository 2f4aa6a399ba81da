"""What a resume believes: only what run.json and the data say; what is missing, added or of another run is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.workflow.files import TEMPORARY

ADDED = '{"id": "q99", "question": "And?", "reference": "No."}\n'


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def first_answer(run: Path, **changed: Any) -> None:
    """Change the first of the adapter's answers."""
    path = run / "letters" / "answers.jsonl"
    first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(json.dumps(json.loads(first) | changed) + "\n" + "".join(others), encoding="utf-8")


def one_row_more(run: Path) -> None:
    """Add a question to the run's data."""
    with (run / "dataset.jsonl").open("a", encoding="utf-8") as file:
        file.write(ADDED)


def another_version(run: Path) -> None:
    """Let another LoraLift have made the run."""
    document = json.loads((run / "run.json").read_text(encoding="utf-8"))
    document["fingerprint"]["loralift"] = "0.0.9"
    (run / "run.json").write_text(json.dumps(document), encoding="utf-8")


def swap(run: Path) -> None:
    """Give each variant the other's answers."""
    base, letters = (run / variant / "answers.jsonl" for variant in ("base", "letters"))
    first, second = base.read_bytes(), letters.read_bytes()
    base.write_bytes(second)
    letters.write_bytes(first)


def unsigned(run: Path) -> None:
    """Leave out of an answer what it was made with."""
    path = run / "base" / "answers.jsonl"
    first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
    row = {key: value for key, value in json.loads(first).items() if key != "made_with"}
    path.write_text(json.dumps(row) + "\n" + "".join(others), encoding="utf-8")


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no run.json": (lambda run: (run / "run.json").unlink(), "run.json is missing, which says what"),
    "a row more": (one_row_more, "dataset.jsonl is not as the run wrote it (21 rows, the run had 20)"),
    "an answer to another prompt": (lambda run: first_answer(run, prompt_tokens=3), "given to a prompt of 3 tokens"),
    "an answer to no question": (lambda run: first_answer(run, id="q99"), "questions that are not asked here (q99)"),
    "another variant's answers": (swap, "answers.jsonl, line 1 was not written by this run for base"),
    "an answer of which nothing is known": (unsigned, "answers.jsonl, line 1 was not written by this run for base"),
    "another LoraLift": (another_version, "loralift: was '0.0.9', is '0."),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_what_does_not_agree_is_never_resumed(
    run: Path, arguments: list[str], cli: Callable[..., Any], damage: str
) -> None:
    change, said = DAMAGED[damage]
    change(run)
    comparison = (run / "comparison.json").read_bytes()
    outcome = cli(*arguments, "-o", run, "--resume")
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert (run / "comparison.json").read_bytes() == comparison


def test_a_report_of_swapped_answers_is_refused(run: Path, cli: Callable[..., Any]) -> None:
    swap(run)
    outcome = cli("report", run)
    assert outcome.code == 2
    assert "was not written by this run for base" in outcome.err


def test_a_part_without_its_run_json_is_not_resumed(
    arguments: list[str], questions: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    whole = [*arguments, "--limit", "2", "--also", f"other={questions}", "-o", tmp_path / "run"]
    assert cli(*whole).code == 0
    (tmp_path / "run" / "also" / "other" / "run.json").unlink()
    outcome = cli(*whole, "--resume")
    assert outcome.code == 2
    assert "also/other/run.json is missing" in outcome.err


def test_lost_questions_are_restored_where_the_data_agree(
    finished: Path, run: Path, arguments: list[str], cli: Callable[..., Any]
) -> None:
    (run / "dataset.jsonl").unlink()
    outcome = cli("report", run)
    assert outcome.code == 2
    assert "dataset.jsonl is missing: put it back, or let `loralift run … --resume` make it again" in outcome.err
    assert cli(*arguments, "-o", run, "--resume").code == 0
    assert (run / "dataset.jsonl").read_bytes() == (finished / "dataset.jsonl").read_bytes()


def test_what_a_killed_start_leaves_is_no_run_and_goes_away(
    arguments: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / f".dataset.jsonl.abc{TEMPORARY}").write_text('{"id": "to', encoding="utf-8")
    assert cli(*arguments, "--limit", "2", "-o", run, "--resume").code == 0
    assert list(run.rglob(f"*{TEMPORARY}")) == []


def test_equal_runs_have_equal_bytes_but_for_times(
    arguments: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    from benchmarks.chaos.runs import differences

    for name in ("one", "two"):
        assert cli(*arguments, "--limit", "6", "-o", tmp_path / name).code == 0
    assert differences(tmp_path / "one", tmp_path / "two") == []
    (tmp_path / "two" / "comparison.json").write_text("{}", encoding="utf-8")
    assert differences(tmp_path / "one", tmp_path / "two") == ["comparison.json differs"]
