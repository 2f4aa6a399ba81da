"""What is taken from the two sides of `loralift compare`, without a model: run directories are written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import ComparisonError
from loralift.metrics import METRICS, MetricSettings
from loralift.records import Comparison, MetricSummary
from loralift.workflow.codec import plain
from loralift.workflow.compare_inputs import compare_read, compare_sides, read_side, read_sides

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
    (root / "run.json").write_text(json.dumps({"fingerprint": {}, "config": config}), encoding="utf-8")
    summary = MetricSummary("f1", rows, 0, 0.3, 0.3, 0.3, 0.1, None)
    results = {"metrics": {"f1": {**plain(summary), "info": plain(INFO)}}}
    (root / "mine_results.json").write_text(json.dumps(results), encoding="utf-8")
    return root / "mine"


def document(i: int, asked: str = "how many") -> dict[str, str]:
    return {"id": str(i), "question": f"{asked} are {i}?", "reference": f"they are {i}"}


def compared(before: Path, after: Path, margins: dict[str, float] | None = None, seed: int | None = None) -> Comparison:
    comparison, _ = compare_sides(before, after, metrics=None, primary=None, margins=margins or {}, seed=seed)
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
        (scores, scores, (INFO.margin, 0, 10_000)),
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
            "target": "a",
            "filtered_resps": ["a"],
            "doc_hash": f"h{i}",
            "metrics": ["f1"],
            "f1": 1,
        }
        for i in range(20)
    ]
    sides = read_sides(write(tmp_path / "m" / "log.jsonl", log), run(tmp_path / "run"), None)
    assert compare_read(*sides, primary=None, margins={}, seed=None)[0].rows[0].n == 20


@pytest.mark.parametrize(
    ("metric", "assumed"),
    [("quality", True), ("acc", False), ("f1", False), ("wer", False), ("word_perplexity", False)],
)
def test_a_direction_that_nobody_told_is_said_to_be_assumed(tmp_path: Path, metric: str, assumed: bool) -> None:
    before, after = (
        write(tmp_path / f"{name}.jsonl", [{"id": str(i), metric: 0.1 * (i % 4) + gain} for i in range(12)])
        for name, gain in (("a", 0.0), ("b", 0.1))
    )
    (row,) = (row for row in compared(before, after).rows if row.metric == metric)
    assert any("is assumed: more of it counts as better" in warning for warning in row.warnings) == assumed
