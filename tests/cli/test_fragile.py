"""A gate that stops a verdict which does not survive being looked at: of a run, of two of its variants, of files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

PROTOCOL = {"prompt": "plain", "system_prompt": "", "shots": 0, "thinking": False, "stop": [], "max_new_tokens": 12}
PROTOCOL |= {"temperature": 0.0, "top_p": 1.0}


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A run of one protocol, in which letters is better."""
    return shutil.copytree(finished, tmp_path / "run")


def asked_again(run: Path, verdict: str, difference: float) -> None:
    """The same run as if all had been asked another way too."""
    place = run / "comparison.json"
    document = json.loads(place.read_text(encoding="utf-8"))
    first = next(row for row in document["rows"] if row["metric"] == document["primary"])
    low, high = difference - 0.01, difference + 0.01
    other = first | {"difference": difference, "verdict": verdict}
    other["interval"] = first["interval"] | {"low": low, "high": high}
    results = [
        {"protocol": {"name": name, **PROTOCOL}, "rows": [row]} for name, row in (("training", first), ("chat", other))
    ]
    whichever = [{"candidate": "letters", "verdict": "depends", "p_value": None}]
    document["protocols"] = {"results": results, "trained": "training", "whichever": whichever, "best": [], "notes": []}
    place.write_text(json.dumps(document), encoding="utf-8")
    shutil.copytree(run, run / "protocols" / "chat")
    told = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(told | {"protocols": ["training", "chat"]}), encoding="utf-8")


def commands(run: Path) -> dict[str, list[object]]:
    return {"report": ["report", run], "compare": ["compare", run / "base", run / "letters"]}


@pytest.mark.parametrize("verb", ["report", "compare"])
def test_what_depends_on_how_it_is_asked_is_fragile_and_no_proof_of_gain(cli: Cli, run: Path, verb: str) -> None:
    asked_again(run, "worse", -0.2)
    command = commands(run)[verb]
    said = "letters DEPENDS ON HOW IT IS ASKED against base on Token F1: better under training (+0.295 "
    for gates in (["fragile"], ["not-better"], ["worse", "fragile"]):
        outcome = cli(*command, *(part for gate in gates for part in ("--fail-on", gate)))
        assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
        assert outcome.err.startswith(f"loralift: --fail-on {gates[-1]}: {said}")
        assert "worse under chat (−0.200 [−0.210, −0.190])" in outcome.err
        assert said.split(":")[0] in outcome.out
        assert "is BETTER" not in outcome.out
    outcome = cli(*command, "--fail-on", "worse")
    assert outcome.code == 0
    assert outcome.err.startswith(f"loralift: passes --fail-on worse in doubt: {said}")


@pytest.mark.parametrize("verb", ["report", "compare"])
def test_what_is_better_whichever_way_it_is_asked_passes_and_what_was_not_looked_into_is_said(
    cli: Cli, run: Path, verb: str
) -> None:
    asked_again(run, "better", 0.2)
    outcome = cli(*commands(run)[verb], "--fail-on", "fragile", "--fail-on", "not-better")
    assert (outcome.code, len(outcome.err.splitlines())) == (0, 1)
    assert outcome.err.startswith("loralift: --fail-on fragile could not look into rows that leaked")
    assert outcome.err.endswith("; length\n")  # its answers are all shorter: nobody knows
    assert cli(*commands(run)[verb]).err == ""


def test_a_run_asked_in_one_way_says_that_no_other_was_looked_into(cli: Cli, run: Path) -> None:
    for command in commands(run).values():
        outcome = cli(*command, "--fail-on", "fragile")
        assert outcome.code == 0
        assert "could not look into all asked another way (a run with --protocol" in outcome.err


def test_the_runs_protocols_hold_for_the_runs_comparison_alone(cli: Cli, run: Path) -> None:
    asked_again(run, "worse", -0.2)
    for further in (["--primary", "rougeL"], ["--seed", "7"], ["--margin", "f1=0.02"]):
        outcome = cli("compare", run / "base", run / "letters", *further, "--fail-on", "fragile")
        assert (outcome.code, "could not look into all asked another way" in outcome.err) == (0, True)
    outcome = cli("compare", run / "letters", run / "base", "--fail-on", "fragile")
    assert (outcome.code, outcome.err) == (1, "loralift: --fail-on fragile: base is WORSE than letters on Token F1\n")


