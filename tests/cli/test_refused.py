"""`--skip-refused`: an adapter that is refused is left out, and the report says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.tiny import train_lora
from tests.models import PAIRS


@pytest.fixture(scope="module")
def dead(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_lora(tiny_base, PAIRS, tmp_path_factory.mktemp("dead") / "dead", steps=0)


def test_without_it_the_run_ends(cli: Callable[..., Any], arguments: list[str], dead: Path, tmp_path: Path) -> None:
    outcome = cli(*arguments, "--adapter", f"dead={dead}", "-o", tmp_path / "run")
    assert outcome.code == 2
    assert "acts on nothing" in outcome.err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_a_refused_adapter_is_left_out_and_told(
    cli: Callable[..., Any], arguments: list[str], dead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    flags = (*arguments, "--adapter", f"dead={dead}", "--adapter", f"gone={tmp_path / 'gone'}", "--skip-refused")
    outcome = cli(*flags, "-o", tmp_path / "run")
    assert outcome.code == 0
    *_, dead_line, gone_line, _ = outcome.out.splitlines()
    assert dead_line.startswith("dead was REFUSED: `--adapter dead=")
    assert gone_line.startswith("gone was REFUSED: `--adapter gone=")
    run = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert list(run["refused"]) == ["dead", "gone"]
    assert run["variants"] == ["base", "letters"]
    page = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert "**dead was REFUSED: " in page
    again = cli(*flags, "-o", tmp_path / "run", "--resume")
    assert again.code == 0
    assert again.out.splitlines()[-3] == dead_line
    assert cli("compare", tmp_path / "run" / "base", tmp_path / "run" / "dead").err.startswith(
        f"loralift: {tmp_path / 'run' / 'dead'} was refused in its run"
    )


def test_with_nothing_left_the_run_ends(
    cli: Callable[..., Any], tiny_base: Path, questions: Path, dead: Path, tmp_path: Path
) -> None:
    flags = ("run", "--model", tiny_base, "--dataset", questions, "--adapter", f"dead={dead}", "--skip-refused")
    outcome = cli(*flags, "-o", tmp_path / "run")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith("loralift: every adapter was refused: `--adapter dead=")
