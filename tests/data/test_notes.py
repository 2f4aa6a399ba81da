"""What the data hold and the evaluation does not use is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from loralift.data import dump_questions, load_questions

Row = dict[str, object]
ROWS = 8


def notes(folder: Path, row: Callable[[int], Row], suffix: str = "jsonl", **columns: str) -> tuple[str, ...]:
    """The notes on some rows."""
    rows = [row(number) for number in range(ROWS)]
    path = folder / f"rows.{suffix}"
    match suffix:
        case "csv":
            pd.DataFrame(rows).to_csv(path, index=False)
        case "parquet":
            pd.DataFrame(rows).to_parquet(path)
        case _:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_questions(str(path), columns=columns).notes


def qa(number: int) -> Row:
    return {"question": f"What is number {number}?", "answer": f"It is {number}."}


ASKED: Mapping[str, object] = {
    "context": "tax",
    "Context": "tax",
    "input": "a",
    "system": "Be brief.",
    "A": "x",
    "material": "A passage that comes again and again, and is too long to be a topic.",
    "stoff": "第一段说明这个数值是多少并且解释了原因以及背景情况。" * 3,
    "contexts": ["a passage"],
    "meta": {"passage": "one"},
    "turns": [{"role": "user", "content": "Hello."}],
}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("column", ASKED)
def test_a_column_that_may_be_asked_is_named(tmp_path: Path, column: str, suffix: str) -> None:
    (note,) = notes(tmp_path, lambda n: qa(n) | {column: ASKED[column]}, suffix)
    assert note == (
        f"column {column!r} is not part of the prompt, which is made of 'question' alone: write what belongs to the "
        "question into 'question', leave the rest out of the data"
    )


OTHERS: Mapping[str, Callable[[int], object]] = {
    "topic": lambda n: ["stocks and shares accounts", "tax", "how to pay a mortgage"][n % 3],
    "url": lambda n: f"https://money.example/questions/{n}/what-is-the-number-that-is-asked-for",
    "hash": lambda n: f"{n:064x}",
    "level": lambda n: n,
    "ok": lambda n: n % 2 == 0,
    "gap": lambda n: None,
    "context": lambda n: "" if n % 2 else None,
    "contexts": lambda n: [],
    "asked": lambda n: f"number {n}",
}


@pytest.mark.parametrize("column", OTHERS)
def test_what_parts_the_rows_or_stands_in_the_question_is_not_named(tmp_path: Path, column: str) -> None:
    assert notes(tmp_path, lambda n: qa(n) | {column: OTHERS[column](n)}) == ()


def test_an_optional_part_is_named(tmp_path: Path) -> None:
    def row(number: int) -> Row:
        return qa(number) | {"note": "The number that is meant here is even." if number == 3 else ""}

    assert notes(tmp_path, row)[0].startswith("column 'note' is not part of the prompt")


def test_several_columns_are_one_sentence(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, lambda n: qa(n) | {"context": "c", "history": ["h"], "topic": "t"})
    assert note.startswith("columns 'context', 'history' are not part of the prompt, which is made of 'question' alone")


def test_equal_questions_with_different_references_are_counted_with_two_ids_and_the_column(tmp_path: Path) -> None:
    def row(number: int) -> Row:
        passage = {"q": f"What is it{' ' * (number % 2)}?", "passage": f"Passage {number} says {number}.", "kind": "x"}
        return {"id": f"k{number}", **passage, "a": str(number // 2)}

    expected = (
        "8 rows share 2 questions but have different references (such as k0 and k2): what tells them apart is not "
    )
    assert notes(tmp_path, row, question="q", reference="a")[1] == expected + "part of the prompt: 'passage'"


def test_numbers_may_tell_questions_apart_or_nothing(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, lambda n: {"question": "Add.", "x": n, "y": 1, "answer": str(n + 1)})
    assert note.endswith("(such as 0 and 1): what tells them apart is not part of the prompt: 'x'")
    (note,) = notes(tmp_path, lambda n: {"question": "Add.", "answer": str(n % 2)})
    assert note == "8 rows share 1 question but have different references (such as 0 and 1): no column tells them apart"


def test_equal_questions_with_equal_references_are_fine(tmp_path: Path) -> None:
    assert notes(tmp_path, lambda n: {"question": "Why?", "answer": "So."}) == ()


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("answers", [["a", "b"], [1, 2], [0.5, 1.5]])
def test_several_references_are_counted(tmp_path: Path, suffix: str, answers: list[object]) -> None:
    (note,) = notes(tmp_path, lambda n: qa(n) | {"answer": answers if n < 5 else answers[:1]}, suffix)
    assert note.startswith("5 rows have several references (column 'answer'); an answer may be like any of them")


@pytest.mark.parametrize("answers", [["a"], ["a", "a"], ["a", None, " "]])
def test_the_same_reference_again_is_not_several(tmp_path: Path, answers: list[object]) -> None:
    assert notes(tmp_path, lambda n: qa(n) | {"answer": answers}) == ()


def test_a_second_column_of_references_is_named_unless_the_user_chose(tmp_path: Path) -> None:
    def row(number: int) -> Row:
        return qa(number) | {"reference": "r"}

    assert notes(tmp_path, row) == ("the reference is column 'reference'; 'answer' could be it too, and is not used",)
    assert notes(tmp_path, row, reference="answer") == ()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_integers_that_a_gap_made_floats_are_told(tmp_path: Path, suffix: str) -> None:
    (note,) = notes(tmp_path, lambda n: qa(n) | {"answer": None if n == 3 else n}, suffix)
    assert "with a decimal point in 7 rows" in note
    assert note.endswith("it is read as '0.0', not '0'")
    assert notes(tmp_path, lambda n: qa(n) | {"answer": n + 0.5}, suffix) == ()


@pytest.mark.parametrize("answer", [["a", "b"], [1, 2], [["a"]], {"text": ["a"]}, []])
def test_a_list_that_became_text_is_told(tmp_path: Path, answer: object) -> None:
    assert notes(tmp_path, lambda n: qa(n) | {"answer": answer}, "csv") == (
        "the reference (column 'answer') looks like a list or an object in 8 rows, and is taken as text, as it stands",
    )


def test_the_word_for_null_is_told(tmp_path: Path) -> None:
    assert notes(tmp_path, lambda n: qa(n) | {"answer": "nan" if n == 2 else "a"}) == (
        "the reference (column 'answer') is the word 'nan' in 1 row, and is taken as text, as it stands",
    )


def test_only_what_is_evaluated_is_looked_at(tmp_path: Path) -> None:
    notes(tmp_path, lambda n: qa(n) | ({"context": "c"} if n == 7 else {}))
    assert load_questions(str(tmp_path / "rows.jsonl"), limit=7).notes == ()


def test_what_was_saved_is_looked_at_as_it_was(tmp_path: Path) -> None:
    before = notes(tmp_path, lambda n: qa(n) | {"context": "c", "answer": str(n), "question": "Why?"})
    saved = tmp_path / "dataset.jsonl"
    saved.write_text("".join(dump_questions(load_questions(str(tmp_path / "rows.jsonl")).questions)), encoding="utf-8")
    assert len(before) == 2
    assert load_questions(str(saved)).notes == before


def test_fiqa_and_the_demo_need_no_note(fiqa_dir: Path) -> None:
    from loralift import demo

    for path in (fiqa_dir / "test.jsonl", demo.QUESTIONS):
        assert load_questions(str(path)).notes == ()
