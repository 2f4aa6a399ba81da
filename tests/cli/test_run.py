from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.tiny import train_lora
from tests.models import PAIRS

VARIANTS = ("base", "letters")


def lines(path: Path) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows)
    return by_id


def without_time(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: value for key, value in row.items() if key != "seconds"} for name, row in rows.items()}


def test_every_file_of_the_run_directory_is_there(finished: Path) -> None:
    expected = {"run.json", "dataset.jsonl", "baseline_results.json", "letters_results.json", "comparison.json"}
    expected |= {"report.html", "report.md", "report.json", "charts/effects.png"}
    expected |= {f"{v}/{kind}.jsonl" for v in VARIANTS for kind in ("answers", "references", "scores")}
    assert {name for name in expected if not (finished / name).is_file()} == set()
    assert {path.name for path in (finished / "nemo").iterdir()} == set(VARIANTS)
    assert (finished / "nemo" / "base" / "money.f1" / "eval-money.f1.json").is_file()
    for variant in VARIANTS:
        assert all(len(lines(finished / variant / f"{kind}.jsonl")) == 20 for kind in ("answers", "scores"))
    run = json.loads((finished / "run.json").read_text(encoding="utf-8"))
    assert run["fingerprint"]["adapters"].keys() == {"letters"}
    assert run["fingerprint"]["prompt"]["example"] == "Question: What are stocks or stocks?\n\nAnswer:"


@pytest.mark.usefixtures("drawn")
def test_the_run_directory_is_read_again_without_a_model(finished: Path, cli: Callable[..., Any]) -> None:
    page = (finished / "report.md").read_text(encoding="utf-8")
    (finished / "report.md").unlink()
    outcome = cli("report", finished)
    assert outcome.code == 0
    assert "letters against base" in outcome.out
    assert (finished / "report.md").read_text(encoding="utf-8") == page
    assert json.loads(cli("report", finished, "-f", "json").out)["comparison"]["primary"] == "f1"
    assert cli("report", finished, "-f", "html").out.strip() == (finished / "report.html").read_text().strip()


@pytest.mark.usefixtures("drawn")  # it writes the report of `finished` again, which keeps its charts
def test_the_verdict_is_the_last_thing_said_before_the_path(finished: Path, cli: Callable[..., Any]) -> None:
    *_, verdict, path = cli("report", finished).out.splitlines()
    assert verdict.startswith("letters is ")
    assert path == f"report: {finished / 'report.html'}"


def test_a_folder_that_holds_something_is_never_overwritten(
    finished: Path, arguments: list[str], cli: Callable[..., Any]
) -> None:
    before = (finished / "run.json").read_bytes()
    outcome = cli(*arguments, "-o", finished)
    assert outcome.code == 2
    assert "is not empty: add --resume" in outcome.err
    assert (finished / "run.json").read_bytes() == before


@pytest.fixture
def half_done(finished: Path, tmp_path: Path) -> Path:
    """The finished run as a killed process would have left it: torn in the middle of the adapter's answers."""
    directory = tmp_path / "half"
    shutil.copytree(finished, directory)
    for name in ("letters/references.jsonl", "letters/scores.jsonl", "base/scores.jsonl", "comparison.json"):
        (directory / name).unlink()
    answers = directory / "letters" / "answers.jsonl"
    content = answers.read_bytes()
    answers.write_bytes(content[: len(content) // 2])
    return directory


def test_a_resume_gives_what_an_uninterrupted_run_gives(
    finished: Path, half_done: Path, arguments: list[str], cli: Callable[..., Any]
) -> None:
    kept = len((half_done / "letters" / "answers.jsonl").read_bytes().splitlines()) - 1
    assert 0 < kept < 20
    assert cli(*arguments, "-o", half_done, "--resume").code == 0
    for variant in VARIANTS:
        for kind in ("answers", "references", "scores"):
            assert without_time(lines(half_done / variant / f"{kind}.jsonl")) == without_time(
                lines(finished / variant / f"{kind}.jsonl")
            )
    resumed, whole = (json.loads((run / "comparison.json").read_text("utf-8")) for run in (half_done, finished))
    for comparison in (resumed, whole):
        comparison["rows"] = [row for row in comparison["rows"] if row["metric"] != "seconds"]
    assert resumed == whole


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["--max-new-tokens", "11"], "generation.max_new_tokens: was 12, is 11"),
        (["--limit", "19"], "data.rows: was 20, is 19"),
        (["--system-prompt", "Hello."], "prompt.example"),
        (["--dtype", "bfloat16"], "numerics.dtype: was 'float32', is 'bfloat16'"),
    ],
)
def test_a_resume_with_something_else_is_refused_and_says_what(
    half_done: Path, arguments: list[str], cli: Callable[..., Any], change: list[str], named: str
) -> None:
    flag, value = change
    at = arguments.index(flag) if flag in arguments else len(arguments)
    outcome = cli(*arguments[:at], flag, value, *arguments[at + 2 :], "-o", half_done, "--resume")
    assert outcome.code == 2
    assert named in outcome.err
    assert "Traceback" not in outcome.err


