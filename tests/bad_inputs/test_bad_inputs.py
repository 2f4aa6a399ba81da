"""Each input of the table is one line that names the culprit, exit code 2, in no time."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loralift.cli import main
from loralift.generation.model import chat
from loralift.reporting.charts import apart
from loralift.workflow import reporting
from tests.bad_inputs import adapters, compared, configs, data_files, flags, models, run_files
from tests.bad_inputs.case import Case, lines, put
from tests.models import SUBJECTS
from tests.shared import once

SECONDS = 12.0
"""Longest that a refusal may take on a busy machine; most take hundredths of a second."""

PAGES: dict[str, tuple[Case, ...]] = {
    "flags of run": flags.RUN,
    "flags of compare": flags.COMPARE,
    "flags of others": flags.OTHERS,
    "configuration": configs.FILES,
    "fields": configs.FIELDS,
    "jsonl": data_files.JSONL,
    "data": data_files.OTHERS,
    "beir": data_files.BEIR,
    "indices": data_files.INDICES,
    "training": data_files.TRAINING,
    "scores": compared.SCORE_FILES,
    "answers": compared.ANSWER_FILES,
    "logs": compared.LOGS,
    "run, reported": run_files.REPORTED,
    "run, compared": run_files.COMPARED,
    "run, resumed": run_files.RESUMED,
    "adapter_config": adapters.CONFIGS,
    "adapter weights": adapters.FILES,
    "config": models.CONFIGS,
    "tokenizer": models.TOKENIZERS,
    "chat template": models.TEMPLATES,
    "base weights": models.FILES,
}
LEAST = 300

QUESTIONS = [
    {"id": f"q{n}", "question": f"What are {subject}?", "reference": f"{subject} are {len(subject)} letters."}
    for n, subject in enumerate(SUBJECTS)
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_adapter: Path) -> dict[str, Path]:
    """Good files, by the names that the table has for them."""
    folder = tmp_path_factory.mktemp("good")
    return {
        "model": tiny_base,
        "adapter": tiny_adapter,
        "dataset": put(folder / "money.jsonl", lines(*QUESTIONS)),
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, places: dict[str, Path]) -> Path:
    """A finished run, to be copied."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reporting, "draw_apart", lambda report: apart.Drawing())
            with pytest.raises(SystemExit) as ended:
                main(typed("run", [], places, folder / "run"))
        assert not ended.value.code

    return once(tmp_path_factory, "run to spoil", make) / "run"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a bad input writes, it writes here; and no answer on standard input."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chat, "PATIENCE", 3.0)
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield


def typed(verb: str, given: list[str], places: dict[str, Path], output: Path) -> list[str]:
    """The command line: what was given, and the good flags of the verb that were not."""
    good = {
        "--model": str(places["model"]),
        "--adapter": f"letters={places['adapter']}",
        "--dataset": str(places["dataset"]),
        "--device": "cpu",
        "--max-new-tokens": "4",
        "--system-prompt": "",
        "--metrics": "f1",
        "-o": str(output),
    }
    if verb == "check":
        del good["-o"], good["--metrics"]
    given = [text.format(**places) if text.startswith(("{", "a={", "base={")) else text for text in given]
    return [verb, *given, *(text for flag, value in good.items() if flag not in given for text in (flag, value))]


Prepare = Callable[[Case, Path, dict[str, Path], Path], list[str]]


def of_flags(verb: str) -> Prepare:
    def prepare(case: Case, folder: Path, places: dict[str, Path], finished: Path) -> list[str]:
        if verb == "run":
            return typed("run", case.given, places, folder / "run")
        before = put(folder / "before.jsonl", lines(*compared.SCORES))
        named = places | {"before": before}
        given = [text.format(**named) if text.startswith("{") else text for text in case.given]
        if verb == "compare" and given[0] != str(before):
            after = put(folder / "after.jsonl", lines(*compared.SCORES))
            return ["compare", str(before), str(after), *given]
        return [*(["compare"] if verb == "compare" else []), *given]

    return prepare


def of_configuration(case: Case, folder: Path, places: dict[str, Path], finished: Path) -> list[str]:
    path = put(folder / "bad.yaml", case.given)
    return typed("run", [str(path)], places, folder / "run")


def of_fields(case: Case, folder: Path, places: dict[str, Path], finished: Path) -> list[str]:
    good = {"model": str(places["model"]), "dataset": str(places["dataset"]), "device": "cpu"}
    good |= {"max_new_tokens": 4, "system_prompt": "", "metrics": ["f1"]}
    fields = case.given.split(":")[0]
    rest = "".join(f"{key}: {json.dumps(value)}\n" for key, value in good.items() if key != fields)
    return ["run", str(put(folder / "bad.yaml", f"{rest}{case.given}\n"))]


