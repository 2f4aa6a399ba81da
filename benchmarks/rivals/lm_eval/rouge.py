"""The one metric that lm-evaluation-harness is asked for; it runs in the rival's environment, without LoraLift."""

from __future__ import annotations

from typing import Any

from rouge_score import rouge_scorer

SCORER = rouge_scorer.RougeScorer(["rougeL"])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """One answer's ROUGE-L against its reference."""
    return {"rougeL": SCORER.score(doc["reference"], results[0].strip())["rougeL"].fmeasure}
