"""One finished run for the whole folder, made by the command line itself, with its charts; the other runs draw none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loralift.cli import main
from loralift.reporting.charts import apart
from loralift.workflow import reporting
from tests.models import SUBJECTS
from tests.shared import once

REALLY_DRAW = apart.draw_apart


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


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    """Commands that a test starts draw no charts: a dozen of them take longer than all else in so small a run.

    `finished`, which belongs to the session, has them; so has a test that asks for `drawn`.
    What charts show is tested in tests/reporting.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "draw_apart", lambda report: apart.Drawing())
        yield


@pytest.fixture
def drawn(undrawn: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts after all."""
    monkeypatch.setattr(reporting, "draw_apart", REALLY_DRAW)


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
    """A finished run directory with its charts, this worker's own: some tests write its reports again."""

    def make(folder: Path) -> None:
        # a module's first test may not ask for it, and then `undrawn` is there before
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reporting, "draw_apart", REALLY_DRAW)
            with pytest.raises(SystemExit) as done:
                main([*arguments, "--output-dir", str(folder / "finished")])
        assert not done.value.code

    run = once(tmp_path_factory, "run", make) / "finished"
    return shutil.copytree(run, tmp_path_factory.mktemp("runs") / "finished")