def of_data(flag: str) -> Prepare:
    def prepare(case: Case, folder: Path, places: dict[str, Path], finished: Path) -> list[str]:
        name, content = case.given
        return typed("run", [flag, str(put(folder / name, content))], places, folder / "run")

    return prepare


def of_indices(case: Case, folder: Path, places: dict[str, Path], finished: Path) -> list[str]:
    return typed("run", ["--eval-indices", str(put(folder / "indices.json", case.given))], places, folder / "run")


def of_beir(case: Case, folder: Path, places: dict[str, Path], finished: Path) -> list[str]:
    (folder / "beir" / "qrels").mkdir(parents=True)
    good = {"corpus.jsonl": data_files.CORPUS, "queries.jsonl": data_files.QUERIES, "qrels/test.tsv": data_files.QRELS}
    for name, content in (good | case.given).items():
        if content is not None:
            put(folder / "beir" / name, content)
    return typed("run", ["--dataset", f"beir:{folder / 'beir'}"], places, folder / "run")


def of_sides(good: list[dict[str, object]]) -> Prepare:
    def prepare(case: Case, folder: Path, places: dict[str, Path], finished: Path) -> list[str]:
        before = put(folder / "before.jsonl", lines(*good))
        return ["compare", str(before), str(put(folder / "after.jsonl", case.given))]

    return prepare


def of_run(verb: str) -> Prepare:
    def prepare(case: Case, folder: Path, places: dict[str, Path], finished: Path) -> list[str]:
        name, content = case.given
        run = shutil.copytree(finished, folder / "run")
        put(run / name, content)
        if verb == "compare":
            return ["compare", str(run / "base"), str(run / "letters")]
        return ["report", str(run)] if verb == "report" else [*typed("run", [], places, run), "--resume"]

    return prepare


def of_model(what: str) -> Prepare:
    def prepare(case: Case, folder: Path, places: dict[str, Path], finished: Path) -> list[str]:
        name, content, *further = case.given
        copied = shutil.copytree(places[what], folder / "stranger")
        put(copied / name, content)
        given = ["--model", str(copied)] if what == "model" else ["--adapter", f"stranger={copied}"]
        return typed("check", [*given, *further, "--limit", "2"], places, folder / "run")

    return prepare


PREPARE: dict[str, Prepare] = {
    "flags of run": of_flags("run"),
    "flags of compare": of_flags("compare"),
    "flags of others": of_flags(""),
    "configuration": of_configuration,
    "fields": of_fields,
    "jsonl": of_data("--dataset"),
    "data": of_data("--dataset"),
    "beir": of_beir,
    "indices": of_indices,
    "training": of_data("--train-data"),
    "scores": of_sides(compared.SCORES),
    "answers": of_sides(compared.ANSWERS),
    "logs": of_sides(compared.LOG),
    "run, reported": of_run("report"),
    "run, compared": of_run("compare"),
    "run, resumed": of_run("resume"),
    "adapter_config": of_model("adapter"),
    "adapter weights": of_model("adapter"),
    "config": of_model("model"),
    "tokenizer": of_model("model"),
    "chat template": of_model("model"),
    "base weights": of_model("model"),
}

TABLE = [pytest.param(page, case, id=f"{page}: {case.name}") for page, cases in PAGES.items() for case in cases]


@pytest.mark.timeout(60, func_only=True)
@pytest.mark.parametrize(("page", "case"), TABLE)
def test_is_one_line_that_names_the_culprit(
    page: str,
    case: Case,
    places: dict[str, Path],
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = PREPARE[page](case, tmp_path, places, finished)
    capsys.readouterr()
    began = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    seconds = time.monotonic() - began
    printed = capsys.readouterr()
    said = [line for line in printed.err.splitlines() if line.startswith("loralift: ")]
    assert int(ended.value.code or 0) == case.code, printed.err[-2_000:]
    assert "Traceback" not in printed.err + printed.out
    if case.code:
        assert len(said) == 1, printed.err[-2_000:]
        assert printed.err.splitlines()[-1] == said[0]
        culprit = case.culprit.format(**places) if case.culprit.startswith("{") else case.culprit
        assert culprit.lower() in said[0].lower(), said[0][:500]
    assert not (tmp_path / "loralift-was-here").exists()
    assert seconds < SECONDS


def test_the_table_is_large_and_says_nothing_twice() -> None:
    assert len(TABLE) >= LEAST
    assert len({row.id for row in TABLE}) == len(TABLE)