def test_a_run_with_a_refused_adapter_is_not_judged_whole(cli: Cli, run: Path) -> None:
    place = run / "run.json"
    document = json.loads(place.read_text(encoding="utf-8"))
    place.write_text(json.dumps(document | {"refused": {"dead": "it acts on nothing"}}), encoding="utf-8")
    outcome = cli("report", run, "--fail-on", "worse")
    assert (outcome.code, "dead is not judged, since it was refused: it acts on nothing" in outcome.err) == (2, True)
    assert cli("report", run).code == 0


def test_the_report_in_another_format_is_gated_too(cli: Cli, run: Path) -> None:
    asked_again(run, "worse", -0.2)
    outcome = cli("report", run, "-f", "json", "--fail-on", "fragile")
    assert (outcome.code, json.loads(outcome.out)["protocols"]["trained"]) == (1, "training")


def predictions(folder: Path, name: str, answer: Callable[[int], str]) -> Path:
    path = folder / f"{name}.jsonl"
    rows = ({"id": i, "prediction": answer(i), "reference": f"the answer is number {i} of many"} for i in range(40))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_predictions_are_looked_into_as_far_as_they_tell(cli: Cli, tmp_path: Path) -> None:
    base = predictions(tmp_path, "base", lambda i: "" if i % 2 else f"the answer is number {i} of many")
    mine = predictions(tmp_path, "mine", lambda i: f"the answer is number {i}")
    outcome = cli("compare", base, mine, "--metrics", "f1,empty,answer_words", "--fail-on", "fragile")
    assert outcome.code == 1
    said = "mine is BETTER than base on Token F1, but where both answers are sound it is the other way round"
    assert outcome.err == f"loralift: --fail-on fragile: {said}\n"
    lines = outcome.out.splitlines()
    assert any(line.startswith("mine is BETTER than base on Token F1: ") for line in lines)
    assert " better, in doubt " in outcome.out


def test_scores_alone_tell_no_doubt_so_nothing_passes(cli: Cli, tmp_path: Path) -> None:
    sides = [tmp_path / "before.jsonl", tmp_path / "after.jsonl"]
    for path, gain in zip(sides, (0.0, 0.1), strict=True):
        rows = ({"id": i, "accuracy": 0.5 + gain + i % 7 / 100 + gain * (i % 3) / 9} for i in range(40))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert cli("compare", *sides, "--fail-on", "worse").code == 0
    outcome = cli("compare", *sides, "--fail-on", "fragile")
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert "--fail-on fragile has nothing to look for doubts in" in outcome.err
    outcome = cli("compare", *reversed(sides), "--fail-on", "fragile")  # worse is worse, whatever else is known
    assert (outcome.code, "before is WORSE than after" in outcome.err) == (1, True)


@pytest.mark.parametrize("metric", ["perplexity", "empty"])
def test_what_has_no_pair_was_not_looked_into(cli: Cli, tmp_path: Path, metric: str) -> None:
    sides = [tmp_path / "before.jsonl", tmp_path / "after.jsonl"]
    for half, path in enumerate(sides):
        rows = ({"id": i, "f1": 0.4 + i % 7 / 100, metric: 1.0 + i if i % 2 == half else None} for i in range(40))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    outcome = cli("compare", *sides, "--primary", "f1", "--fail-on", "fragile")
    assert (outcome.code, "has nothing to look for doubts in: scores alone tell none" in outcome.err) == (2, True)


def test_scores_with_perplexity_tell_one(cli: Cli, tmp_path: Path) -> None:
    sides = [tmp_path / "before.jsonl", tmp_path / "after.jsonl"]
    for path, gain in zip(sides, (0.0, 0.1), strict=True):
        rows = ({"id": i, "f1": 0.4 + gain + i % 7 / 100, "perplexity": 9 + 80 * gain + i % 5} for i in range(40))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    outcome = cli("compare", *sides, "--primary", "f1", "--fail-on", "fragile", "-o", tmp_path / "found.json")
    assert outcome.code == 1
    assert (
        "after is BETTER than before on Token F1, but the references became less likely (perplexity 11.00 to"
        in outcome.err
    )
    (doubt,) = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["doubts"]
    assert (doubt["candidate"], doubt["kind"]) == ("after", "perplexity")
