"""`--shard` and `loralift merge`: the shards of a run, put together, are that run to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.runs import differences
from loralift.cli import main

SHARDS = 3


@pytest.fixture(scope="module")
def command(
    arguments: list[str], questions: Path, other_adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """A run of two adapters, two protocols, worked examples, a further data set, leaks and a noise floor."""
    training = tmp_path_factory.mktemp("training") / "train.jsonl"
    lines = questions.read_text(encoding="utf-8").splitlines(keepends=True)
    more = [
        json.dumps({"id": f"t{n}", "question": f"Who is {name}?", "reference": f"{name} wrote it in {1900 + n}."})
        + "\n"
        for n, name in enumerate(("Ada", "Grace", "Edsger", "Barbara", "Donald", "Tony"))
    ]
    training.write_text("".join([*lines[3:6], *more]), encoding="utf-8")
    return [
        *(*arguments, "--adapter", f"other={other_adapter}", "--also", f"further={questions}"),
        *("--protocol", "training", "--protocol", "few-shot", "--num-shots", "1"),
        *("--train-data", str(training), "--noise-rows", "7"),
    ]


@pytest.fixture(scope="module")
def folder(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plain run, and its shards."""
    folder = tmp_path_factory.mktemp("shards")
    for name, more in [("plain", []), *((f"s{n}", ["--shard", f"{n}/{SHARDS}"]) for n in range(SHARDS))]:
        with pytest.raises(SystemExit) as done:
            main([*command, *more, "-o", str(folder / name)])
        assert not done.value.code
    return folder


def places(folder: Path) -> Sequence[Path]:
    """The shards, not in their order."""
    return [folder / f"s{n}" for n in (2, 0, 1)]


def test_all_shards_are_the_plain_run(folder: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    merged = tmp_path / "merged"
    outcome = cli("merge", *places(folder), "-o", merged)
    assert outcome.code == 0, outcome.err
    assert differences(merged, folder / "plain") == []
