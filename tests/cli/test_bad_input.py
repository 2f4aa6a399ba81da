"""Whatever is wrong is one line that names the argument, what is allowed and what came; exit code 2; nothing lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.tiny import train_base, train_lora
from tests.models import PAIRS, TEXTS

ROW = {"id": "1", "question": "What is it?", "reference": "It is this."}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def replaced(arguments: list[str], flag: str, value: object) -> list[str]:
    position = arguments.index(flag) + 1
    return [*arguments[:position], str(value), *arguments[position + 1 :]]


@pytest.fixture
def refused(cli: Callable[..., Any], arguments: list[str], tmp_path: Path) -> Callable[..., str]:
    """Run what must be refused; give the one line it says."""

    def run(*changed: str) -> str:
        outcome = cli(*changed, "-o", tmp_path / "run")
        assert outcome.code == 2
        assert "Traceback" not in outcome.err
        message = outcome.err.splitlines()[-1]
        assert message.startswith("loralift: ")
        assert not (tmp_path / "run" / "base").exists()
        return message

    return run


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "1", "text": "x"}], "columns"),
        (
            [{**ROW, "question": " "}, {**ROW, "id": "2", "question": None}],
            "2 of 2 questions cannot be evaluated (1: its",
        ),
        ([{**ROW, "reference": ""}], "its reference (column 'reference') is empty"),
        ([ROW, ROW], "more than once: 1"),
        ([ROW, "{broken"], "line 2"),
    ],
    ids=["no columns", "empty questions", "empty reference", "duplicate ids", "unreadable line"],
)
def test_data(refused: Callable[..., str], arguments: list[str], tmp_path: Path, rows: list, message: str) -> None:
    path = write(tmp_path / "bad.jsonl", *rows)
    said = refused(*replaced(arguments, "--dataset", path))
    assert "bad.jsonl" in said
    assert message in said


def test_strict_refuses_a_row_without_a_reference(
    refused: Callable[..., str], arguments: list[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "bad.jsonl", ROW, {**ROW, "id": "2", "reference": None})
    said = refused(*replaced(arguments, "--dataset", path), "--strict")
    assert "1 of 2 questions cannot be evaluated (2: its reference (column 'reference') is null)" in said


def test_no_such_file(refused: Callable[..., str], arguments: list[str], tmp_path: Path) -> None:
    assert "nothing.jsonl" in refused(*replaced(arguments, "--dataset", tmp_path / "nothing.jsonl"))


def test_no_hub(refused: Callable[..., str], arguments: list[str]) -> None:
    said = refused(*replaced(arguments, "--dataset", "fiqa"))
    assert "hub" in said
    assert "beir:DIR" in said


@pytest.mark.parametrize("model", ["no-such/model", "/no/such/folder"])
def test_no_such_model(refused: Callable[..., str], arguments: list[str], model: str) -> None:
    said = refused(*replaced(arguments, "--model", model))
    assert "--model" in said
    assert model in said


@pytest.mark.parametrize("path", ["no-such/adapter", "/no/such/folder"])
def test_no_such_adapter(refused: Callable[..., str], arguments: list[str], path: str) -> None:
    said = refused(*replaced(arguments, "--adapter", f"mine={path}"))
    assert "--adapter" in said
    assert path in said


def test_an_adapter_of_another_architecture(refused: Callable[..., str], arguments: list[str], tmp_path: Path) -> None:
    wide = train_base(TEXTS, tmp_path / "wide", hidden_size=96, layers=1, vocab_size=400, steps=0, block=16)
    adapter = train_lora(wide, PAIRS, tmp_path / "wide-lora", rank=2, steps=1)
    said = refused(*replaced(arguments, "--adapter", f"wide={adapter}"))
    assert "--adapter" in said
    assert "wide" in said


def test_a_metric_that_there_is_not(refused: Callable[..., str], arguments: list[str]) -> None:
    assert "did you mean 'rougeL'" in refused(*replaced(arguments, "--metrics", "f1,rogueL"))


@pytest.mark.parametrize("flag", ["--primary", "--margin"])
def test_a_metric_that_is_not_judged(refused: Callable[..., str], arguments: list[str], flag: str) -> None:
    value = "answer_words" + ("=1" if flag == "--margin" else "")
    changed = replaced(arguments, flag, value) if flag in arguments else [*arguments, flag, value]
    assert f"`{flag}` must name one of the metrics" in refused(*changed)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--limit", "-3"], "`--limit` must be an integer from 1 to 1,000,000,000, got '-3'"),
        (["--limit", "many"], "`--limit` must be an integer from 1 to 1,000,000,000, got 'many'"),
        (["--margin", "f1"], "`--margin` must be METRIC=X, got 'f1'"),
        (
            ["--adapter", "Letters=./other"],
            "`--adapter` must name each differently, got 'letters' and 'Letters', which",
        ),
        (["--adapter", "letters=./other"], "`--adapter` names 'letters' twice: "),
        (["--adapter", "./other/letters"], "`--adapter` names 'letters' twice: "),
        (["--also", "a=x", "--also", "a=y"], "`--also` names 'a' twice: 'x' and 'y'"),
        (["--also", "x/a.jsonl", "--also", "x/A.csv"], "`--also` must name each differently, got 'a' and 'A', which"),
        (["--margin", "f1=1", "--margin", "f1=2"], "`--margin` names 'f1' twice: '1' and '2'"),
        (["--column", "id=a", "--column", "id=b"], "`--column` names 'id' twice: 'a' and 'b'"),
        (["--limit", "5", "--limit", "6"], "`--limit` may be given once, got '5' and '6'"),
        (["--model", "a"], "`--model` may be given once, got "),
        (["--metrics", "f1"], "`--metrics` names 'f1' twice; name it once"),
        (["--metrics", ","], "`--metrics` must be a list of metric names, each once, got ','"),
        (["--revision", ""], "`--revision` must be a branch, tag or commit of the model's repository, got ''"),
        (["--column", "question="], "`--column` must be question|reference|id=COLUMN, got 'question='"),
        (["--engine", "magic"], "`--engine` must be auto, transformers, vllm or endpoint, got 'magic'"),
        (["--no-such-flag"], "No such option '--no-such-flag'"),
        (["--eval-indices", "a.json", "--eval-fraction", "0.1"], "exclude each other"),
    ],
)
def test_flags(refused: Callable[..., str], arguments: list[str], flags: list[str], message: str) -> None:
    assert message in refused(*arguments, *flags)


def test_a_full_disk_says_so_and_keeps_what_was_written(
    cli: Callable[..., Any], arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync
    calls = []

    def full_at_the_fifth(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 5:  # dataset.jsonl and run.json are there, each with its folder
            raise OSError(28, os.strerror(28))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full_at_the_fifth)
    outcome = cli(*arguments, "--limit", "4", "-o", tmp_path / "run")
    assert outcome.code == 2
    assert "No space left on device" in outcome.err.splitlines()[-1]
    assert (tmp_path / "run" / "run.json").is_file()
    assert cli(*arguments, "--limit", "4", "-o", tmp_path / "run", "--resume").code == 0


def test_a_resume_needs_a_folder(cli: Callable[..., Any], arguments: list[str]) -> None:
    outcome = cli(*arguments, "--resume")
    assert outcome.code == 2
    assert "`--resume` must be given with --output-dir" in outcome.err


def test_a_report_of_no_run(cli: Callable[..., Any], tmp_path: Path) -> None:
    outcome = cli("report", tmp_path)
    assert (outcome.code, outcome.err.strip()[-35:]) == (2, "not a run directory: it has no run.json"[-35:])
    assert cli("report", tmp_path, "-f", "pdf").err.startswith("loralift: `--format` must be")
