"""From a source's columns to questions."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from loralift.data import Dropped, LoadedData, load_questions
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


@pytest.mark.parametrize(
    ("empty", "why"),
    [("", "empty"), (" \n\t", "empty"), (None, "null"), (float("nan"), "null"), ([], "empty"), ([None, " "], "empty")],
)
def test_a_row_without_a_reference_is_left_out_and_named(tmp_path: Path, empty: object, why: str) -> None:
    bad = {"question": "q", "answer": empty}
    data = load(tmp_path, GOOD, bad, GOOD, bad)
    assert [question.id for question in data.questions] == ["0", "2"]
    assert data.dropped == tuple(Dropped(row, f"its reference (column 'answer') is {why}") for row in ("1", "3"))


@pytest.mark.parametrize("empty", ["", " ", None, float("nan")])
def test_a_row_without_a_question_is_left_out_and_named_by_its_id(tmp_path: Path, empty: object) -> None:
    data = load(tmp_path, {"id": "x"} | GOOD, {"id": "y", "question": empty, "answer": "a"})
    assert [(row.id, row.reason[:35]) for row in data.dropped] == [("y", "its question (column 'question') is")]


def test_a_row_without_the_column_is_left_out(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD, {"answer": "a"}).dropped == (Dropped("1", "it has no question (column 'question')"),)


def test_a_row_without_anything_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,question,answer\na,q,r\n,,\n", encoding="utf-8")
    assert [row.id for row in load_questions(str(path)).dropped] == ["line 3"]


def test_strict_and_nothing_left_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    load(tmp_path, GOOD, GOOD | {"answer": None})
    with pytest.raises(DataError, match=r"1 of 2 questions cannot be evaluated \(1: .*\); without --strict they are"):
        load_questions(str(path), strict=True)
    with pytest.raises(
        DataError, match=r"2 of 2 questions cannot be evaluated \(0: its reference .* is null, 1: .*\)$"
    ):
        load(tmp_path, GOOD | {"answer": None}, GOOD | {"answer": ""})
    with pytest.raises(DataError, match="no column for the question"):
        load(tmp_path, {}, {})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"), (-7, "-7"), (2.0, "2.0"), (0.1, "0.1"), (True, "true"), (False, "false"), ([3, 4], "3"),
        ([None, " ", 5], "5"), (["", "a "], "a "),
    ],
)  # fmt: skip
def test_numbers_and_truth_values_are_read_as_they_are_written(tmp_path: Path, value: object, text: str) -> None:
    assert load(tmp_path, {"question": "q", "answer": value}).questions[0].reference == text
    if not isinstance(value, list):
        assert load(tmp_path, {"question": value, "answer": "a"}).questions[0].question == text


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("nulls", [(), (0,), (2, 5), (0, 1, 2, 3, 4, 5, 6)])
def test_no_row_vanishes_without_being_counted(tmp_path: Path, suffix: str, nulls: tuple[int, ...]) -> None:
    frame = pd.DataFrame({"question": [f"q{n}" for n in range(8)], "answer": [f"a{n}" for n in range(8)]})
    frame.loc[list(nulls), "answer"] = None
    path = tmp_path / f"rows.{suffix}"
    match suffix:
        case "parquet":
            frame.to_parquet(path)
        case "csv" | "tsv":
            frame.to_csv(path, sep="," if suffix == "csv" else "\t", index=False)
        case _:
            frame.to_json(path, orient="records", lines=suffix == "jsonl")
    data = load_questions(str(path))
    kept = [number for number in range(8) if number not in nulls]
    assert [(q.id, q.reference) for q in data.questions] == [(str(n), f"a{n}") for n in kept]
    assert [row.id for row in data.dropped] == list(map(str, nulls))


CHAT = [{"role": "user", "content": "q"}]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"value": "a", "aliases": []}, r"an object \(value, aliases\): write its text in its place"),
        ({"text": ["a"], "language": "en"}, r"an object \(text, language\): write its text in its place"),
        ({"text": [["a"]], "answer_start": [0]}, r"an object \(text, answer_start\): write its text in its place"),
        ([["a"]], r"the list \[\['a'\]\]: write plain text in its place"),
        (CHAT, "chat messages, which are read from a column of lists alone"),
    ],
)
def test_a_reference_that_is_not_text_is_refused(tmp_path: Path, value: object, said: str) -> None:
    place = r"line 2: the reference \(column 'answer'\) must be text, a number or a list of them, got "
    with pytest.raises(DataError, match=place + said):
        load(tmp_path, GOOD, {"question": "q", "answer": value})


def test_a_list_of_questions_is_not_a_question(tmp_path: Path) -> None:
    said = r"line 1: the question \(column 'question'\) must be text or a number, got "
    with pytest.raises(DataError, match=said + r"the list \['q'\]: write plain text"):
        load(tmp_path, {"question": ["q"], "answer": "a"})
    with pytest.raises(DataError, match=said + "chat messages, which are read from a column of lists"):
        load(tmp_path, {"question": CHAT, "answer": "a"})


def test_a_date_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"question": ["q"], "answer": [pd.Timestamp("2020-01-01")]}).to_parquet(path)
    with pytest.raises(DataError, match=r"row 0: the reference .* got datetime.datetime\(.*: write it as text"):
        load_questions(str(path))


def test_duplicate_ids_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 ids are there more than once: 1, x"):
        load(tmp_path, *({"id": key} | GOOD for key in (1, "x", "1", "x", "y")))


@pytest.mark.parametrize("value", [None, "", 1.5, True, ["a"]])
def test_an_id_is_text_or_an_integer(tmp_path: Path, value: object) -> None:
    with pytest.raises(DataError, match=r"line 2: the id \(column 'id'\) must be text or an integer"):
        load(tmp_path, {"id": "a"} | GOOD, {"id": value} | GOOD)
