from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.reporting import markdown


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Score files of another tool: the second is worse by a fifth."""
    before = [{"id": i, "accuracy": 0.70 + 0.002 * (i % 11)} for i in range(60)]
    after = [{"id": i, "accuracy": 0.50 + 0.002 * (i % 7)} for i in range(60)]
    return write(tmp_path / "before.jsonl", before), write(tmp_path / "after.jsonl", after[::-1])


def test_the_variants_of_a_run(finished: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    outcome = cli("compare", finished / "base", finished / "letters", "-o", tmp_path / "c.json")
    assert outcome.code == 0
    assert "letters against base" in outcome.out
    ours, runs = (json.loads(p.read_text("utf-8")) for p in (tmp_path / "c.json", finished / "comparison.json"))
    assert ours["verdicts"] == runs["verdicts"]
    assert (ours["seed"], ours["resamples"]) == (runs["seed"], runs["resamples"]) == (0, 1000)
    assert [row["difference"] for row in ours["rows"]] == [row["difference"] for row in runs["rows"]]


def test_the_score_files_of_another_tool(sides: tuple[Path, Path], cli: Callable[..., Any]) -> None:
    outcome = cli("compare", *sides)
    assert outcome.code == 0
    assert "after is WORSE than before on accuracy: −0.2" in outcome.out


@pytest.mark.parametrize(("gate", "there", "back"), [("worse", 1, 0), ("not-better", 1, 0)])
def test_the_gate(sides: tuple[Path, Path], cli: Callable[..., Any], gate: str, there: int, back: int) -> None:
    assert cli("compare", *sides, "--fail-on", gate).code == there
    assert cli("compare", *sides[::-1], "--fail-on", gate).code == back


def test_predictions_are_scored_on_the_way(cli: Callable[..., Any], tmp_path: Path) -> None:
    rows = [{"id": str(i), "reference": f"item {i} costs {i} dollars"} for i in range(12)]
    bad = write(tmp_path / "bad.jsonl", [{**row, "prediction": "I like cats."} for row in rows])
    good = write(tmp_path / "good.jsonl", [{**row, "prediction": row["reference"]} for row in rows])
    outcome = cli("compare", bad, good, "--metrics", "f1,rouge", "--primary", "f1")
    assert "good is BETTER than bad on Token F1: +1.0" in outcome.out


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "1", "other": 0.5}], "share no metric"),
        ([{"id": "x", "accuracy": 0.5}], "no id"),
        ([{"accuracy": 0.5}], "with an id"),
        ([{"id": "1", "accuracy": "high"}], "accuracy"),
        ([{"id": "1", "prediction": "x"}], "prediction and reference"),
        ([], "an empty file"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    sides: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path, rows: list, message: str
) -> None:
    outcome = cli("compare", sides[0], write(tmp_path / "wrong.jsonl", rows))
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--primary", "bleu"], "`--primary` must be one of accuracy, got 'bleu'"),
        (["--fail-on", "maybe"], "`--fail-on` must be worse or not-better or fragile, got 'maybe'"),
        (["--margin", "accuracy=-1"], "`--margin` must be METRIC=X"),
        (["--seed", "-1"], "`--seed` must be an integer from 0 to 9,007,199,254,740,992, got '-1'"),
    ],
)
def test_wrong_flags(sides: tuple[Path, Path], cli: Callable[..., Any], flags: list[str], message: str) -> None:
    outcome = cli("compare", *sides, *flags)
    assert (outcome.code, message in outcome.err) == (2, True)


def test_no_such_side(sides: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path) -> None:
    assert "cannot read" in cli("compare", sides[0], tmp_path / "nothing.jsonl").err
    assert "no variant of a run" in cli("compare", sides[0], tmp_path).err


def sample_log(path: Path, right: Callable[[int], bool], rows: range = range(40), **changes: Any) -> Path:
    """A sample log of lm-evaluation-harness with two filters; the second finds every answer right."""
    lines = []
    for name in ("strict-match", "flexible-extract"):
        for i in rows:
            good = name == "flexible-extract" or right(i)
            answer = f"it is {2 * i if good else -1} in all"
            lines.append(
                {
                    **{"doc_id": i, "doc": {"question": f"{i} and {i}?"}, "target": f"it is {2 * i} in all"},
                    **{"resps": [["…"]], "filtered_resps": [answer], "filter": name},
                    **{"metrics": ["exact_match"], "doc_hash": f"hash{i}", "exact_match": float(good), **changes},
                }
            )
    path.parent.mkdir()
    return write(path, lines)


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    """Sample logs of two models: the second is right on 30 of 40 documents, the first on 10."""
    before = sample_log(tmp_path / "org__base" / "samples_sums_2025-05-01T12-00-00.1.jsonl", lambda i: i < 10)
    after = sample_log(tmp_path / "org__tuned" / "samples_sums_2025-05-01T13-00-00.1.jsonl", lambda i: i < 30)
    return before, after


def test_sample_logs_of_lm_evaluation_harness_by_their_own_metrics(
    logs: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # where a line breaks depends on how long the folder's name is
    outcome = cli("compare", *logs, "-o", tmp_path / "c.json")
    assert outcome.code == 0
    assert "org__tuned is BETTER than org__base on exact_match: +0.5" in outcome.out
    assert "the filter 'strict-match' is taken, not flexible-extract" in outcome.out
    (row,) = json.loads((tmp_path / "c.json").read_text("utf-8"))["rows"]
    assert (row["n"], row["baseline_value"], row["candidate_value"]) == (40, 0.25, 0.75)
    assert sum("the filter" in warning for warning in row["warnings"]) == 2


def test_the_filter_of_a_sample_log_can_be_chosen(
    logs: tuple[Path, Path], sides: tuple[Path, Path], cli: Callable[..., Any]
) -> None:
    assert "0.000 [" in cli("compare", *logs, "--filter", "flexible-extract").out
    wrong = cli("compare", *logs, "--filter", "loose")
    assert "`--filter` must be one of strict-match, flexible-extract, got 'loose'" in wrong.err
    assert "no side is one" in cli("compare", *sides, "--filter", "loose").err


def test_the_answers_of_sample_logs_are_scored_by_our_metrics(logs: tuple[Path, Path], cli: Callable[..., Any]) -> None:
    outcome = cli("compare", *logs, "--metrics", "f1,exact_match", "--fail-on", "not-better")
    assert outcome.code == 0
    assert "org__tuned is BETTER than org__base on Token F1: +0.1" in outcome.out
    assert "`metrics` must be of" in cli("compare", *logs, "--metrics", "acc").err


def test_a_sample_log_pairs_with_the_predictions_of_another_tool(
    logs: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{"qid": i, "response": f"it is {2 * i} in all", "target": f"it is {2 * i} in all"} for i in range(40)]
    outcome = cli("compare", logs[0], write(tmp_path / "other.jsonl", rows), "--metrics", "f1")
    assert "other is BETTER than org__base on Token F1" in outcome.out


def test_sample_logs_of_other_data_are_refused(
    logs: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    other = sample_log(tmp_path / "org__other" / "samples_sums_x.jsonl", lambda i: True, doc_hash="of another document")
    outcome = cli("compare", logs[0], other)
    assert outcome.code == 2
    assert "40 of 40 ids stand for another document on the other side (doc_hash differs): 0, 1, 2" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_sample_log_without_a_number_says_what_to_do(cli: Callable[..., Any], tmp_path: Path) -> None:
    log = sample_log(tmp_path / "m" / "samples_x.jsonl", lambda i: True, metrics=["bleu"], bleu=["a", "b"])
    assert "has none of the metrics asked for, but no number" in cli("compare", log, log).err


def test_rows_that_cannot_be_paired_are_counted_and_named(cli: Callable[..., Any], tmp_path: Path) -> None:
    before = write(tmp_path / "before.jsonl", [{"id": f"b{i}", "accuracy": i % 7 / 7} for i in range(30)])
    after = write(tmp_path / "after.jsonl", [{"id": f"b{i}", "accuracy": i % 5 / 5} for i in range(5, 31)])
    line = (
        "note: after: 25 rows are paired by id; could not be paired: 5 only in before (b0, b1, b2 and 2 more); "
        "1 only in after (b30)"
    )
    assert cli("compare", before, after).out.splitlines()[0] == line
    assert "could not be paired" not in cli("compare", before, before).out


def test_a_metric_of_which_less_is_better(cli: Callable[..., Any], tmp_path: Path) -> None:
    before = write(tmp_path / "before.jsonl", [{"id": i, "wer": 0.2 + i % 3 / 50} for i in range(30)])
    after = write(tmp_path / "after.jsonl", [{"id": i, "wer": 0.5 + i % 4 / 50} for i in range(30)])
    assert "after is WORSE than before on wer: +0.3" in cli("compare", before, after).out


def test_a_metric_that_was_made_differently_is_said_to_be(
    logs: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    texts = write(tmp_path / "texts.jsonl", [{"id": i, "prediction": "a", "reference": "ab"[i % 2]} for i in range(40)])
    allowed = ["--allow-different", "data"]  # the references are others
    out = " ".join(cli("compare", logs[0], texts, "--metrics", "exact_match", *allowed).out.split())
    assert "The two sides made it differently: tool:lm-evaluation-harness|filter:strict-match, and" in out


def test_how_a_score_file_was_made_is_not_known(
    logs: tuple[Path, Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    scores = write(tmp_path / "scores.jsonl", [{"id": i, "exact_match": i % 2} for i in range(40)])
    assert "made it differently" not in cli("compare", logs[0], scores).out


def test_nothing_to_judge_is_an_error(cli: Callable[..., Any], tmp_path: Path) -> None:
    before = write(tmp_path / "before.jsonl", [{"id": i, "f1": 0.5 if i < 9 else None} for i in range(18)])
    after = write(tmp_path / "after.jsonl", [{"id": i, "f1": None if i < 9 else 0.5} for i in range(18)])
    for flags in ([], ["--fail-on", "worse"]):
        outcome = cli("compare", before, after, *flags)
        assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
        assert (
            "nothing could be compared: no row has a value of f1 on both sides "
            "(9 rows unscored in the baseline, 9 rows unscored in the candidate)" in outcome.err
        )


def test_columns_of_text_are_no_metrics(cli: Callable[..., Any], tmp_path: Path) -> None:
    rows = [{"id": i, "f1": i % 3 / 3, "category": "x", "tags": ["a"]} for i in range(20)]
    one = write(tmp_path / "one.jsonl", rows)
    assert cli("compare", one, write(tmp_path / "two.jsonl", rows), "-o", tmp_path / "c.json").code == 0
    assert list(json.loads((tmp_path / "c.json").read_text("utf-8"))["metrics"]) == ["f1"]
    outcome = cli("compare", one, write(tmp_path / "mixed.jsonl", [*rows[:2], {"id": 2, "f1": "high"}]))
    assert "mixed.jsonl, row 3: f1 must be a number or null, as in other rows, got 'high'" in outcome.err


def test_answers_to_one_question_that_nel_repeated_are_one_observation(cli: Callable[..., Any], tmp_path: Path) -> None:
    for name, gain in (("before", 0.0), ("after", 0.1)):
        (tmp_path / name).mkdir()
        write(
            tmp_path / name / "results.jsonl",
            [
                {"metadata": {"id": f"q{i}"}, "repeat": k, "scoring_details": {"f1": 0.3 + gain + (i * 7 + k) % 5 / 20}}
                for i in range(20)
                for k in range(3)
            ],
        )
    assert cli("compare", tmp_path / "before", tmp_path / "after", "-o", tmp_path / "c.json").code == 0
    (row,) = json.loads((tmp_path / "c.json").read_text("utf-8"))["rows"]
    assert (row["n"], row["answers"]) == (20, 60)


def test_a_further_data_set_of_a_run_has_its_variants(finished: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    more = shutil.copytree(finished, tmp_path / "run" / "also" / "more")
    outcome = cli("compare", more / "base", more / "letters")
    assert (outcome.code, "letters against base" in outcome.out) == (0, True), outcome.err


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("base/scores.jsonl", lambda text: "".join(text.splitlines(True)[:-1]), "were scored (baseline_results.json)"),
        ("base/scores.jsonl", lambda text: text + text.splitlines(True)[-1], "is there more than once"),
        ("baseline_results.json", lambda text: "null", "it has no metrics; score again"),
        ("baseline_results.json", lambda text: text.replace('"info"', '"inf"', 1), "KeyError: 'info': score again"),
        ("run.json", lambda text: text.replace('"repeats": 1', '"repeats": "x"'), "field 'repeats'"),
        ("run.json", lambda text: text.replace('"primary": "f1"', '"primary": 3'), "field 'primary'"),
        (
            "run.json",
            lambda text: text.replace('"resamples": 1000', '"resamples": 1000000000000'),
            "`resamples` must be",
        ),
        ("run.json", lambda text: text.replace('"seed": 0', '"seed": -1'), "`seed` must be"),
    ],
)
def test_files_of_a_run_that_were_changed_are_one_line(
    finished: Path, cli: Callable[..., Any], tmp_path: Path, file: str, change: Callable[[str], str], said: str
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (run / file).write_text(change((run / file).read_text("utf-8")), "utf-8")
    outcome = cli("compare", run / "base", run / "letters")
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--metrics", ","], "`--metrics` must be a list of metric names, each once, got ','"),
        (["--metrics", ""], "`--metrics` must be a list of metric names, each once, got ''"),
        (["--metrics", "f1,f1"], "`--metrics` names 'f1' twice"),
        (["--primary", ""], "`--primary` must be the name of a metric, got ''"),
        (["--primary", "f1", "--primary", "em"], "`--primary` may be given once, got 'f1' and 'em'"),
        (["--margin", "f1="], "`--margin` must be METRIC=X with X a positive number, got ''"),
        (["--margin", "f1=1_0"], "`--margin` must be METRIC=X with X a positive number, got '1_0'"),
        (["--margin", "f1=1", "--margin", "f1=2"], "`--margin` names 'f1' twice: '1' and '2'"),
        (["--scale", "f1=0-1", "--scale", "f1=0-100"], "`--scale` names 'f1' twice: (0.0, 1.0) and (0.0, 100.0)"),
        (["--seed", "\u0663"], "`--seed` must be an integer from 0"),
        (["--seed", "9" * 5_000], "`--seed` must be an integer from 0"),
        (["--seed", "1", "--seed", "2"], "`--seed` may be given once, got '1' and '2'"),
        (["--higher-is-better", ""], "`--higher-is-better` must be names of metrics"),
    ],
)
def test_flags_that_say_nothing_or_two_things_are_refused(
    cli: Callable[..., Any], tmp_path: Path, flags: list[str], said: str
) -> None:
    rows = tmp_path / "s.jsonl"
    rows.write_text('{"id": 1, "f1": 0.5}\n{"id": 2, "f1": 0.5}\n', "utf-8")
    outcome = cli("compare", rows, rows, *flags)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert said in outcome.err


def test_what_a_column_does_not_say_can_be_said(cli: Callable[..., Any], tmp_path: Path) -> None:
    before = write(tmp_path / "before.jsonl", [{"id": i, "regret": 0.2 + i % 3 / 50, "f1": 0.5} for i in range(30)])
    after = write(tmp_path / "after.jsonl", [{"id": i, "regret": 50 + i % 4, "f1": 50} for i in range(30)])
    scales = ["--scale", "candidate:f1=0-100"]
    refused = cli("compare", before, after, *scales, "--primary", "regret", "--fail-on", "worse")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "say --higher-is-better regret or --lower-is-better regret" in refused.err
    told = [*scales, "--scale", "candidate:regret=0-100", "--lower-is-better", "regret", "--primary", "regret"]
    outcome = cli("compare", before, after, *told, "--fail-on", "worse")
    assert (outcome.code, "after is WORSE than before on regret: +0.29" in outcome.out) == (1, True)
    described = cli("compare", before, after, *scales)
    assert described.code == 0
    assert "Described, not judged" in described.out
    assert "not known of regret, so that is shown and not judged" in " ".join(described.out.split())


def test_the_doubts_of_every_judged_metric_are_printed_each_once(cli: Callable[..., Any], tmp_path: Path) -> None:
    rows = [{"id": i, "acc": 0.2 + i % 7 / 50, "f1": 0.5, "recall": 0.5, "regret": 0.5} for i in range(30)]
    after = [{**row, "acc": row["acc"] + 0.1 + i % 5 / 90} for i, row in enumerate(rows)]
    sides = write(tmp_path / "a.jsonl", rows), write(tmp_path / "b.jsonl", after)
    notes = [line for line in cli("compare", *sides).out.splitlines() if line.startswith("note:")]
    said = "Of 30 pairs no pair differs, so there is no spread to judge a difference by."
    assert [line for line in notes if said in line] == [f"note: b: Token F1, recall: {said}"]


def test_whose_perplexity_it_is_stands_in_its_signature(finished: Path) -> None:
    infos = [
        json.loads((finished / f"{name}_results.json").read_text("utf-8"))["metrics"]["perplexity"]["info"]
        for name in ("baseline", "letters")
    ]
    base = json.loads((finished / "run.json").read_text("utf-8"))["fingerprint"]["base"]
    assert f"model:{base},tokenizer:" in infos[0]["signature"]
    assert infos[0] == infos[1]


def test_markdown_says_what_the_terminal_says(cli: Callable[..., Any], tmp_path: Path) -> None:
    before, after = tmp_path / "before.jsonl", tmp_path / "after @octocat.jsonl"
    for path, gain, rows in ((before, 0.0, 40), (after, 0.1, 38)):
        lines = [{"id": row, "f1": row % 7 / 10 + gain * (row % 3), "steps": row} for row in range(rows)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    printed, written = cli("compare", before, after), cli("compare", before, after, "-f", "md")
    assert (printed.code, written.code) == (0, 0)
    lines = [line.strip() for line in printed.out.splitlines() if line.startswith(("note: ", "after @octocat is "))]
    assert len(lines) >= 3
    for line in lines:
        said = line.removeprefix("note: ").removeprefix("after @octocat: ")
        assert markdown.escape(said) in written.out
    assert "@octocat" not in written.out
    for title in ("after @octocat against before", "Described, not judged"):
        assert f"### {markdown.escape(title)}" in written.out
    refused = cli("compare", before, after, "-f", "html")
    assert (refused.code, refused.err) == (2, "loralift: `--format` must be table or md, got 'html'\n")
