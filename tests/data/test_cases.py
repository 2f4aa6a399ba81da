"""The inputs that went wrong once, as they lie beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralift.data import Dropped, LoadedData, load_questions
from loralift.errors import DataError


def load(folder: Path, name: str, **columns: str) -> LoadedData:
    return load_questions(str(folder / "data" / f"{name}.jsonl"), columns=columns)


def test_null_is_left_out_counted_and_named(cases_dir: Path) -> None:
    data = load(cases_dir, "null")
    assert [q.id for q in data.questions] == ["0", "1", "3", "4", "5"]
    assert data.dropped == (Dropped("2", "its reference (column 'answer') is null"),)
    with pytest.raises(DataError, match="1 of 6 questions cannot be evaluated"):
        load_questions(str(cases_dir / "data" / "null.jsonl"), strict=True)


def test_int_answer_is_read(cases_dir: Path) -> None:
    data = load(cases_dir, "int_answer")
    assert [q.reference for q in data.questions] == ["1", "2", "3", "4", "5", "6"]
    assert data.notes == ()


@pytest.mark.parametrize(("name", "columns"), [("squad_flat", {}), ("alpaca", {"question": "instruction"})])
def test_the_column_that_is_dropped_is_named(cases_dir: Path, name: str, columns: dict[str, str]) -> None:
    column = "context" if name == "squad_flat" else "input"
    unused, alike = load(cases_dir, name, **columns).notes
    assert unused.startswith(f"column {column!r} is not part of the prompt")
    assert alike == (
        "6 rows share 1 question but have different references (such as 0 and 1): what tells them apart is not part of "
        f"the prompt: {column!r}"
    )


def test_answers_list_is_read_whole(cases_dir: Path) -> None:
    data = load(cases_dir, "answers_list")
    assert data.questions[0].reference == "city of light"
    assert all(question.others for question in data.questions)
    assert data.notes[0].startswith("6 rows have several references (column 'answers'); an answer may be like any of")


def test_the_answers_of_squad_are_read(cases_dir: Path) -> None:
    data = load(cases_dir, "squad")
    assert data.columns["reference"] == "answers"
    assert all(isinstance(text, str) for question in data.questions for text in question.references)


@pytest.mark.parametrize(
    ("name", "style", "first"),
    [
        ("messages", "chat", "What is 0?"),
        ("sharegpt", "chat", "What is 0?"),
        ("alpaca", "alpaca", "Summarise the text.\nText number 0: bonds pay interest."),
        ("prompt_completion", "verbatim", "What is 0?"),
    ],
)
def test_what_people_train_on_is_read(cases_dir: Path, name: str, style: str, first: str) -> None:
    data = load(cases_dir, name)
    assert (len(data.questions), data.dropped, len(data.notes)) == (6, (), 1)
    assert {question.style for question in data.questions} == {style}
    assert data.questions[0].question == first
