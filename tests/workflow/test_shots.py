"""Worked examples: by the seed alone, and never a row that is evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift.config import parse
from loralift.errors import DataError, UsageError
from loralift.records import Question
from loralift.workflow.asking import Examples, protocols_of
from loralift.workflow.shots import load_shots

THINGS = ("bonds", "gold", "loans", "taxes", "funds", "rent", "salt", "wool", "coal", "tin")
THINGS += ("ships", "cocoa", "maize", "rice", "hops", "flax", "jute", "zinc", "oil", "tea")
ROWS = [
    {"id": f"t{n}", "question": f"Why do {thing} cost {n} at {thing} fairs?", "reference": f"For {thing} {thing} {n}."}
    for n, thing in enumerate(THINGS)
]


def shots(path: Path, evaluated: list[Question], **config: Any) -> Examples:
    config = {"shots": str(path), "protocols": ["few-shot"], **config}
    told = parse(config)
    return load_shots(told, protocols_of(told), evaluated)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_they_are_chosen_by_the_seed(file: Path) -> None:
    chosen = shots(file, [])
    assert len(chosen.questions) == 4
    assert chosen == shots(file, [])
    assert chosen.questions != shots(file, [], seed=1).questions
    assert f"rows {', '.join(row.id for row in chosen.questions)} of {file}" in chosen.source


def test_rows_that_are_evaluated_are_passed_over(file: Path) -> None:
    evaluated = [Question(f"e{n}", ROWS[n]["question"].upper(), "Another.") for n in range(10)]
    evaluated += [Question("e10", "Something else?", ROWS[10]["reference"])]
    evaluated += [Question("e11", f"Tell me: {ROWS[11]['question']}", "The same question in a longer one.")]
    chosen = shots(file, evaluated, num_shots=8)
    assert {row.id for row in chosen.questions} == {f"t{n}" for n in range(12, 20)}
    assert "12 that are evaluated were passed over" in chosen.source


def test_an_example_that_holds_an_evaluated_row_among_other_words_is_passed_over(tmp_path: Path) -> None:
    asked = "Which of the two funds would pay more to somebody who retires at sixty?"
    said = "The second one pays more since its fees are a third of the fees of the first one."
    around = " ".join(f"{thing} were told of in {n} other words" for n, thing in enumerate(THINGS))
    rows = [
        {"id": "q", "question": f"{around}. {asked}", "reference": "Nothing alike."},
        {"id": "q2", "question": f"{asked} {around}", "reference": "Nothing alike either."},
        {"id": "r", "question": "And then?", "reference": f"{around}. {said} {around}."},
        *ROWS,
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    chosen = shots(path, [Question("e", asked, said)], num_shots=20)
    assert {row.id for row in chosen.questions} == {row["id"] for row in ROWS}


def test_a_row_that_is_there_twice_is_one_example(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = [{**row, "id": f"{row['id']}-{n}"} for row in ROWS[:4] for n in range(5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert len({row.question for row in shots(path, []).questions}) == 4
    with pytest.raises(UsageError, match="must have 5 rows that are not evaluated, got 4"):
        shots(path, [], num_shots=5)


@pytest.mark.parametrize("columns", [{"reference": "gold"}, {"reference": "not there"}])
def test_the_columns_of_the_data_are_those_of_the_examples(tmp_path: Path, columns: dict[str, str]) -> None:
    path = tmp_path / "train.jsonl"
    rows = [{"question": row["question"], "answer": "A model's output.", "gold": row["reference"]} for row in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    chosen = shots(path, [], columns=columns)
    there = columns["reference"] in rows[0]
    assert all(row.reference.startswith("For " if there else "A model's") for row in chosen.questions)
    assert f"of {path} (columns 'question' and '{'gold' if there else 'answer'}'), chosen by" in chosen.source


def test_too_few_are_refused(file: Path) -> None:
    evaluated = [Question(row["id"], row["question"], row["reference"]) for row in ROWS[3:]]
    with pytest.raises(UsageError, match=r"must have 4 rows that are not evaluated, got 3 .*17 are among"):
        shots(file, evaluated)


def test_short_questions_are_known_too(tmp_path: Path) -> None:
    path = tmp_path / "short.jsonl"
    path.write_text('{"question": "APR?", "reference": "A rate."}\n{"question": "ETF?", "reference": "A fund."}\n')
    chosen = shots(path, [Question("1", "apr?", "Something long and different.")], num_shots=1)
    assert [row.question for row in chosen.questions] == ["ETF?"]


def test_training_data_serves_where_no_file_is_named(file: Path) -> None:
    assert len(shots(file, [], shots=None, train_data=str(file)).questions) == 4


@pytest.mark.parametrize(
    ("name", "text"), [("train.txt", "Question: a\nAnswer: b"), ("train.jsonl", '{"text": "a b"}\n')]
)
def test_texts_without_questions_are_refused_with_the_remedy(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises((UsageError, DataError), match=r"`--train-data`.*worked examples"):
        shots(tmp_path / name, [], shots=None, train_data=str(tmp_path / name))


def test_no_file_is_read_where_no_protocol_has_examples() -> None:
    told = parse({"train_data": "missing.jsonl"})
    assert load_shots(told, protocols_of(told), []) == Examples()