def test_a_resume_with_another_adapter_is_refused_and_says_so(
    half_done: Path, arguments: list[str], cli: Callable[..., Any], tiny_base: Path, tmp_path: Path
) -> None:
    other = train_lora(tiny_base, PAIRS, tmp_path / "other", rank=4, steps=3)
    before = {path: path.read_bytes() for path in half_done.rglob("*") if path.is_file()}
    outcome = cli(*arguments, "--adapter", f"letters={other}", "-o", half_done, "--resume")
    assert outcome.code == 2
    assert "names 'letters' twice" in outcome.err
    position = arguments.index("--adapter") + 1
    swapped = [*arguments[:position], f"letters={other}", *arguments[position + 1 :]]
    outcome = cli(*swapped, "-o", half_done, "--resume")
    assert outcome.code == 2
    assert "cannot be resumed, it was made with something else: adapters.letters: was" in outcome.err
    assert {path: path.read_bytes() for path in half_done.rglob("*") if path.is_file()} == before


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    finished: Path, arguments: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    directory = tmp_path / "killed"
    command = [sys.executable, "-m", "loralift", *arguments, "--batch-size", "1", "-o", str(directory)]
    answers = directory / "base" / "answers.jsonl"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ) as process:
        deadline = time.monotonic() + 120
        while not (answers.exists() and answers.read_bytes().count(b"\n") >= 3):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not (directory / "comparison.json").exists()
    assert cli(*arguments, "-o", directory, "--resume").code == 0
    for variant in VARIANTS:
        for kind in ("answers", "references", "scores"):
            resumed, whole = (without_time(lines(run / variant / f"{kind}.jsonl")) for run in (directory, finished))
            if kind == "references":  # sums over another batch may differ in a float's last digits
                likelihoods = {i: row.pop("log_likelihood") for i, row in whole.items()}
                assert {i: row.pop("log_likelihood") for i, row in resumed.items()} == pytest.approx(likelihoods)
            if kind == "scores":
                perplexities = {
                    i: (row.pop("perplexity"), row["statistics"].pop("perplexity")) for i, row in whole.items()
                }
                for i, row in resumed.items():
                    assert row.pop("perplexity") == pytest.approx(perplexities[i][0])
                    assert row["statistics"].pop("perplexity") == pytest.approx(perplexities[i][1])
            assert resumed == whole


