"""`--stop-when-sure`: asked in blocks until it is sure, once looked at never anew, and judged by what holds there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from loralift.cli import main
from loralift.comparison import drawn
from loralift.workflow import stopping
from tests.cli.conftest import Outcome
from tests.models import SUBJECTS

BLOCK = 8
"""Rows: the tiny models differ in everything they say."""


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stopping, "BLOCK", BLOCK)
        yield


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More questions of the same kind."""
    path = tmp_path_factory.mktemp("data") / "many.jsonl"
    rows = [
        {"id": f"{one}-{two}", "question": f"What are {one} or {two}?", "reference": f"{one} are {len(one)} letters."}
        for one in SUBJECTS
        for two in SUBJECTS
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def command(arguments: list[str], many: Path) -> list[str]:
    usual = [str(many) if before == "--dataset" else one for before, one in pairwise(["", *arguments])]
    return [*usual, "--stop-when-sure", "--noise-rows", "3"]


@pytest.fixture(scope="module")
def stopped_run(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(SystemExit) as done:
        main([*command, "-o", str(folder)])
    assert not done.value.code
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_it_stops_early_and_is_a_run_of_the_rows_that_were_asked(stopped_run: Path, many: Path) -> None:
    found = read(stopped_run / "run.json")["stopping"]
    assert found["sure"]
    assert found["rows"] == found["looks"][-1] < found["of"] == len(ids(many))
    asked = set(drawn(ids(many), 0)[: found["rows"]])
    for variant in ("base", "letters"):
        for name in ("answers", "references", "scores"):
            assert set(ids(stopped_run / variant / f"{name}.jsonl")) == asked
    assert set(ids(stopped_run / "base-again" / "answers.jsonl")) < asked
    assert ids(stopped_run / "dataset.jsonl") == ids(many)  # of which the fingerprint is
    assert read(stopped_run / "baseline_results.json")["rows"] == found["rows"]


def test_what_is_told_holds_where_one_stopped(stopped_run: Path) -> None:
    compared, far = read(stopped_run / "comparison.json"), read(stopped_run / "run.json")["stopping"]
    assert compared["stopping"] == far
    of = {row["metric"]: row for row in compared["rows"]}
    assert (of["f1"]["verdict"], of["f1"]["test"], of["f1"]["n"]) == ("better", "betting", far["rows"])
    assert of["f1"]["interval"]["level"] == 0.975
    assert {row["verdict"] for name, row in of.items() if name != "f1"} == {None}
    assert of["rougeL"]["interval"]["method"] == "betting"
    assert of["perplexity"]["interval"] is of["bleu"]["interval"] is None
    assert compared["nemo_evaluator"] == compared["confounds"]["slices"] == compared["confounds"]["lengths"] == []
    assert compared["confounds"]["noise"]
    report = (stopped_run / "report.md").read_text(encoding="utf-8")
    assert f"stopped after {far['rows']} of {far['of']} rows: sure" in report
    assert "97.5 % CI" in report
    assert "95 % CI" not in report.split("## How the answers look")[0].split("Only Token F1")[0]
    assert "looked at after 8" in report
    page = (stopped_run / "report.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert page.count("97.5 % confidence interval") == 2
    assert not re.search(r"(?<![\d.])95 % (CI|confidence)", page)


def test_a_resume_goes_on_in_the_same_order_and_looks_at_nothing_twice(
    stopped_run: Path, command: list[str], cli: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = read(stopped_run / "run.json")["stopping"]
    assert len(far["looks"]) > 1
    killed = shutil.copytree(stopped_run, tmp_path / "killed")
    for name in ("comparison.json", "letters_results.json", "baseline_results.json"):
        (killed / name).unlink()
    run = read(killed / "run.json")
    run["stopping"] |= {"rows": far["looks"][-2], "looks": far["looks"][:-1], "sure": False}
    (killed / "run.json").write_text(json.dumps(run), encoding="utf-8")
    answers = killed / "letters" / "answers.jsonl"
    answers.write_text("".join(answers.read_text(encoding="utf-8").splitlines(keepends=True)[:-2]), encoding="utf-8")
    looked = create_autospec(stopping.sure_so_far, side_effect=stopping.sure_so_far)
    monkeypatch.setattr(stopping, "sure_so_far", looked)
    done = cli(*command, "--resume", "-o", killed)
    assert done.code == 0, done.err
    assert looked.call_count == 1
    assert read(killed / "run.json")["stopping"] == far
    assert (killed / "comparison.json").read_bytes() == (stopped_run / "comparison.json").read_bytes()


@pytest.mark.parametrize(
    ("more", "named"), [(["--stop-when-sure", "--margin", "f1=0.3"], "stopping.margin"), ([], "stopping")]
)
def test_a_resume_by_another_rule_or_by_none_is_refused(
    stopped_run: Path, command: list[str], cli: Callable[..., Outcome], more: list[str], named: str
) -> None:
    usual = [one for one in command if one != "--stop-when-sure"]
    done = cli(*usual, *more, "--resume", "-o", stopped_run)
    assert done.code == 2
    assert named in done.err


@pytest.mark.parametrize("side", ["letters", "letters/scores.jsonl", "nemo/letters"])
def test_its_rows_are_not_compared_as_others_are(stopped_run: Path, cli: Callable[..., Outcome], side: str) -> None:
    done = cli("compare", stopped_run / side.replace("letters", "base"), stopped_run / side)
    assert done.code == 2
    assert "--stop-when-sure" in done.err
    assert "no ordinary interval or test of them holds" in done.err


def test_no_doubt_could_be_looked_for_so_fragile_is_no_gate(
    stopped_run: Path, cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    looping = shutil.copytree(stopped_run, tmp_path / "looping")
    document = read(looping / "comparison.json")
    for row in document["rows"]:
        if row["metric"] == "run_on":
            row |= {"baseline_value": 0.0, "candidate_value": 1.0, "difference": 1.0}
    (looping / "comparison.json").write_text(json.dumps(document), encoding="utf-8")
    for run in (stopped_run, looping):
        done = cli("report", run, "-f", "json", "--fail-on", "fragile")
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert "a run with --stop-when-sure tests nothing but its verdict; ask all rows, or gate with" in done.err
        assert cli("report", run, "-f", "json", "--fail-on", "worse").code == 0
    assert cli("report", looping, "-f", "json", "--fail-on", "fragile", "--fail-on", "worse").code == 2


def test_its_base_is_not_that_of_a_run_that_asks_all(
    stopped_run: Path, command: list[str], cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    usual = [one for one in command if one != "--stop-when-sure"]
    done = cli(*usual, "--base-from", stopped_run, "-o", tmp_path / "whole")
    assert done.code == 2
    assert "stopping: was" in done.err


def test_its_rows_are_not_judged_by_a_judge(stopped_run: Path, cli: Callable[..., Outcome]) -> None:
    done = cli("judge", stopped_run, "--judge", "http://localhost:9/v1", "--judge-model", "j")
    assert done.code == 2
    assert "--stop-when-sure" in done.err


def test_where_rows_run_out_it_says_so_and_judges_with_what_is_left(
    arguments: list[str], cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    usual = arguments[: arguments.index("--primary")]
    done = cli(
        *usual, "--primary", "rouge2", "--stop-when-sure", "--limit", "5", "--noise-rows", "0", "-o", tmp_path / "r"
    )
    assert done.code == 0, done.err
    found = read(tmp_path / "r" / "run.json")["stopping"]
    assert (found["rows"], found["of"], found["sure"]) == (5, 5, False)
    assert "stopped after 5 of 5 rows: not every verdict sure before" in done.out
    row = next(row for row in read(tmp_path / "r" / "comparison.json")["rows"] if row["metric"] == "rouge2")
    assert row["test"].endswith("after all rows")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ("--primary", "perplexity"),
            "of each row, and perplexity has a value of all rows together only",
        ),
        (("--primary", "bleu"), "bounded value of each row, and bleu"),
        (("--repeats", "2", "--temperature", "1"), "`--repeats` and `--stop-when-sure` exclude each other"),
        (("--protocol", "training", "--protocol", "chat"), "must be given with one --protocol"),
        (("--also", "x=other.jsonl"), "`--also` and `--stop-when-sure` exclude each other"),
        (("--train-data", "t.jsonl"), "`--train-data` and `--stop-when-sure` exclude each other"),
        (("--base-from", "other"), "`--base-from` and `--stop-when-sure` exclude each other"),
        (("--every-turn",), "`--every-turn` and `--stop-when-sure` exclude each other"),
        (("--shard", "0/2"), "`--shard` and `--stop-when-sure` exclude each other"),
        (("--judge", "http://localhost:9/v1", "--judge-model", "j"), "`--judge` and `--stop-when-sure` exclude"),
    ],
)
def test_what_has_no_verdict_that_could_be_sure_is_refused(
    arguments: list[str], cli: Callable[..., Outcome], tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    usual = arguments[: arguments.index("--primary")] if "--primary" in more else arguments
    done = cli(*usual, *more, "--stop-when-sure", "-o", tmp_path / "never")
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "never" / "base").exists()
