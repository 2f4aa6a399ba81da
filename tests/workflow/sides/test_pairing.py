"""Rows of logs whose ids fail are paired by what they were asked, and that is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import ComparisonError
from loralift.workflow.compare_inputs import compare_sides, read_sides

SAID = "The ids of the two sides are not of the same rows, so 12 rows are paired by equal input."
LOGS = Path(__file__).parent / "logs"
QUESTIONS = [f"What is {n} plus {n}?" for n in range(12)]


def log(path: Path, order: list[int], right: set[int], **changes: Any) -> Path:
    """A sample log of lm-evaluation-harness, whose doc_id is the position, as rows were shuffled."""
    rows = [
        {"doc_id": at, "doc": {"question": QUESTIONS[n], "n": n}, "target": str(2 * n), "resps": [[str(2 * n)]],
         "filtered_resps": [str(2 * n) if n in right else "no"], "filter": "none", "metrics": ["exact_match"],
         "exact_match": float(n in right)} | changes
        for at, n in enumerate(order)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_shuffled_rows_are_paired_by_their_input(tmp_path: Path) -> None:
    base = log(tmp_path / "base.jsonl", list(range(12)), {1, 2})
    mine = log(tmp_path / "mine.jsonl", list(range(12))[::-1], {1, 2, 3, 4, 5, 6, 7, 8})
    _, after = read_sides(base, mine, None)
    assert after.notes[0] == SAID
    assert {score.id: score.values for score in after.scores}["3"] == {"exact_match": 1.0}
    assert (after.documents["3"]["question"], after.lines["3"]["n"]) == (QUESTIONS[3], 3)
    assert after.examples is not None
    assert {example.answer.id: example.question.question for example in after.examples()}["3"] == QUESTIONS[3]
    comparison, _ = compare_sides(base, mine)
    (row,) = comparison.rows
    assert (row.n, row.wins, row.losses) == (12, 6, 0)
    assert SAID in row.warnings


def test_a_shorter_side_is_paired_with_the_rows_that_it_has(tmp_path: Path) -> None:
    base = log(tmp_path / "base.jsonl", list(range(12)), {1, 2})
    mine = log(tmp_path / "mine.jsonl", [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], set(range(12)))
    _, after = read_sides(base, mine, None)
    assert {score.id for score in after.scores} == {str(n) for n in range(10)}


def test_logs_of_two_tools_are_paired_by_input() -> None:
    """promptfoo's rows have ids of their own, and lighteval's the positions."""
    before, after = read_sides(LOGS / "promptfoo" / "base.json", LOGS / "lighteval" / "mine.parquet", ["exact_match"])
    assert after.notes[0] == SAID
    assert {score.id for score in before.scores} == {score.id for score in after.scores}
    right = {score.id for score in after.scores if score.values["exact_match"]}
    assert right == {f"q{n:02}" for n in range(1, 12)}


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ([*range(1, 12), 11], "the same id stands for another question"),  # the same question twice
        ([*range(3, 12)], "the same id stands for another question"),  # below, with a question that no other side has
    ],
)
def test_inputs_that_are_not_unique_or_not_there_pair_nothing(tmp_path: Path, order: list[int], said: str) -> None:
    base = log(tmp_path / "base.jsonl", [0, 1, 2, 3, 4, 5, 6, 7, 8], {1, 2})
    with pytest.raises(ComparisonError, match=said):
        read_sides(base, log(tmp_path / "mine.jsonl", order, {1}), None)


def test_ids_that_a_file_gives_are_its_writers_own(tmp_path: Path) -> None:
    for name, order in (("a", QUESTIONS), ("b", QUESTIONS[::-1])):
        rows = [{"id": n, "question": asked, "f1": 0.5} for n, asked in enumerate(order)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(ComparisonError, match="the same id stands for another question"):
        read_sides(tmp_path / "a.jsonl", tmp_path / "b.jsonl", None)


def test_turns_are_of_one_conversation_wherever_their_rows_lie(tmp_path: Path) -> None:
    paths = tmp_path / "base.jsonl", tmp_path / "mine.jsonl"
    for path, more in zip(paths, (0.0, 0.1), strict=True):
        rows = [{"id": f"c{n}#turn{turn}", "f1": n / 20 + turn * more} for n in range(6) for turn in (1, 2, 3)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (row,) = compare_sides(*paths)[0].rows
    assert (row.n, row.answers) == (6, 18)
    assert (
        "Ids such as c0#turn1 are taken for turns of the conversation c0, which are no independent rows: 18 ids are 6 "
        "conversations."
    ) in row.warnings
