"""Several protocols in one run: its folders, its claims, a kill in the third of them, and cuts that cost nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import RunDirectoryError
from loralift.workflow import concluding

YAML = """
protocols:
  - training
  - {name: form, prompt: "What now: {question}\\nAnswer:"}
  - {name: short, max_new_tokens: 8, stop: ["letters"]}
"""
NAMES = ["training", "form", "short"]


@pytest.fixture(scope="module")
def asked(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of a run with three protocols, but for its folder."""
    file = tmp_path_factory.mktemp("yaml") / "run.yaml"
    file.write_text(YAML, encoding="utf-8")
    run, *flags = arguments
    return [run, str(file), *flags]


@pytest.fixture(scope="module")
def run(asked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with three protocols."""
    from loralift.cli import main

    folder = tmp_path_factory.mktemp("asked") / "run"
    with pytest.raises(SystemExit) as done:
        main([*asked, "-o", str(folder)])
    assert not done.value.code
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def answers(run: Path, variant: str) -> dict[str, dict[str, Any]]:
    lines = (run / variant / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def test_every_variant_answers_under_every_protocol_and_the_first_decides(run: Path) -> None:
    comparison = read(run / "comparison.json")
    protocols = comparison["protocols"]
    assert [result["protocol"]["name"] for result in protocols["results"]] == NAMES
    assert read(run / "run.json")["protocols"] == NAMES
    first = [row for row in comparison["rows"] if row["metric"] == comparison["primary"]]
    assert protocols["results"][0]["rows"] == first
    for name, result in zip(NAMES[1:], protocols["results"][1:], strict=True):
        part = read(run / "protocols" / name / "comparison.json")
        assert result["rows"] == [row for row in part["rows"] if row["metric"] == comparison["primary"]]
        assert part["protocols"] is None
        assert len(answers(run / "protocols" / name, "letters")) == 20
    assert [one["asked"] for one in protocols["best"]] == ["as trained", "at its best"]


def test_answers_are_those_of_a_run_by_that_protocol_alone(
    run: Path, asked: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    assert cli(*asked, "--protocol", "short", "-o", tmp_path / "run").code == 0
    for variant in ("base", "letters"):
        alone, among = answers(tmp_path / "run", variant), answers(run / "protocols" / "short", variant)
        assert alone.keys() == among.keys()
        assert all(alone[key] == among[key] for key in alone)
        assert max(row["output_tokens"] for row in alone.values()) <= 8
    assert read(tmp_path / "run" / "comparison.json")["protocols"] is None


def test_a_report_tells_all_and_is_made_again_alone(run: Path, cli: Callable[..., Any]) -> None:
    before = read(run / "report.json")
    outcome = cli("report", run)
    assert outcome.code == 0
    assert read(run / "report.json") == before
    assert "whichever way" in outcome.out
    assert "asked by form" in read(run / "protocols" / "form" / "report.json")["title"]
    (run / "protocols" / "short" / "base" / "scores.jsonl").rename(run / "hidden")
    outcome = cli("report", run)
    (run / "hidden").rename(run / "protocols" / "short" / "base" / "scores.jsonl")
    assert outcome.code == 2
    assert "protocols/short/base/scores.jsonl" in outcome.err


def test_a_run_killed_in_its_third_protocol_comes_to_the_same_comparison(
    run: Path, asked: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "loralift", *asked, "-o", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 400
        while not (folder / "protocols" / "short" / "base" / "answers.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(answers(folder / "protocols" / "form", "letters")) == 20
    assert not (folder / "comparison.json").exists()
    assert cli(*asked, "-o", folder, "--resume").code == 0
    for part in ("", "protocols/form/", "protocols/short/"):
        assert (folder / f"{part}comparison.json").read_bytes() == (run / f"{part}comparison.json").read_bytes()


def test_a_protocol_more_is_asked_by_a_resume_and_another_first_one_is_refused(
    asked: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    few = [*asked, "--limit", "3", "-o", folder]
    assert cli(*few, "--protocol", "training", "--protocol", "form").code == 0
    form = (folder / "protocols" / "form" / "base" / "answers.jsonl").read_bytes()
    assert cli(*few, "--resume").code == 0
    assert (folder / "protocols" / "form" / "base" / "answers.jsonl").read_bytes() == form
    protocols = read(folder / "comparison.json")["protocols"]
    assert [one["protocol"]["name"] for one in protocols["results"]] == NAMES
    # of three questions no half can choose a protocol, which is said
    assert {(*one["baseline_protocols"], one["row"]["verdict"]) for one in protocols["best"]} == {
        ("", "", "inconclusive")
    }
    own, *chosen = protocols["notes"]
    assert own == "short: It has a max_new_tokens of its own, 8, and not the run's 12."
    assert ["too few to choose a protocol" in note for note in chosen] == [True, True]
    outcome = cli(*few, "--protocol", "form", "--protocol", "training", "--resume")
    assert outcome.code == 2
    assert "cannot be resumed, it was made with something else: prompt" in outcome.err


def test_two_protocols_that_are_one_are_refused(asked: list[str], cli: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "same.yaml"
    file.write_text(
        'protocols: [training, {name: same, prompt: "Question: {question}\\n\\nAnswer:"}]\n', encoding="utf-8"
    )
    outcome = cli("run", file, *asked[2:], "-o", tmp_path / "run")
    assert outcome.code == 2
    assert "training and same ask this model the very same" in " ".join(outcome.err.split())


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("<s><s>Q. {question}\\nA:", "20 of 20 prompts begin with two BOS tokens"),
        ("Q. {question}\\nA:</s>", "20 of 20 prompts end with the end-of-sequence token"),
    ],
)
def test_a_protocol_that_does_not_decide_is_read_as_the_one_that_does(
    asked: list[str], cli: Callable[..., Any], tmp_path: Path, prompt: str, said: str
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f'protocols: [training, {{name: own, prompt: "{prompt}"}}]\n', encoding="utf-8")
    outcome = cli("run", file, *asked[2:], "-o", tmp_path / "run")
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())


def test_perplexity_is_not_asked_twice_where_only_answers_end_otherwise(
    asked: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    by_perplexity = [*asked[:-2], "--primary", "perplexity", "--limit", "4"]
    outcome = cli(*by_perplexity, "-o", tmp_path / "refused")
    assert outcome.code == 2
    assert "training and short ask this model the very same as far as perplexity can tell" in outcome.err
    assert cli(*by_perplexity, "--protocol", "training", "--protocol", "form", "-o", tmp_path / "run").code == 0
    assert read(tmp_path / "run" / "comparison.json")["confounds"]["cuts"] == []


def test_a_verdict_of_one_protocol_is_no_report_of_several(run: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    """As where a resume with one protocol more was killed before it compared."""
    folder = shutil.copytree(run, tmp_path / "run")
    comparison = read(folder / "comparison.json")
    (folder / "comparison.json").write_text(json.dumps({**comparison, "protocols": None}), encoding="utf-8")
    outcome = cli("report", folder, "--fail-on", "worse")
    assert outcome.code == 2
    assert "it was asked by one protocol, and run.json names training, form, short" in " ".join(outcome.err.split())


def test_a_base_alone_says_where_the_other_protocols_are(
    asked: list[str], cli: Callable[..., Any], tmp_path: Path
) -> None:
    place = asked.index("--adapter")
    alone = [*asked[:place], *asked[place + 2 :], "--limit", "3"]
    outcome = cli(*alone, "-o", tmp_path / "run")
    assert outcome.code == 0
    assert "Asked by form, short too: protocols/NAME/report.html" in " ".join(outcome.out.split())


def test_no_verdict_of_any_protocol_outlives_a_resume_that_fails_while_it_scores(
    run: Path, asked: list[str], cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(run, tmp_path / "run")

    def full(*arguments: object) -> None:
        raise RunDirectoryError("the disk is full")

    monkeypatch.setattr(concluding, "_score_and_compare", full)
    assert cli(*asked, "--rouge-stemmer", "-o", folder, "--resume").code == 2
    assert list(folder.rglob("comparison.json")) == []
    outcome = cli("report", folder, "--fail-on", "worse")
    assert outcome.code == 2
    assert "is not finished" in outcome.err
