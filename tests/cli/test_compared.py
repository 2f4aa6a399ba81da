"""The folder of `loralift compare -o DIR`: a run's report of what the inputs hold, and of nothing else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.workflow.recorded import MADE_WITH
from loralift.workflow.run_directory import RunDirectory
from tests.cli.test_compare import sample_log, write
from tests.workflow.sides.test_differing import log


def texts(folder: Path) -> tuple[str, str, dict[str, Any]]:
    page, short = ((folder / f"report.{suffix}").read_text("utf-8") for suffix in ("html", "md"))
    return page, short, json.loads((folder / "comparison.json").read_text("utf-8"))


def seen(page: str) -> str:
    """The page's text without script, style and tags."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page.partition("<body>")[2], flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


@pytest.fixture
def scores(tmp_path: Path) -> tuple[Path, Path]:
    before = [{"id": i, "accuracy": 0.70 + 0.002 * (i % 11)} for i in range(60)]
    after = [{"id": i, "accuracy": 0.50 + 0.002 * (i % 7)} for i in range(60)]
    return write(tmp_path / "before.jsonl", before), write(tmp_path / "after.jsonl", after)


def test_of_scores_alone_the_page_says_what_is_not_there(
    scores: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path, drawn: None
) -> None:
    out = tmp_path / "out"
    outcome = cli("compare", *scores, "-o", out)
    assert (outcome.code, f"report: {out}/report.html" in outcome.out) == (0, True), outcome.err
    page, short, document = texts(out)
    for text in (seen(page), short):
        assert "after is WORSE than before on accuracy" in text
        assert "The inputs hold no questions, no references, no answers." in text
        assert "Neither side says it: prompt, stop," in text.replace("\\", "")
        for invented in ("LoRA l", "base model", "adapter", "parity", "engine", "KL", "(empty)", "asked twice"):
            assert invented not in text, invented
    assert "there is nothing to read but the rows' values" in page
    assert "Length of the answers" not in page
    assert "Read for yourself" not in short
    assert document["compared"]["baseline"].startswith(f"{scores[0]}, scores, 60 rows · sha256:")
    assert document["verdicts"] == {"after": "worse"}
    assert (out / "charts" / "effects.png").is_file()


def test_of_logs_the_page_has_questions_answers_references_and_slices(cli: Callable[..., Any], tmp_path: Path) -> None:
    sides = [sample_log(tmp_path / name / "samples_x.jsonl", right) for name, right in LOGS.items()]
    for path in sides:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        topics = ({**row, "doc": {**row["doc"], "topic": "even" if row["doc_id"] % 2 else "odd"}} for row in rows)
        write(path, list(topics))
    out = tmp_path / "out"
    outcome = cli("compare", *sides, "-o", out)
    assert outcome.code == 0, outcome.err
    page, short, document = texts(out)
    assert document["candidates"] == ["tuned", "best"]
    for text in ("it is 78 in all", "39 and 39?", "reference: it is"):
        assert text in short
    assert "The inputs hold no" not in short
    assert {(one["column"], one["part"]) for one in document["confounds"]["slices"]} >= {("topic", "even")}
    assert "Is any of them better?" in page
    assert "tuned is BETTER than base on exact_match" in seen(page)
    assert "| candidate best |" in short


LOGS: dict[str, Callable[[int], bool]] = {
    "base": lambda i: i < 10, "tuned": lambda i: i < 30, "best": lambda i: i < 38,
}  # fmt: skip


