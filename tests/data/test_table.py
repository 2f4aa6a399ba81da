"""From a source's columns to questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loralift.data import LoadedData, load_questions
from loralift.errors import DataError, UsageError


def load(folder: Path, *rows: object, columns: dict[str, str] | None = None) -> LoadedData:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_questions(str(path), columns=columns)


@pytest.mark.parametrize("question", ["question", "query", "instruction", "prompt", "input"])
@pytest.mark.parametrize("reference", ["reference", "ground_truths", "answers", "output", "response"])
def test_usual_names_are_found(tmp_path: Path, question: str, reference: str) -> None:
    data = load(tmp_path, {question: "q", reference: "r", "qid": 7})
    assert (data.questions[0].id, data.questions[0].question, data.questions[0].reference) == ("7", "q", "r")
    assert data.columns == {"id": "qid", "question": question, "reference": reference}


def test_named_columns_win_and_the_others_become_fields(tmp_path: Path) -> None:
    row = {"q": "Why?", "question": "other", "a": "Because.", "key": 3, "n": 1, "x": 0.5, "ok": True, "none": None}
    data = load(tmp_path, row, columns={"id": "key", "question": "q", "reference": "a"})
    (question,) = data.questions
    assert (question.id, question.question, question.reference) == ("3", "Why?", "Because.")
    assert question.fields == {"question": "other", "n": 1, "x": 0.5, "ok": True, "none": None}


def test_nested_values_are_left_out_and_nan_is_none(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "a", "contexts": ["c"], "meta": {"k": 1}, "score": float("nan")}
    assert load(tmp_path, row).questions[0].fields == {"score": None}


def test_a_list_valued_reference_means_its_first_whole_and_unstripped(tmp_path: Path) -> None:
    long = " word\n" * 5000
    assert load(tmp_path, {"question": "q", "ground_truths": [long, "second"]}).questions[0].reference == long


def test_without_an_id_column_the_row_index_is_the_id(tmp_path: Path) -> None:
    data = load(tmp_path, {"question": "q", "answer": "a"}, {"question": "q", "answer": "a"})
    assert [q.id for q in data.questions] == ["0", "1"]
    assert "id" not in data.columns


def test_several_possible_columns_are_not_guessed_between(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "of a model", "ground_truths": ["true"]}
    with pytest.raises(DataError, match="several columns could be the reference: ground_truths, answer; name"):
        load(tmp_path, row)
    assert load(tmp_path, row, columns={"reference": "ground_truths"}).questions[0].reference == "true"
    assert load(tmp_path, row | {"reference": "r"}).questions[0].reference == "r"


def test_missing_columns_are_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column for the reference: looked for reference, .*; its columns are q"):
        load(tmp_path, {"question": "q", "text": "a"})
    with pytest.raises(DataError, match=r"no column 'quest' for the question; its columns are question, answer$"):
        load(tmp_path, {"question": "q", "answer": "a"}, columns={"question": "quest"})
    with pytest.raises(UsageError, match=r"`columns` must be a mapping of id, question, reference, got 'answer'"):
        load(tmp_path, {"question": "q", "answer": "a"}, columns={"answer": "a"})


GOOD = {"question": "q", "answer": "a"}


@pytest.mark.parametrize("empty", ["", " \n\t", None, []])
def test_empty_references_are_counted_and_placed(tmp_path: Path, empty: object) -> None:
    bad = {"question": "q", "answer": empty}
    with pytest.raises(DataError, match=r"the reference \(column 'answer'\) is empty in 2 rows: line 2, line 4$"):
        load(tmp_path, GOOD, bad, GOOD, bad)


def test_a_row_without_the_column_counts_as_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the question \(column 'question'\) is empty in 1 rows: line 2$"):
        load(tmp_path, GOOD, {"answer": "a"})


@pytest.mark.parametrize("value", [3, {"text": ["a"]}, [["a"]], True])
def test_a_reference_that_is_not_text_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(DataError, match=r"line 2: the reference \(column 'answer'\) must be text, got"):
        load(tmp_path, GOOD, {"question": "q", "answer": value})


def test_a_list_of_questions_is_not_a_question(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: the question \(column 'question'\) must be text, got \['q'\]"):
        load(tmp_path, {"question": ["q"], "answer": "a"})


def test_duplicate_ids_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 ids are there more than once: 1, x"):
        load(tmp_path, *({"id": key} | GOOD for key in (1, "x", "1", "x", "y")))


@pytest.mark.parametrize("value", [None, "", 1.5, True, ["a"]])
def test_an_id_is_text_or_an_integer(tmp_path: Path, value: object) -> None:
    with pytest.raises(DataError, match=r"line 2: the id \(column 'id'\) must be text or an integer"):
        load(tmp_path, {"id": "a"} | GOOD, {"id": value} | GOOD)
