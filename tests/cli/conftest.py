"""One finished run for the whole folder, made by the command line itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from loralift.cli import main
from tests.models import SUBJECTS


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a command in this process."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(int(done.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions that the tiny models know something of."""
    path = tmp_path_factory.mktemp("data") / "money.jsonl"
    rows = [
        {"id": f"q{n}", "question": f"What are {one} or {two}?", "reference": f"{one} are {len(one)} letters."}
        for n, (one, two) in enumerate((one, two) for one in SUBJECTS for two in SUBJECTS[:2])
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def arguments(tiny_base: Path, tiny_adapter: Path, questions: Path) -> list[str]:
    """What every run here is called with."""
    return [
        *("run", "--model", str(tiny_base), "--adapter", f"letters={tiny_adapter}", "--dataset", str(questions)),
        *("--system-prompt", "", "--max-new-tokens", "12", "--device", "cpu", "--resamples", "1000"),
        *("--metrics", "rouge,bleu,f1,perplexity,answer_words,output_tokens", "--primary", "f1"),
    ]


@pytest.fixture(scope="session")
def finished(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run directory."""
    directory = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.raises(SystemExit) as done:
        main([*arguments, "--output-dir", str(directory)])
    assert not done.value.code
    return directory
