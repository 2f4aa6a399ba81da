"""What a run says beside the verdict: noise, repeats, leaks, forgetting, the adapters against one another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.cli import main
from tests.models import PAIRS, SUBJECTS


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set outside the adapter's domain: what the base was trained to say."""
    path = tmp_path_factory.mktemp("data") / "opinions.jsonl"
    rows = [
        {"id": f"e{n}", "question": f"What are {one}?", "reference": f"Some say {one} are like {two}.", "kind": two}
        for n, (one, two) in enumerate((one, two) for one in SUBJECTS for two in ("cash", "gold"))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def full(arguments: list[str], other_adapter: Path, elsewhere: Path, questions: Path, tmp_path_factory: Any) -> Path:
    """A run with everything: two adapters, training data, a further data set."""
    folder = tmp_path_factory.mktemp("full")
    training = folder / "train.jsonl"
    leaked = lines(questions)[3]
    rows = [{"prompt": prompt, "completion": answer} for prompt, answer in PAIRS]
    rows.append({"prompt": leaked["question"], "completion": "Something else entirely."})
    training.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(SystemExit) as done:
        main(
            [
                *arguments,
                *("--adapter", f"banker={other_adapter}", "--train-data", str(training)),
                *(
                    "--also",
                    f"opinions={elsewhere}",
                    "--noise-rows",
                    "8",
                    "--margin",
                    "f1=0.03",
                    "-o",
                    str(folder / "run"),
                ),
            ]
        )
    assert not done.value.code
    return folder / "run"


def test_the_base_answers_some_questions_once_more(full: Path) -> None:
    first = {row["id"]: row["text"] for row in lines(full / "base" / "answers.jsonl")}
    again = {row["id"]: row["text"] for row in lines(full / "base-again" / "answers.jsonl")}
    assert len(again) == 8
    assert again == {i: first[i] for i in again}  # float32 and greedy: other batches change nothing
    noise = read(full / "comparison.json")["confounds"]["noise"]
    assert {row["metric"] for row in noise} == {"rouge1", "rouge2", "rougeL", "bleu", "f1"}
    assert all(row["floor"] == 0.0 and row["n"] == 8 for row in noise)


def test_a_leaked_question_is_found_and_the_comparison_made_again_without_it(full: Path, questions: Path) -> None:
    confounds = read(full / "comparison.json")["confounds"]
    leaked = lines(questions)[3]["id"]
    for adapter in ("letters", "banker"):
        found = {(leak["id"], leak["part"], leak["kind"]) for leak in confounds["leaks"][adapter]}
        assert (leaked, "question", "exact") in found
        ids = {leak["id"] for leak in confounds["leaks"][adapter]}
        assert confounds["without_leaks"][adapter]["n"] == 20 - len(ids)


def test_the_margin_of_the_run_holds_for_all_that_is_compared_again(full: Path) -> None:
    for place in (full, full / "also" / "opinions"):
        comparison = read(place / "comparison.json")
        of_slices = {row["row"]["margin"] for row in comparison["confounds"]["slices"]}
        of_the_rest = {row["margin"] for row in comparison["confounds"]["without_leaks"].values()}
        (of_the_ranking,) = {row["margin"] for row in comparison["ranking"]["pairs"]}
        assert of_slices | of_the_rest | {of_the_ranking} == {0.03}


def test_a_further_data_set_is_a_run_of_its_own_and_says_what_was_forgotten(
    full: Path, cli: Callable[..., Any]
) -> None:
    part = full / "also" / "opinions"
    assert len(lines(part / "letters" / "answers.jsonl")) == 20
    comparison = read(part / "comparison.json")
    texts = [finding["text"] for finding in read(full / "comparison.json")["findings"]]
    for adapter in ("letters", "banker"):
        assert comparison["verdicts"][adapter] == "worse"
        assert any(text.startswith(f"{adapter} forgot: on opinions it is worse than base") for text in texts)
    slices = comparison["confounds"]["slices"]
    seconds = read(part / "run.json")["seconds"]
    assert {
        "generate base",
        "generate base (opinions)",
        "score base (opinions)",
        "compare (opinions)",
    } <= seconds.keys()
    assert {row["part"] for row in slices if row["column"] == "kind"} == {"cash", "gold"}
    assert cli("compare", part / "base", part / "letters").code == 0


def test_the_report_shows_proofs_findings_slices_and_what_was_forgotten(full: Path, cli: Callable[..., Any]) -> None:
    page = (full / "report.md").read_text(encoding="utf-8")
    for heading in ("## Forgetting: opinions", "## Do the adapters act?", "## Ranked by Token F1"):
        assert heading in page
    assert "kind: cash" in (full / "also" / "opinions" / "report.md").read_text(encoding="utf-8")
    outcome = cli("report", full)
    assert "forgot: on opinions" in outcome.out
    run = read(full / "run.json")
    assert {proof["adapter"] for proof in run["proofs"]} == {"letters", "banker"}
    assert all(proof["kl_mean"] > 0 for proof in run["proofs"])


def test_several_adapters_are_ranked_against_one_another(full: Path) -> None:
    ranking = read(full / "comparison.json")["ranking"]
    assert {place["variant"] for place in ranking["places"]} == {"base", "letters", "banker"}
    assert {(row["baseline"], row["candidate"]) for row in ranking["pairs"]} >= {("letters", "banker")}


def test_repeats_are_clustered_by_question(arguments: list[str], cli: Callable[..., Any], tmp_path: Path) -> None:
    sampled = [*arguments, "--temperature", "0.9", "--repeats", "3", "--limit", "12", "-o", tmp_path / "run"]
    assert cli(*sampled).code == 0
    answers = {row["id"]: row["text"] for row in lines(tmp_path / "run" / "base" / "answers.jsonl")}
    assert len(answers) == 36
    assert "q0#0" in answers
    assert len({answers[f"q0#{k}"] for k in range(3)} | {answers[f"q1#{k}"] for k in range(3)}) > 2
    comparison = read(tmp_path / "run" / "comparison.json")
    assert {row["n"] for row in comparison["rows"]} == {12}
    assert {row["answers"] for row in comparison["rows"] if row["metric"] == "f1"} == {36}
    assert {test["n"] for test in comparison["nemo_evaluator"]} == {12}
    results = read(tmp_path / "run" / "baseline_results.json")
    assert results["metrics"]["f1"]["n"] == 12
    bundle = read(tmp_path / "run" / "nemo" / "base" / "money.f1" / "eval-money.f1.json")
    assert (bundle["benchmark"]["samples"], bundle["benchmark"]["repeats"], bundle["n_results"]) == (12, 3, 36)


def test_repeats_of_greedy_answers_are_refused(arguments: list[str], cli: Callable[..., Any], tmp_path: Path) -> None:
    outcome = cli(*arguments, "--repeats", "3", "-o", tmp_path / "run")
    assert outcome.code == 2
    assert "`--repeats` above 1 needs --temperature above 0" in outcome.err