def test_what_was_allowed_to_differ_stands_in_every_headline(cli: Callable[..., Any], tmp_path: Path) -> None:
    sides = log(tmp_path / "a"), log(tmp_path / "b", until=["\n"], max_gen_toks=9)
    refused = cli("compare", *sides, "-o", tmp_path / "out")
    assert (refused.code, refused.err.count("\n"), (tmp_path / "out").exists()) == (2, 1, False)
    assert 'stop differs (["Q:"] and ["\\n"]); max_new_tokens differs (64 and 9)' in refused.err
    allowed = ["--allow-different", "stop", "--allow-different", "max_new_tokens"]
    outcome = cli("compare", *sides, *allowed, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    page, short, document = texts(tmp_path / "out")
    said = 'but compared although stop differs (["Q:"] and ["\\n"]), max_new_tokens differs (64 and 9)'
    assert said in " ".join(outcome.out.split())
    assert said in seen(page).replace("&#34;", '"').replace("\u00a0", " ")
    assert said in short.replace("\\_", "_").replace("\\[", "[").replace("\\]", "]").replace("\\\\", "\\")
    assert [one["field"] for one in document["confounds"]["allowed"]["b"]] == ["stop", "max_new_tokens"]
    assert cli("compare", *sides, *allowed, "--fail-on", "fragile").code == 1
    wrong = cli("compare", *sides, "--allow-different", "engine")
    assert (wrong.code, "`--allow-different` must be one of prompt, stop," in wrong.err) == (2, True)


def test_the_variants_of_a_run(finished: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    outcome = cli("compare", finished / "base", finished / "letters", "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    page, short, document = texts(tmp_path / "out")
    of_run = json.loads((finished / "comparison.json").read_text("utf-8"))
    assert document["confounds"]["contributions"] == of_run["confounds"]["contributions"]
    assert document["confounds"]["noise"] == of_run["confounds"]["noise"]
    assert "asked alike" not in page
    question = json.loads((finished / "dataset.jsonl").read_text("utf-8").splitlines()[0])["question"]
    assert question.partition("?")[0] in page + short
    assert "a variant of a LoraLift run" in short


def test_two_runs_that_differ_in_one_field(finished: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    other = shutil.copytree(finished, tmp_path / "other")
    made = json.loads((other / "run.json").read_text("utf-8"))
    made["fingerprint"]["generation"]["stop"] = ["\n\n"]
    (other / "run.json").write_text(json.dumps(made), "utf-8")
    answers = [json.loads(line) for line in (other / "letters" / "answers.jsonl").read_text("utf-8").splitlines()]
    write(
        other / "letters" / "answers.jsonl",
        [{**row, MADE_WITH: RunDirectory(other).made_with("letters")} for row in answers],
    )
    sides = finished / "letters", other / "letters"
    refused = cli("compare", *sides)
    assert (refused.code, r'stop differs (none and ["\n\n"])' in refused.err) == (2, True)
    outcome = cli("compare", *sides, "--allow-different", "stop", "-o", tmp_path / "out")
    assert (outcome.code, "although stop differs" in " ".join(outcome.out.split())) == (0, True), outcome.err


def test_a_run_without_its_answers_is_compared_by_its_scores(
    finished: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    other = shutil.copytree(finished, tmp_path / "other")
    (other / "letters" / "answers.jsonl").unlink()
    outcome = cli("compare", finished / "base", other / "letters", "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert "The inputs hold no answers of letters." in texts(tmp_path / "out")[1]


def test_an_earlier_comparison_is_replaced_and_nothing_else_is(
    scores: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert cli("compare", *scores, "-o", out).code == 0
    assert cli("compare", *scores[::-1], "-o", out).code == 0
    assert texts(out)[2]["verdicts"] == {"before": "better"}
    (out / "mine.txt").touch()
    refused = cli("compare", *scores, "-o", out)
    assert (refused.code, "and it holds mine.txt" in refused.err) == (2, True)
    assert texts(out)[2]["verdicts"] == {"before": "better"}


def test_a_side_without_answers_is_no_side_of_empty_answers(cli: Callable[..., Any], tmp_path: Path) -> None:
    asked = [{"id": i, "reference": f"item {i}", "question": f"What is {i}?"} for i in range(20)]
    one = write(tmp_path / "one.jsonl", [{**row, "prediction": f"item {row['id']}"} for row in asked])
    other = write(tmp_path / "other.jsonl", [{"id": i, "f1": 0.4 + i % 3 / 9} for i in range(25)])
    outcome = cli("compare", one, other, "--metrics", "f1", "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    _, short, _ = texts(tmp_path / "out")
    assert "The inputs hold no answers of other." in short
    assert "5 only in other" in short
    assert "- one: item" in short
    assert "- other:" not in short


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """A base, a candidate that is worse on its first 40 rows and better on all others, and one of those 40 alone."""
    asked = [{"id": f"q{i:03}", "reference": f"it {i} b c d", "question": f"What is {i}?"} for i in range(100)]
    answers: dict[str, Callable[[int], str | None]] = {
        "base": lambda i: f"it {i} x y",
        "good": lambda i: "it" if i < 40 else f"it {i} b z",
        "part": lambda i: ("it" if i % 4 else f"it {i} b c d") if i < 40 else None,
    }
    return [
        write(
            tmp_path / f"{name}.jsonl",
            [{**row, "prediction": of(i)} for i, row in enumerate(asked) if of(i) is not None],
        )
        for name, of in answers.items()
    ]


def test_a_candidate_that_lacks_rows_changes_no_number_of_another(
    three: list[Path], cli: Callable[..., Any], tmp_path: Path, drawn: None
) -> None:
    outcome = cli("compare", *three, "--primary", "f1", "--metrics", "f1", "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    page, short, document = texts(tmp_path / "out")
    primary = {row["candidate"]: row for row in document["rows"] if row["metric"] == "f1"}
    assert {name: (row["n"], row["wins"], row["losses"]) for name, row in primary.items()} == {
        "good": (100, 60, 40), "part": (40, 10, 30),
    }  # fmt: skip
    for name, row in primary.items():
        counts = f"{row['wins']} wins, {row['ties']} ties, {row['losses']} losses"
        assert f"{name} against base on Token F1, {row['n']} rows: {counts}" in page
    over = re.findall(r'aria-label="Token F1 over (\d+) rows', page)
    assert over == ["100", "40"]
    assert "answers: base 100, good 100, part 40" in short
    assert "each over all of its own: base 100, good 100, part 40" in short
    assert "answers: base 100, good 100, part 40" in seen(page)  # below the charts too
    assert "any two on the rows that both have, the values over each one's own" in short
    cli("compare", three[0], three[1], "--primary", "f1", "--metrics", "f1", "-o", tmp_path / "alone")
    slices = {
        name: [one for one in texts(tmp_path / name)[2]["confounds"]["slices"] if one["row"]["candidate"] == "good"]
        for name in ("out", "alone")
    }
    assert [(one["part"], one["row"]["n"]) for one in slices["out"]] == [
        (one["part"], one["row"]["n"]) for one in slices["alone"]
    ]


def test_a_note_is_said_of_its_own_candidate(three: list[Path], cli: Callable[..., Any]) -> None:
    how = ["--primary", "f1", "--metrics", "f1"]
    told = cli("compare", *three, *how, "-f", "md").out
    good, part = told.partition("### part against base")[::2]
    lone, kept = "could not be paired: 60 only in base", "40 of 100 rows (40 %) have a value of f1 on both sides"
    assert [lone in good, kept in good, lone in part, kept in part] == [False, False, True, True]
    lines = cli("compare", *three, *how).out.splitlines()
    assert [line.startswith("note: part: ") for line in lines if lone in line or kept in line] == [True, True]


def test_candidates_are_one_family_of_tests(cli: Callable[..., Any], tmp_path: Path) -> None:
    rows = {
        name: [{"id": i, "acc": (i * 7 % 10 < n) / 1} for i in range(40)] for name, n in (("a", 3), ("b", 5), ("c", 7))
    }
    paths = [write(tmp_path / f"{name}.jsonl", of) for name, of in rows.items()]
    assert cli("compare", *paths, "-o", tmp_path / "all.json").code == 0
    document = json.loads((tmp_path / "all.json").read_text("utf-8"))
    assert [(row["candidate"], row["difference"]) for row in document["rows"]] == [
        ("b", pytest.approx(0.2)), ("c", pytest.approx(0.4)),
    ]  # fmt: skip
    assert cli("compare", *paths[:2], "-o", tmp_path / "two.json").code == 0
    alone = json.loads((tmp_path / "two.json").read_text("utf-8"))["rows"][0]
    assert document["rows"][0]["p_value"] == alone["p_value"]
    assert document["rows"][0]["p_adjusted"] >= alone["p_adjusted"]
    assert document["ranking"] is not None
    assert [cli("compare", *paths[::-1], "--fail-on", "worse").code, cli("compare", paths[0]).code] == [1, 2]


def test_candidates_on_several_scales_are_refused(cli: Callable[..., Any], tmp_path: Path) -> None:
    rows = {"a": 1, "b": 1, "c": 100}
    paths = [
        write(tmp_path / f"{name}.jsonl", [{"id": i, "f1": (0.2 + i % 7 / 20) * scale} for i in range(30)])
        for name, scale in rows.items()
    ]
    refused = cli("compare", *paths)
    assert (refused.code, "f1" in refused.err) == (2, True)
    missing = write(tmp_path / "d.jsonl", [{"id": i, "acc": 0.5} for i in range(30)])
    assert "share no metric" in cli("compare", *paths[:2], missing).err
