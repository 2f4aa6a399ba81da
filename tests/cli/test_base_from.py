"""A base asked once: another run's answers of the base make the very run that asking it would have made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.runs import differences


def unlike(run: Path, wanted: Path) -> list[str]:
    """What differs but for the charts, which only the finished run has."""
    return [found for found in differences(run, wanted) if not found.startswith("charts/")]


def test_a_base_that_is_not_asked_again_makes_the_same_run(
    finished: Path, arguments: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    before, run = tmp_path / "before", tmp_path / "run"
    shutil.copytree(finished, before)
    command = [*arguments, "-o", run, "--base-from", before]
    outcome = cli(*command)
    assert outcome.code == 0, outcome.err
    assert "second answers taken from" in " ".join(outcome.err.split())
    assert unlike(run, finished) == []
    for name in ("base", "base-again"):  # no two generations take the same time
        assert (run / name / "times.jsonl").read_bytes() == (finished / name / "times.jsonl").read_bytes()
    taken = json.loads((run / "run.json").read_text(encoding="utf-8"))["base_from"]
    assert set(taken) == {"base/answers.jsonl", "base/references.jsonl", "base-again/answers.jsonl"}
    facts = json.loads((run / "report.json").read_text(encoding="utf-8"))["facts"]
    assert f"base/answers.jsonl of {before.resolve()}" in facts["base asked in"]
    assert (run / "base" / "answers.jsonl").read_bytes() == (finished / "base" / "answers.jsonl").read_bytes()

    (run / "base" / "answers.jsonl").unlink()  # as a killed copy leaves it
    assert cli(*command, "--resume").code == 0
    assert unlike(run, finished) == []

    shutil.rmtree(before)
    (run / "letters" / "answers.jsonl").unlink()
    assert cli(*command, "--resume").code == 0
    assert unlike(run, finished) == []
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["base_from"] == taken


def test_a_base_that_was_asked_otherwise_is_refused_and_leaves_no_run(
    finished: Path, arguments: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    arguments = [*arguments, "--stop", "!", "-o", str(tmp_path / "run"), "--base-from", str(finished)]
    outcome = cli(*arguments)
    assert outcome.code == 2
    said = " ".join(outcome.err.split())
    assert "generation.stop: was [], is ['!']: leave out --base-from, and the base is asked here" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("run", "`--base-from` must be another run, got"),
        ("nothing", "is not a run directory: it has no run.json"),
        ("run/part", "which is the protocols/chat of one"),
    ],
)
def test_what_is_no_other_run_is_refused_before_a_model_is_loaded(
    finished: Path, arguments: list[str], cli: Callable[..., Any], tmp_path: Path, place: str, said: str
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "part").mkdir()
    document = json.loads((finished / "run.json").read_text(encoding="utf-8")) | {"part": "protocols/chat"}
    (tmp_path / "run" / "part" / "run.json").write_text(json.dumps(document), encoding="utf-8")
    output = [tmp_path / "run", "--resume"] if place == "run" else [tmp_path / "other"]
    outcome = cli(*arguments, "--base-from", tmp_path / place, "-o", *output)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert "model: loading" not in outcome.err
