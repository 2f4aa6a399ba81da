"""Answers that are cut are, row by row, those that are generated so: on all rows of the demo, greedy, in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift import demo, evaluate
from loralift.records import AS_USUAL
from loralift.reporting.charts import apart
from loralift.workflow import reporting
from loralift.workflow.cutting import cut_at

CUTS: dict[str, dict[str, Any]] = {"stop": {"stop": ["Question:"]}, "half": {"max_new_tokens": 72}}
CUT = {"stop": {"endless-lora"}, "half": {"endless-lora", "fuller-lora"}}
"""Whose answers change: all of fuller-lora's have more than half of the tokens, and none says "Question:"."""
MADE = {"stop": {"endless-lora"}, "half": {"fuller-lora"}}
"""Whose answers are generated so, too."""


def answers(run: Path, variant: str) -> dict[str, dict[str, Any]]:
    lines = (run / variant / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


@pytest.mark.parametrize("kind", CUTS)
def test_cut_answers_are_generated_ones(
    demo_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(reporting, "draw_apart", lambda report: apart.Drawing())
    monkeypatch.setenv("LORALIFT_CACHE", str(demo_run.with_name("cache")))
    adapters = {name: path for name, path in demo.settings()["adapters"].items() if name in MADE[kind]}
    told = demo.settings() | {
        "adapters": adapters,
        "device": "cpu",
        "metrics": ["semantic_similarity"],
        "noise_rows": 0,
    }
    evaluate(**told | CUTS[kind] | {"output_dir": tmp_path / "run"})
    shorter = 0
    for variant in ("base", *adapters):
        generated = answers(tmp_path / "run", variant)
        whole = answers(demo_run, variant)
        assert len(whole) == len(generated) == 149
        for key, row in whole.items():
            half = row["text"] if row["half"] is None else row["text"][: row["half"]].strip()
            cut = cut_at(row["text"], "Question:", AS_USUAL) if kind == "stop" else half
            assert cut == generated[key]["text"].rstrip("\ufffd")
            shorter += cut != row["text"]
    assert shorter >= 149
    document = json.loads((demo_run / "comparison.json").read_text(encoding="utf-8"))
    told_of = {cut["candidate"]: cut["row"] for cut in document["confounds"]["cuts"] if cut["kind"] == kind}
    made = json.loads((tmp_path / "run" / "comparison.json").read_text(encoding="utf-8"))
    assert set(told_of) == CUT[kind]  # where nothing is cut, nothing is told
    for row in made["rows"]:
        if row["metric"] == "semantic_similarity":
            cut = told_of[row["candidate"]]
            assert cut["difference"] == pytest.approx(row["difference"], abs=1e-6)
            assert cut["interval"]["low"] == pytest.approx(row["interval"]["low"], abs=1e-6)
