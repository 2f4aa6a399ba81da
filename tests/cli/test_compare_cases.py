"""Inputs that once gave a wrong verdict, with the right one; they lie beside the checkout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def compared(cases_dir: Path, cli: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Compare two of the cases, and read the figures of the primary metric."""

    def compare(one: str, other: str, *flags: str) -> tuple[Any, dict[str, Any]]:
        written = tmp_path / "c.json"
        sides = (cases_dir / "compare" / f"{name}.jsonl" for name in (one, other))
        outcome = cli("compare", *sides, *flags, "--fail-on", "worse", "-o", written)
        found = json.loads(written.read_text("utf-8")) if written.exists() else {"rows": [], "primary": ""}
        return outcome, next((row for row in found["rows"] if row["metric"] == found["primary"]), {})

    return compare


def test_two_scales_are_an_error_that_names_both(compared: Callable[..., Any]) -> None:
    outcome, _ = compared("scale-0-1", "scale-0-100")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    for said in (
        "0.308 to 0.4969 in scale-0-1",
        "25.8 to 44.69 in scale-0-100",
        "--scale candidate:rougeL=0-100",
        "f1",
    ):
        assert said in outcome.err


def test_with_their_scales_the_second_is_five_points_worse(compared: Callable[..., Any]) -> None:
    flags = [flag for metric in ("rougeL", "f1") for flag in ("--scale", f"candidate:{metric}=0-100")]
    outcome, row = compared("scale-0-1", "scale-0-100", *flags)
    assert (outcome.code, row["verdict"], row["difference"]) == (1, "worse", pytest.approx(-0.05))
    assert "rougeL of scale-0-100 is brought from 0-100 onto 0-1." in outcome.out


def test_half_the_bleu_is_worse(compared: Callable[..., Any]) -> None:
    outcome, row = compared("bleu-0-1-base", "bleu-0-1-halved")
    assert (outcome.code, row["verdict"], row["margin"]) == (1, "worse", None)
    assert row["candidate_value"] == pytest.approx(row["baseline_value"] / 2, rel=0.02)
    assert "its scale is taken to be 0-1, not 0-100" in outcome.out
    margin = compared("bleu-0-1-base", "bleu-0-1-halved", "--margin", "bleu=0.5")[0]
    assert (margin.code, "--scale bleu=0-1 or --scale bleu=0-100" in margin.err) == (2, True)
    assert compared("bleu-0-1-base", "bleu-0-1-halved", "--margin", "bleu=0.005")[0].code == 1


@pytest.mark.parametrize("name", ["eval-loss", "latency"])
def test_a_rise_of_a_loss_or_a_latency_is_worse(compared: Callable[..., Any], name: str) -> None:
    for sides, code, verdict in (("base higher", 1, "worse"), ("higher base", 0, "better")):
        outcome, row = compared(*(f"{name}-{side}" for side in sides.split()))
        assert (outcome.code, row["verdict"]) == (code, verdict)


def test_several_references_and_thinking_are_told(compared: Callable[..., Any]) -> None:
    outcome, _ = compared("references-right", "references-wrong", "--metrics", "em")
    for side in ("right", "wrong"):
        assert f"40 rows of references-{side} have several references; an answer may be like any of" in outcome.out
    outcome, _ = compared("think-base", "think-candidate", "--metrics", "rougeL")
    assert "60 answers of think-candidate hold thinking" in outcome.out


def test_files_with_a_byte_order_mark_or_without_ids_are_read(compared: Callable[..., Any]) -> None:
    outcome, row = compared("bom", "bom", "--metrics", "f1")
    assert (outcome.code, row["n"], row["difference"]) == (0, 40, 0.0)
    outcome, row = compared("no-id-base", "no-id-candidate", "--metrics", "rougeL")
    assert (outcome.code, row["n"], row["verdict"]) == (0, 40, "better")
    assert "Neither side has ids: 40 rows are paired by their position" in outcome.out
    outcome, _ = compared("bom", "no-id-candidate", "--metrics", "rougeL")
    assert (outcome.code, "with an id" in outcome.err) == (2, True)


def test_what_a_secondary_metric_cannot_see_is_said_once(cases_dir: Path, cli: Callable[..., Any]) -> None:
    sides = (cases_dir / "compare" / f"thai-{side}.jsonl" for side in ("right", "unrelated"))
    outcome = cli("compare", *sides, "--metrics", "chrf,f1", "--primary", "chrf")
    notes = [line for line in outcome.out.splitlines() if line.startswith("note:")]
    (english,) = [line for line in notes if "60 of 60 references are not in Latin script" in line]
    (unseen,) = [line for line in notes if "Token F1 cannot score 60 of 60 rows" in line]
    (unknown,) = [line for line in notes if "Neither side says it: prompt, stop" in line]
    assert sorted([english, unseen, unknown]) == sorted(notes)
