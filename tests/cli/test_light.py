"""Without the extra `run`: what is light works on a finished run, what is not says the one pip line."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from pathlib import Path

import pytest

HIDDEN = (
    *("accelerate", "altair", "datasets", "huggingface_hub", "nemo_evaluator", "peft", "psutil", "pyarrow"),
    *("rouge_score", "sacrebleu", "safetensors", "sentence_transformers", "tokenizers", "torch", "transformers"),
    *("vl_convert", "pandas", "aiohttp", "httpx", "requests", "tqdm", "narwhals", "jsonschema", "nltk", "absl"),
)

LIGHT = f"""
import sys
from importlib.machinery import PathFinder
class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in {HIDDEN!r} else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Without
from loralift.cli import main
main(sys.argv[1:])
"""
PIP_LINE = "needs a package that is not installed: pip install 'loralift[run]'\n"


def light(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIGHT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_run_is_compared_and_what_is_left_out_is_said(finished: Path, tmp_path: Path) -> None:
    place = tmp_path / "comparison.json"
    done = light("compare", finished / "base", finished / "letters", "-o", place)
    assert done.returncode == 0, done.stderr
    compared = json.loads(place.read_text(encoding="utf-8"))
    of_run = json.loads((finished / "comparison.json").read_text(encoding="utf-8"))
    assert compared["verdicts"] == of_run["verdicts"]
    notes = {test["note"] for test in compared["nemo_evaluator"]}
    assert notes == {"not run: NeMo Evaluator is not installed: pip install 'loralift[run]'"}
    # the same figures to the last bit but for the family, which a run of one adapter shares
    for ours, of in zip(compared["rows"], of_run["rows"], strict=True):
        same = ("metric", "n", "baseline_value", "candidate_value", "difference", "interval", "p_value", "verdict")
        assert {key: ours[key] for key in same} == {key: of[key] for key in same}


def test_the_report_of_a_comparison_has_no_charts_and_says_so(finished: Path, tmp_path: Path) -> None:
    done = light("compare", finished / "base", finished / "letters", "-o", tmp_path / "compared")
    said = "what draws them is not installed: pip install 'loralift[run]'"
    assert (done.returncode, done.stderr) == (0, f"loralift: the report has no charts, since {said}\n")
    page = (tmp_path / "compared" / "report.html").read_text(encoding="utf-8")
    assert f"The charts are left out: {html.escape(said).replace('&#x27;', '&#39;')}" in page


def test_a_report_is_shown_and_its_pages_stay(finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file() and path.name != ".lock"}
    assert any(path.suffix == ".png" for path in before)
    done = light("report", finished)
    assert done.returncode == 0, done.stderr
    assert "letters against base" in done.stdout
    assert done.stderr == (
        "loralift: the run's pages and charts stay as they are, since what draws them is not installed: "
        "pip install 'loralift[run]'\n"
    )
    assert {path: path.read_bytes() for path in before} == before
    page = light("report", finished, "-f", "html")
    assert page.returncode == 0
    assert "The charts are left out: what draws them is not installed" in page.stdout


def test_a_card_is_made(finished: Path) -> None:
    done = light("card", finished)
    assert (done.returncode, done.stderr) == (0, "")
    assert "model-index:" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--adapter", "a=b"),
        ("check", "--adapter", "a=b"),
        ("merge", "a", "-o", "b"),
        ("demo",),
        ("judge", "a", "--judge", "http://localhost:1/v1", "--judge-model", "m"),
    ],
)
def test_what_runs_models_says_what_it_needs(arguments: tuple[str, ...]) -> None:
    done = light(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"loralift: `loralift {arguments[0]}` {PIP_LINE}")


def test_scoring_answers_says_what_it_needs(finished: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"id": "1", "prediction": "a", "reference": "a"}\n', encoding="utf-8")
    done = light("compare", texts, texts)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"loralift: scoring answers {PIP_LINE}")
    metric = tmp_path / "mine.py"
    metric.write_text("def score(prediction, references, question):\n    return 1.0\n", encoding="utf-8")
    done = light("compare", finished / "base", finished / "letters", "--metric", f"{metric}:score")
    assert (done.returncode, done.stderr) == (2, f"loralift: scoring answers {PIP_LINE}")


def test_doctor_says_what_is_missing() -> None:
    done = light("doctor")
    assert done.returncode == 0
    assert "pip install 'loralift[run]'" in done.stdout
    assert "broken" not in done.stdout