def test_without_an_adapter_the_base_alone_is_evaluated(
    arguments: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    position = arguments.index("--adapter")
    alone = arguments[:position] + arguments[position + 2 :]
    outcome = cli(*alone, "--limit", "4", "-o", tmp_path / "alone")
    assert outcome.code == 0
    assert "Every variant" in outcome.out
    assert not (tmp_path / "alone" / "comparison.json").exists()


def test_a_configuration_file_does_what_the_flags_do(
    finished: Path, tiny_base: Path, tiny_adapter: Path, questions: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        f"model: {tiny_base}\nadapters: {{letters: {tiny_adapter}}}\ndataset: {questions}\nsystem_prompt: ''\n"
        "max_new_tokens: 12\nmetrics: [rouge, bleu, f1, perplexity]\nprimary: rougeL\ndevice: cpu\nresamples: 1000\n",
        encoding="utf-8",
    )
    assert cli("run", config, "--primary", "f1", "-o", tmp_path / "run").code == 0
    assert without_time(lines(tmp_path / "run" / "letters" / "answers.jsonl")) == without_time(
        lines(finished / "letters" / "answers.jsonl")
    )
    assert json.loads((tmp_path / "run" / "comparison.json").read_text("utf-8"))["primary"] == "f1"


def test_a_resume_keeps_what_the_sessions_before_it_took(
    half_done: Path, arguments: list[str], cli: Callable[..., Any]
) -> None:
    before = json.loads((half_done / "run.json").read_text(encoding="utf-8"))
    assert cli(*arguments, "-o", half_done, "--resume").code == 0
    run = json.loads((half_done / "run.json").read_text(encoding="utf-8"))
    first, second = run["sessions"]
    assert first == before["sessions"][0]
    assert (
        (run["command"], run["started"])
        == (first["command"], first["started"])
        != (second["command"], second["started"])
    )
    assert run["seconds"]["generate base"] == pytest.approx(
        first["seconds"]["generate base"] + second["seconds"]["generate base"]
    )


def test_the_json_that_is_printed_is_the_json_that_is_written(finished: Path, cli: Callable[..., Any]) -> None:
    printed = json.loads(cli("report", finished, "-f", "json").out)
    assert printed == json.loads((finished / "report.json").read_text(encoding="utf-8"))
    assert printed["rows"] == []


def test_a_report_of_an_unfinished_run_is_refused(half_done: Path, cli: Callable[..., Any]) -> None:
    outcome = cli("report", half_done)
    assert outcome.code == 2
    assert "is not finished: it has no comparison.json" in outcome.err


def test_a_run_killed_before_its_first_answer_simply_begins(
    arguments: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "dataset.jsonl").write_text('{"id": "torn', encoding="utf-8")
    assert cli(*arguments, "--limit", "4", "-o", run).code == 2
    (run / "thesis.txt").touch()
    assert cli(*arguments, "--limit", "4", "-o", run, "--resume").code == 2
    (run / "thesis.txt").unlink()
    assert cli(*arguments, "--limit", "4", "-o", run, "--resume").code == 0
    assert len(lines(run / "dataset.jsonl")) == 4


def test_what_is_left_out_of_the_data_is_said_kept_and_reported_once(
    arguments: list[str], questions: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()][:6]
    rows = [{**row, "context": f"Passage {number}."} for number, row in enumerate(rows)]
    data = tmp_path / "holes.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {**rows[0], "id": "hole", "reference": None}]))
    here = [str(data) if argument == str(questions) else argument for argument in arguments]
    outcome = cli(*here, "-o", tmp_path / "run")
    assert outcome.code == 0
    left_out = "1 rows were left out (hole: its reference (column 'reference') is null)"
    unused = "column 'context' is not part of the prompt, which is made of 'question' alone"
    run = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert [note[: len(said)] for note, said in zip(run["notes"], (left_out, unused), strict=True)] == [
        left_out,
        unused,
    ]
    said = " ".join((outcome.out + outcome.err).split())
    assert (left_out in said, unused in said) == (True, True)
    (tmp_path / "run" / "comparison.json").unlink()
    assert cli(*here, "-o", tmp_path / "run", "--resume").code == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["notes"] == run["notes"]
    assert json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["notes"] == run["notes"]


def test_comparison_and_results_say_of_every_metric_how_it_was_calculated_alike(
    cli: Callable[..., Any], arguments: list[str], questions: Path, tmp_path: Path
) -> None:
    data, run = tmp_path / "several.jsonl", tmp_path / "run"
    rows = [json.loads(line) for line in questions.read_text().splitlines()]
    rows = [{**row, "reference": [row["reference"], f"They are {len(row['question'])}."]} for row in rows]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = [str(data) if argument == str(questions) else argument for argument in arguments]
    assert cli(*given, "-o", run).code == 0
    compared = json.loads((run / "comparison.json").read_text())["metrics"]
    assert compared["bleu"]["signature"].startswith("nrefs:2|refs:all|")
    for results in ("baseline_results.json", "letters_results.json"):
        found = json.loads((run / results).read_text())["metrics"]
        assert {name: entry["info"] for name, entry in found.items()} == compared
