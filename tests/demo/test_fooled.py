"""The answers by which docs/metrics.md says that metrics are fooled, in the demo's own run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")

FOOLED = [
    ("markets-17", "base", "semantic_similarity", "0.692"),
    ("tax-and-work-16", "endless-lora", "rouge1", "0.292"),
    ("tax-and-work-16", "base", "rouge1", "0.180"),
    ("tax-and-work-16", "endless-lora", "rouge2", "0.033"),
    ("tax-and-work-16", "base", "rouge2", "0.000"),
    ("tax-and-work-16", "endless-lora", "rougeL", "0.162"),
    ("tax-and-work-16", "base", "rougeL", "0.112"),
    ("credit-13", "endless-lora", "bleu", "1.64"),
    ("credit-13", "base", "bleu", "0.28"),
    ("credit-21", "endless-lora", "chrf", "27.9"),
    ("credit-21", "base", "chrf", "10.2"),
    ("tax-and-work-16", "endless-lora", "f1", "0.233"),
    ("tax-and-work-16", "base", "f1", "0.156"),
]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("row", "variant", "metric", "figure"), FOOLED)
def test_what_the_page_says_of_an_answer_is_so(
    demo_run: Path, row: str, variant: str, metric: str, figure: str
) -> None:
    [of_row] = [line for line in lines(demo_run / variant / "scores.jsonl") if line["id"] == row]
    assert of_row[metric] == pytest.approx(float(figure), rel=0.02, abs=0.001)
    assert figure in PAGE


def test_what_the_page_says_of_all_rows_is_so(demo_run: Path) -> None:
    variants = ("base", "endless-lora", "faint-lora", "fuller-lora")
    scores = {name: lines(demo_run / name / "scores.jsonl") for name in variants}
    above = {
        metric: sum(b[metric] > a[metric] for a, b in zip(scores["base"], scores["endless-lora"], strict=True))
        for metric in ("rougeL", "bleu", "chrf")
    }
    assert above == pytest.approx({"rougeL": 56, "bleu": 129, "chrf": 149}, abs=2)
    assert [row["exact_match"] for rows in scores.values() for row in rows] == [0.0] * 596
    assert all(row["run_on"] for row in scores["endless-lora"])
    comparison = json.loads((demo_run / "comparison.json").read_text(encoding="utf-8"))
    of = {row["metric"]: row for row in comparison["rows"] if row["candidate"] == "endless-lora"}
    assert of["chrf"]["verdict"] == "better"
    assert of["perplexity"]["difference"] == pytest.approx(-1350, rel=0.01)
