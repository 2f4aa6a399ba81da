"""`loralift check --parity`: tables or JSON, and an exit code that a script can read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from loralift.records import Interval, MetricComparison, MetricInfo, ModeParity, Parity
from loralift.workflow import parity_check as workflow

QUICK = ("--system-prompt", "", "--device", "cpu", "--max-new-tokens", "6", "--limit", "4", "--metrics", "f1,rougeL")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores make a model this small fifty times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def checked(cli: Callable[..., Any], tiny_base: Path, tiny_adapter: Path) -> Callable[..., Any]:
    common = ("check", "--model", tiny_base, "--adapter", f"letters={tiny_adapter}", *QUICK, "--parity")
    return lambda *more: cli(*common, *more)


def test_every_mode_of_a_right_model_is_identical(checked: Callable[..., Any]) -> None:
    outcome = checked()
    assert outcome.code == 0
    for expected in (
        "base, against 'generate, single'",
        "letters, against 'generate, single'",
        "loop, 2 rows        4 of 4 (100 %)                  –",
        "note: 4 questions (built-in questions), greedy answers of up to 6 tokens",
        "note: transformers in float32 on cpu",
        "parity: 10 identical (each mode of 2 variants); 40 of 40 answers are those of 'generate, single', token for",
    ):
        assert expected in outcome.out
    assert "metrics: minus" not in outcome.out
    assert "letters: acts on the base" in outcome.err


def test_as_json(checked: Callable[..., Any]) -> None:
    outcome = checked("-f", "json", "--engine", "transformers")
    found = json.loads(outcome.out)
    assert outcome.code == 0
    assert found["variants"] == ["base", "letters"]
    assert {mode["verdict"] for mode in found["modes"]} == {"identical"}
    assert found["max_new_tokens"] == 6
    assert found["notes"] == []


def test_what_is_wrong_is_one_line(checked: Callable[..., Any], cli: Callable[..., Any], tiny_base: Path) -> None:
    outcome = cli("check", "--model", tiny_base, "--parity")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "loralift: `--adapter` must be given at least once, got 'none'\n"
    outcome = checked("--engine", "vllm")
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert "vllm" in outcome.err.splitlines()[-1]


CI = Interval(-0.15, -0.05, 0.95, "t")
ROW = MetricComparison("f1", "generate, single", "loop, batch", 32, 0, 0.5, 0.4, -0.1, CI, verdict="worse")
WAY = ModeParity("loop, batch", "mine", 32, 30, 7, 12.5, 2e-3, 6e-3, 1.6e-2, (ROW,), ("f1",), "MOVES")
SAME = replace(WAY, identical=32, earliest_divergence=None, median_divergence=None, moved=(), verdict="identical")
FOUND = Parity(
    reference="generate, single",
    noise_mode="generate, batch",
    questions="built-in questions",
    max_new_tokens=64,
    numerics={"dtype": "bfloat16", "device": "cuda"},
    variants=("base", "mine"),
    metrics={"f1": MetricInfo("f1", "Token F1")},
    noise={"base": {"f1": 0.0}, "mine": {"f1": 0.002}},
    modes=(replace(SAME, variant="base"), WAY),
    merging_lost={"mine": 0.059},
)


@pytest.fixture
def told(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What the command makes of a result."""

    def tell(found: Parity, *more: str) -> Any:
        monkeypatch.setattr(workflow, "check_parity", lambda config, watcher: found)
        return cli("check", "--parity", *more)

    return tell


def test_a_mode_that_moves_a_metric_is_exit_code_1(told: Callable[..., Any]) -> None:
    outcome = told(FOUND)
    assert outcome.code == 1
    assert "30 of 32 (94 %)   token 7 (median 12.5)   2.0e-03, 6.0e-03" in outcome.out
    assert "mine, metrics: minus 'generate, single'" in outcome.out
    assert "−0.100 !" in outcome.out
    assert "! mine, loop, batch: MOVES Token F1 by −0.100, 95 % CI [−0.150, −0.050], noise floor 0.002" in outcome.out
    assert "note: vLLM: merging rounds 5.9 % of mine's update away (norm over norm)" in outcome.out
    assert "parity: 1 identical, 1 MOVES (each mode of 2 variants); 62 of 64 answers" in outcome.out
    assert told(FOUND, "-f", "json").code == 1


def test_what_is_not_decided_is_exit_code_2(told: Callable[..., Any]) -> None:
    row = replace(ROW, verdict="inconclusive")
    undecided = replace(WAY, metrics=(row,), moved=(), verdict="undecided")
    outcome = told(replace(FOUND, modes=(FOUND.modes[0], undecided)))
    assert outcome.code == 2
    assert "! mine, loop, batch: undecided: Token F1 by −0.100" in outcome.out
    assert outcome.err.startswith("loralift: ")
    assert "--limit" in outcome.err


@pytest.mark.parametrize("verdict", ["equivalent", "within noise"])
def test_what_is_as_good_is_exit_code_0(told: Callable[..., Any], verdict: Any) -> None:
    outcome = told(replace(FOUND, modes=(replace(WAY, moved=(), verdict=verdict), replace(SAME, variant="base"))))
    assert outcome.code == 0
    assert not any(line.startswith("!") for line in outcome.out.splitlines())


def test_a_narrow_terminal_cuts_no_figure(told: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    outcome = told(FOUND)
    tables = outcome.out.partition("note:")[0]
    assert "…" not in tables
    assert max(len(line.rstrip()) for line in tables.splitlines()) <= 60
    for figure in ("30 of 32 (94 %)", "token 7 (median 12.5)", "MOVES", "−0.100 !"):
        assert figure in tables
