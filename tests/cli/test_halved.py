"""Half as good, on whatever scale and by whatever name, is never equivalent and never passes a gate."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from loralift.metrics import METRICS
from loralift.workflow import compare_inputs

ROWS = 120

SPELLINGS = {
    "bleu": ["bleu", "BLEU", "sacrebleu", "BLEU-4", "bleu_4"],
    "chrf": ["chrf", "chrF", "chrf++", "chrF2"],
    "rouge1": ["rouge1", "ROUGE-1", "rouge_1"],
    "rouge2": ["rouge2", "ROUGE-2", "rouge_2"],
    "rougeL": ["rougeL", "ROUGE-L", "rouge_l", "rougeLsum"],
    "f1": ["f1", "F1", "token_f1", "f1_score"],
    "squad_f1": ["squad_f1"],
    "exact_match": ["exact_match", "EM", "exact-match", "exact"],
    "squad_exact_match": ["squad_exact_match"],
    "semantic_similarity": ["semantic_similarity", "similarity", "cosine_similarity"],
    "bert_score": ["bert_score", "BERTScore", "bertscore_f1", "BERTScore-F1"],
    "perplexity": ["perplexity", "ppl", "PPL"],
    "": ["meteor", "accuracy", "acc", "pass@1", "score", "quality"],
}
"""Metric of ours to how it, and what is like it, is spelled in files; of another tool's alone to no metric."""

NAMES = [name for of, names in SPELLINGS.items() for name in names if of != "perplexity"]

SCALES = {"0-1": (0.4, 1.0), "0-1, small": (0.006, 1.0), "0-100": (40.0, 100.0), "0-100, small": (0.6, 100.0)}
"""Scale to a typical value on it, and its end."""

TIMES = ["latency_ms", "latency", "Latency(ms)", "latencyMs", "p50_latency_ms", "ttft_ms", "time_s", "duration"]
TIMES += ["ms/token", "tokens_per_second_inverse", "time_taken", "latency_rank", "solve_time", "t_ms", "accuracy_ms"]
LOSSES = [*SPELLINGS["perplexity"], "loss", "eval_loss", "nll", "wer", "error_rate", "cost_usd", "regret"]

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """These verdicts are no near ones: a tenth of the resamples finds them."""
    monkeypatch.setattr(compare_inputs, "RESAMPLES", 1_000)


def values(typical: float, end: float, seed: int = 0) -> list[float]:
    """Scores as a metric gives them: skewed, some 0, none beyond its end."""
    draw = random.Random(seed)
    return [min(end, typical * draw.lognormvariate(0, 0.6)) * (draw.random() > 0.1) for _ in range(ROWS)]


def files(folder: Path, name: str, before: Sequence[float], after: Sequence[float]) -> list[Path]:
    paths = [folder / "before.jsonl", folder / "after.jsonl"]
    for path, side in zip(paths, (before, after), strict=True):
        path.write_text("".join(json.dumps({"id": i, name: v}) + "\n" for i, v in enumerate(side)), encoding="utf-8")
    return paths


def test_every_metric_of_ours_that_is_judged_is_here() -> None:
    assert {name for name, metric in METRICS.items() if metric.higher_is_better is not None} <= SPELLINGS.keys()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NAMES)
def test_half_of_every_score_never_passes(cli: Cli, tmp_path: Path, name: str, scale: str) -> None:
    before = values(*SCALES[scale])
    noise = random.Random(1)
    sides = files(tmp_path, name, before, [value * noise.uniform(0.4, 0.6) for value in before])
    outcome = cli("compare", *sides, "--fail-on", "worse")
    assert outcome.code in (1, 2)
    assert "equivalent" not in outcome.out.lower()
    if outcome.code == 2:  # nobody can know: said with the remedy, which then fails
        assert (outcome.out, len(outcome.err.splitlines())) == ("", 1)
        flags = (
            ["--scale", f"{name}={scale.split(',')[0]}"] if "--scale" in outcome.err else ["--higher-is-better", name]
        )
        outcome = cli("compare", *sides, "--fail-on", "worse", *flags)
    assert outcome.code == 1
    assert "loralift: --fail-on worse: after is WORSE than before on " in outcome.err


@pytest.mark.parametrize("name", ["exact_match", "em", "acc", "squad_exact_match"])
@pytest.mark.parametrize("one", [1, 100])
def test_half_of_the_right_answers_never_passes(cli: Cli, tmp_path: Path, name: str, one: int) -> None:
    before = [float(one * (i % 3 == 0)) for i in range(ROWS)]
    after = [value * (i % 2) for i, value in enumerate(before)]
    sides = files(tmp_path, name, before, after)
    outcome = cli("compare", *sides, "--fail-on", "worse")
    if outcome.code == 2:
        assert "--scale" in outcome.err
        outcome = cli("compare", *sides, "--fail-on", "worse", "--scale", f"{name}=0-{one}")
    assert outcome.code == 1


@pytest.mark.parametrize("name", ["bleu", "BLEU", "chrf", "rougeL", "f1"])
@pytest.mark.parametrize("margin", [0.5, 1.0])
def test_a_margin_meant_for_0_to_100_lets_no_half_of_0_to_1_pass(
    cli: Cli, tmp_path: Path, name: str, margin: float
) -> None:
    before = values(0.3, 1.0)
    sides = files(tmp_path, name, before, [value / 2 for value in before])
    outcome = cli("compare", *sides, "--fail-on", "worse", "--margin", f"{name}={margin}")
    assert (outcome.code, outcome.out) == (2, "")
    assert "margin" in outcome.err


def test_half_of_a_metric_that_does_not_decide_is_not_equivalent_either(cli: Cli, tmp_path: Path) -> None:
    names = [name for name in NAMES if name not in ("quality", "exact", "chrF2")]
    before = values(0.4, 1.0)
    sides = [tmp_path / "before.jsonl", tmp_path / "after.jsonl"]
    for path, share in zip(sides, (1.0, 0.5), strict=True):
        rows = ({"id": i, **dict.fromkeys(names, value * share)} for i, value in enumerate(before))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = tmp_path / "found.json"
    assert cli("compare", *sides, "-o", found).code == 0
    verdicts = {row["metric"]: row["verdict"] for row in json.loads(found.read_text(encoding="utf-8"))["rows"]}
    assert verdicts == dict.fromkeys(names, "worse")


@pytest.mark.parametrize("typical", [0.4, 120.0])
@pytest.mark.parametrize("name", [*TIMES, *LOSSES])
def test_twice_the_time_or_loss_is_never_better_without_a_word(
    cli: Cli, tmp_path: Path, name: str, typical: float
) -> None:
    before = [max(value, typical / 10) for value in values(typical, 1e9)]
    if name == "perplexity":
        before = [1 + value for value in before]
    sides = files(tmp_path, name, before, [2 * value for value in before])
    outcome = cli("compare", *sides, "--fail-on", "worse")
    assert outcome.code in (1, 2)
    assert "BETTER" not in outcome.out
    if outcome.code == 2:
        assert "--lower-is-better" in outcome.err or "--scale" in outcome.err


def test_twice_the_latency_is_better_where_the_user_says_so(cli: Cli, tmp_path: Path) -> None:
    before = values(120.0, 1e9)
    sides = files(tmp_path, "latency_ms", before, [2 * value for value in before])
    outcome = cli("compare", *sides, "--higher-is-better", "latency_ms", "--fail-on", "not-better")
    assert (outcome.code, "after is BETTER than before on latency_ms" in outcome.out) == (0, True)
