"""What is taken from the two sides of `loralift compare`, without a model: run directories are written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift.data import load_questions
from loralift.errors import ComparisonError, RunDirectoryError, UsageError
from loralift.metrics import METRICS, MetricSettings
from loralift.records import Comparison, MetricSummary
from loralift.workflow.codec import plain
from loralift.workflow.compare_inputs import Asked, compare_read, compare_sides, read_sides
from loralift.workflow.sides.reading import read_side

INFO = METRICS["f1"].info(MetricSettings())


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(root: Path, *, rows: int = 20, gain: float = 0.0, asked: str = "how many", **config: Any) -> Path:
    """A run with the variant mine, judged by F1; its path is returned."""
    config = {"primary": "f1", "repeats": 1, "margins": {}, "seed": 0, "resamples": 500} | config
    repeats = range(config["repeats"])
    ids = [(f"{i}#{k}" if len(repeats) > 1 else str(i), i) for i in range(rows) for k in repeats]
    scores = [{"id": row, "f1": 0.3 + gain + 0.01 * (i * 7 % 5)} for row, i in ids]
    write(root / "mine" / "scores.jsonl", scores)
    write(root / "dataset.jsonl", [document(i, asked) for i in range(rows)])
    made_of = {"data": {"sha256": load_questions(str(root / "dataset.jsonl")).sha256, "rows": rows}}
    (root / "run.json").write_text(json.dumps({"fingerprint": made_of, "config": config}), encoding="utf-8")
    summary = MetricSummary("f1", rows, 0, 0.3, 0.3, 0.3, 0.1, None)
    results = {"metrics": {"f1": {**plain(summary), "info": plain(INFO)}}}
    (root / "mine_results.json").write_text(json.dumps(results), encoding="utf-8")
    return root / "mine"


def document(i: int, asked: str = "how many") -> dict[str, str]:
    return {"id": str(i), "question": f"{asked} are {i}?", "reference": f"they are {i}"}


def compared(before: Path, after: Path, margins: dict[str, float] | None = None, seed: int | None = None) -> Comparison:
    comparison, _ = compare_sides(before, after, asked=Asked(margins=margins or {}, seed=seed))
    return comparison


@pytest.mark.parametrize("repeats", [1, 3])
def test_runs_of_other_data_are_refused(tmp_path: Path, repeats: int) -> None:
    ours, same = (run(tmp_path / name, repeats=repeats) for name in ("a", "b"))
    other = run(tmp_path / "other", repeats=repeats, asked="how few")
    compared(ours, same)
    with pytest.raises(ComparisonError, match=r"the same id stands for another question or reference") as error:
        compared(ours, other)
    assert f"for {20 * repeats} of {20 * repeats} ids" in str(error.value)
    assert "were they asked the same data?" in str(error.value)
    assert "doc_hash" not in str(error.value)


def test_predictions_of_other_data_are_refused(tmp_path: Path) -> None:
    right = [{**document(i), "prediction": "x"} for i in range(20)]
    file = write(tmp_path / "right.jsonl", right)
    ours = run(tmp_path / "run")
    read_sides(ours, file, ["f1"])
    bare = [{key: row[key] for key in ("id", "prediction", "reference")} for row in right]
    read_sides(file, write(tmp_path / "bare.jsonl", bare), ["f1"])  # questions that one side lacks
    prompted = [{**row, "prompt": f"Answer briefly: how many are {row['id']}?"} for row in bare]
    read_sides(file, write(tmp_path / "prompted.jsonl", prompted), ["f1"])  # a template is no other question
    other = write(tmp_path / "other.jsonl", [{**row, "reference": "another"} for row in bare])
    for side in (ours, file):
        with pytest.raises(ComparisonError, match=r"20 of 20 ids.* were they asked the same data"):
            read_sides(side, other, ["f1"])


def test_where_one_side_knows_no_documents_nothing_is_refused(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.jsonl", [{"id": i, "f1": 0.5} for i in range(20)])
    ours = run(tmp_path / "run")
    assert compared(ours, scores).rows[0].n == 20
    (tmp_path / "run" / "dataset.jsonl").unlink()
    assert compared(ours, run(tmp_path / "other", asked="how few")).rows[0].n == 20


def test_questions_that_are_not_the_runs_are_refused(tmp_path: Path) -> None:
    ours, scores = run(tmp_path / "run"), write(tmp_path / "scores.jsonl", [{"id": i, "f1": 0.5} for i in range(20)])
    with (tmp_path / "run" / "dataset.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(document(20, "how many")) + "\n")
    said = r"dataset\.jsonl is not as the run wrote it \(21 rows, the run had 20\)"
    with pytest.raises(RunDirectoryError, match=said):
        compared(ours, scores)


def test_repeats_in_score_files_are_one_observation(tmp_path: Path) -> None:
    ids = [(f"q{i}#{k}", i) for i in range(20) for k in range(3)]
    before = write(tmp_path / "before.jsonl", [{"id": row, "f1": 0.3 + i % 3 / 20} for row, i in ids])
    after = write(tmp_path / "after.jsonl", [{"id": row, "f1": 0.4 + i % 4 / 20} for row, i in ids])
    (row,) = compared(before, after).rows
    assert (row.n, row.answers) == (20, 60)
    (row,) = compared(run(tmp_path / "a", repeats=3), run(tmp_path / "b", repeats=3)).rows
    assert (row.n, row.answers) == (20, 60)


def test_ids_of_ones_own_with_a_number_sign_are_no_repeats(tmp_path: Path) -> None:
    before = write(tmp_path / "before.jsonl", [{"id": f"thread#{i}", "f1": i % 3 / 3} for i in range(5, 25)])
    assert compared(before, before).rows[0].n == 20


def test_ids_with_a_number_sign_that_begin_at_0_are_repeats_only_of_one_document(tmp_path: Path) -> None:
    rows = [{**document(i), "id": f"thread#{i}", "prediction": f"they are {i % 3}"} for i in range(12)]
    file = write(tmp_path / "threads.jsonl", rows)
    comparison, _ = compare_sides(file, file, ["f1"])
    assert comparison.rows[0].n == 12
    alike = [{**row, "question": "how many?", "reference": "they are 1"} for row in rows]
    comparison, _ = compare_sides(*(write(tmp_path / f"{side}.jsonl", alike) for side in "ab"), ["f1"])
    assert comparison.rows[0].n == 1
    said = "Ids such as thread#0 are taken for several answers to thread, which are averaged: 12 ids are 1 questions."
    assert said in comparison.rows[0].warnings


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("x/a", "y/a"), ["a", "a (candidate)"]),
        (("x/a", "y/a", "z/a"), ["a", "a (candidate 1)", "a (candidate 2)"]),
        (("x/a", "x/a (candidate 2)", "y/a"), ["a", "a (candidate 2)", "a (candidate 3)"]),
        (("x/a", "y/a", "x/a (candidate 1)"), ["a", "a (candidate 2)", "a (candidate 1)"]),
    ],
)
def test_no_two_sides_have_one_name(tmp_path: Path, files: tuple[str, ...], names: list[str]) -> None:
    paths = [tmp_path / f"{name}.jsonl" for name in files]
    for place, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f'{{"id": {i}, "f1": {(i + place) % 7 / 7}}}\n' for i in range(20)), "utf-8")
    before, after, *further = paths
    assert [side.name for side in read_sides(before, after, None, further=further)] == names
    comparison, _ = compare_sides(before, after, None, None, *further)
    assert [comparison.baseline, *comparison.candidates] == names


def test_a_margin_of_the_whole_scale_is_refused_and_a_large_one_is_told(tmp_path: Path) -> None:
    rows = [{**document(i), "prediction": f"they are {i}"} for i in range(12)]
    right, wrong = (
        write(tmp_path / "a.jsonl", rows),
        write(tmp_path / "b.jsonl", [{**r, "prediction": "x"} for r in rows]),
    )
    with pytest.raises(UsageError, match="`margin` of f1 must be a small part of its scale of 0 to 1, got 5"):
        compare_sides(right, wrong, ["f1"], Asked(margins={"f1": 5.0}))
    comparison, _ = compare_sides(right, wrong, ["f1"], Asked(margins={"f1": 0.5}))
    assert (comparison.rows[0].verdict, comparison.rows[0].difference) == ("worse", -1.0)
    assert "The margin, 0.5, is 50% of the scale of 0 to 1." in comparison.rows[0].warnings


def test_a_score_file_has_no_signature(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.jsonl", [{"id": i, "f1": 0.5} for i in range(20)])
    assert read_side(scores, None).metrics["f1"].signature == ""
    for sides in ((run(tmp_path / "run"), scores), (scores, run(tmp_path / "run"))):
        assert not any("made it differently" in warning for warning in compared(*sides).rows[0].warnings)


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("rouge", ["rouge1", "rougeL"]),
        ("ROUGE-L", ["rougeL"]),
        ("accuracy", ["accuracy"]),
        ("em", ["em"]),
    ],
)
def test_metrics_of_a_score_file_as_users_write_them(tmp_path: Path, asked: str, taken: list[str]) -> None:
    row = {"rouge1": 0.5, "rougeL": 0.5, "accuracy": 0.5, "em": 1}
    scores = write(tmp_path / "scores.jsonl", [{"id": 1, **row}])
    assert list(read_side(scores, [asked]).metrics) == taken


def test_what_a_side_has_is_never_said_to_be_an_empty_text(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.jsonl", [{"id": 1, "f1": 0.5}])
    with pytest.raises(ComparisonError, match=r"scores.jsonl has none of the metrics asked for, but f1"):
        read_side(scores, ["bleu"])
    with pytest.raises(ComparisonError, match="mine has none of the metrics asked for, but f1"):
        read_side(run(tmp_path / "run"), ["bleu"])
    with pytest.raises(ComparisonError, match="scores has f1; bare has no metric"):
        compared(scores, write(tmp_path / "bare.jsonl", [{"id": 1}]))


def test_the_runs_settings_hold_unless_others_are_given(tmp_path: Path) -> None:
    before = run(tmp_path / "a", margins={"f1": 0.07, "bleu": 1.0}, seed=7, resamples=300)
    after = run(tmp_path / "b", margins={"f1": 0.2}, seed=8, resamples=400, gain=0.01)
    scores = write(tmp_path / "scores.jsonl", [{"id": i, "f1": 0.5} for i in range(20)])
    for one, other, expected in (
        (before, after, (0.07, 7, 300)),
        (after, before, (0.2, 8, 400)),
        (scores, after, (0.2, 8, 400)),
        (scores, scores, (None, 0, 10_000)),
    ):
        found = compared(one, other)
        assert (found.rows[0].margin, found.seed, found.resamples) == expected
    given = compared(before, after, {"f1": 0.5}, 3)
    assert (given.rows[0].margin, given.seed, given.resamples) == (0.5, 3, 300)


def test_sides_of_which_only_documents_of_other_kinds_are_known_are_compared(tmp_path: Path) -> None:
    log = [
        {
            "doc_id": i,
            "doc": {},
            "target": f"they are {i}",
            "filtered_resps": ["a"],
            "doc_hash": f"h{i}",
            "metrics": ["f1"],
            "f1": 1,
        }
        for i in range(20)
    ]
    sides = read_sides(write(tmp_path / "m" / "log.jsonl", log), run(tmp_path / "run"), None)
    assert compare_read(sides)[0].rows[0].n == 20


def rows_of(metric: str, low: float, step: float = 0.01, n: int = 24) -> list[dict[str, Any]]:
    return [{"id": str(i), metric: low + step * (i * 7 % 5)} for i in range(n)]


def files(tmp_path: Path, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> tuple[Path, Path]:
    return write(tmp_path / "before.jsonl", before), write(tmp_path / "after.jsonl", after)


@pytest.mark.parametrize(
    ("metric", "gain", "verdict"),
    [("val_loss", 0.5, "worse"), ("time_per_token", -0.1, "better"), ("pass@1", 0.2, "better"), ("wer", 0.1, "worse")],
)
def test_a_name_of_known_words_has_its_direction(tmp_path: Path, metric: str, gain: float, verdict: str) -> None:
    sides = files(
        tmp_path,
        rows_of(metric, 0.3),
        [{**row, metric: row[metric] + gain + 1e-3 * i} for i, row in enumerate(rows_of(metric, 0.3))],
    )
    assert compared(*sides).verdicts == {"after": verdict}


def test_a_name_that_says_nothing_decides_nothing_without_a_word(tmp_path: Path) -> None:
    sides = files(tmp_path, rows_of("quality", 0.3), rows_of("quality", 0.5, 0.011))
    for primary in (None, "quality"):
        with pytest.raises(UsageError, match="--higher-is-better quality or --lower-is-better quality"):
            compare_sides(*sides, asked=Asked(primary=primary))
    for asked, verdict in (
        (Asked(higher_is_better=["quality"]), "better"),
        (Asked(lower_is_better=["quality"]), "worse"),
    ):
        assert compare_sides(*sides, asked=asked)[0].verdicts == {"after": verdict}


def test_of_several_metrics_one_without_a_direction_is_described_and_said_to_be(tmp_path: Path) -> None:
    sides = files(
        tmp_path, *([{**row, "regret": i} for i, row in enumerate(rows_of("acc", low))] for low in (0.3, 0.4))
    )
    found = compared(*sides)
    verdicts = {row.metric: row.verdict for row in found.rows}
    assert verdicts == {"acc": "better", "regret": None}
    (acc, _) = found.rows
    assert any("not known of regret, so that is shown and not judged" in warning for warning in acc.warnings)
    with pytest.raises(UsageError, match="`--margin` must be of a metric that is judged \\(acc\\), got 'regret'"):
        compared(*sides, {"regret": 1.0})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(higher_is_better=["acc"], lower_is_better=["acc"]), "exclude each other"),
        (Asked(higher_is_better=["nothing"]), r"`--higher-is-better` must be a metric that both sides have \(acc\)"),
        (Asked(primary="nothing"), "`--primary` must be one of acc, got 'nothing'"),
        (Asked(margins={"nothing": 1.0}), r"`--margin` must be of a metric that is judged \(acc\), got 'nothing'"),
    ],
)
def test_what_is_said_of_a_metric_that_is_not_there_is_refused(tmp_path: Path, asked: Asked, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compare_sides(*files(tmp_path, rows_of("acc", 0.3), rows_of("acc", 0.3)), asked=asked)


def test_the_direction_of_our_own_metric_cannot_be_turned(tmp_path: Path) -> None:
    ours = run(tmp_path / "a"), run(tmp_path / "b")
    with pytest.raises(UsageError, match="LoraLift made f1 and knows its direction"):
        compare_sides(*ours, asked=Asked(lower_is_better=["f1"]))
    assert compare_sides(*ours, asked=Asked(higher_is_better=["f1"]))[0].primary == "f1"


def test_our_margin_holds_for_what_we_scored_and_for_no_other_tools_scores(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.jsonl", [{"id": i, "f1": 0.31 + 0.01 * (i * 7 % 5)} for i in range(20)])
    ours, same = run(tmp_path / "a"), run(tmp_path / "b")
    predictions = [{"id": i, "prediction": f"it is {i}", "reference": f"it is {i}"} for i in range(20)]
    text = write(tmp_path / "text.jsonl", predictions)
    assert compared(ours, same).rows[0].margin == INFO.margin
    assert compare_sides(text, text, ["f1"])[0].rows[0].margin == INFO.margin
    for sides in ((scores, scores), (ours, scores), (scores, ours)):
        (row,) = compared(*sides).rows
        assert (row.margin, row.p_equivalence) == (None, None)
        assert row.verdict != "equivalent"
    assert compared(scores, scores, {"f1": 0.02}).verdicts == {"scores (candidate)": "equivalent"}


def test_a_metric_of_one_side_alone_is_named(tmp_path: Path) -> None:
    both = rows_of("acc", 0.3)
    (row,) = compared(*files(tmp_path, [{**line, "f1": 0.5} for line in both], both)).rows
    assert "Only before has f1, so that is not compared." in row.warnings


def test_scores_of_other_questions_under_the_same_ids_are_refused(tmp_path: Path) -> None:
    sides = []
    for name, step in (("before", 1), ("after", -1)):
        path = tmp_path / f"{name}.jsonl"
        rows = [{"id": n, "question": f"Question {n}?", "f1": 0.1 * (n % 7)} for n in range(20)]
        rows = [{**row, "id": n} for n, row in enumerate(rows[::step])]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        sides.append(path)
    with pytest.raises(ComparisonError, match="20 ids, the same id stands for another question or reference"):
        read_sides(*sides, None)
