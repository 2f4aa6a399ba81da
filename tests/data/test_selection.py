"""Which rows are evaluated, where training took the others."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from loralift.data import HeldOut, SavedIndices, Selection, load_questions
from loralift.errors import DataError, UsageError


@pytest.fixture
def ten(tmp_path: Path) -> str:
    path = tmp_path / "ten.jsonl"
    path.write_text("".join(f'{{"question": "q{n}", "answer": "a{n}"}}\n' for n in range(10)), encoding="utf-8")
    return str(path)


def ids(spec: str, selection: Selection | None, limit: int | None = None) -> list[str]:
    return [question.id for question in load_questions(spec, selection=selection, limit=limit).questions]


@pytest.mark.parametrize("rows", [2, 3, 10, 101, 648])
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.333, 0.49])
@pytest.mark.parametrize("seed", [0, 42, 2**31])
def test_the_held_out_part_is_that_of_the_datasets_library(rows: int, fraction: float, seed: int) -> None:
    split = datasets.Dataset.from_dict({"n": list(range(rows))}).train_test_split(test_size=fraction, seed=seed)
    assert HeldOut(fraction, seed).choose(rows) == split["test"]["n"][:]
    assert not set(HeldOut(fraction, seed).choose(rows)) & set(split["train"]["n"][:])


def test_rows_keep_the_index_of_the_source_as_their_id(ten: str) -> None:
    assert ids(ten, HeldOut(0.3, 42)) == [str(index) for index in HeldOut(0.3, 42).choose(10)]
    assert load_questions(ten, selection=HeldOut(0.3, 42)).selection == (
        "the held-out part of train_test_split(test_size=0.3, seed=42), of 10 rows"
    )


def test_saved_indices_choose_rows_in_their_order(ten: str, tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    path.write_text("[7, 0, 3]", encoding="utf-8")
    data = load_questions(ten, selection=SavedIndices(path), limit=2)
    assert [(q.id, q.question) for q in data.questions] == [("7", "q7"), ("0", "q0")]
    assert data.selection == f"the first 2 of the rows listed in {path}, of 10 rows"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([0, 10, -1], "must be from 0 to 9, got 10, -1"),
        ([1, 2, 1], "once each, got several of 1"),
        ([1, "2", 3.0, True, None], "must be integers, got '2', 3.0, True, None"),
        ([], "must be a JSON list of row indices"),
        ({"test": [1]}, "must be a JSON list of row indices"),
        (5, "must be a JSON list of row indices, got 5"),
    ],
)
def test_bad_indices_are_named(ten: str, tmp_path: Path, content: object, said: str) -> None:
    path = tmp_path / "eval.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_questions(ten, selection=SavedIndices(path))
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_an_index_file_that_is_missing_or_broken(ten: str, tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    with pytest.raises(DataError, match=r"cannot read .*eval\.json: there is no such file"):
        load_questions(ten, selection=SavedIndices(path))
    path.write_text("[1,\n2", encoding="utf-8")
    with pytest.raises(DataError, match=r"eval\.json: not JSON: .* at line 2, .*: it must be a JSON list of row"):
        load_questions(ten, selection=SavedIndices(path))


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "[" + "9" * 5_000 + "]", '[{"a": 1, "a": 2}]', "[1" + "0" * 400 + "]"]
)
def test_an_index_file_of_anything_is_one_line(ten: str, tmp_path: Path, content: str) -> None:
    path = tmp_path / "eval.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"eval\.json"):
        load_questions(ten, selection=SavedIndices(path))


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_is_between_0_and_1(fraction: float) -> None:
    with pytest.raises(UsageError, match="`fraction` must be between 0 and 1, both excluded, got"):
        HeldOut(fraction, 0).choose(10)


def test_something_must_be_left_to_train_on_and_a_seed_is_not_negative() -> None:
    with pytest.raises(DataError, match=r"`fraction` 0\.95 of 10 rows holds out all of them"):
        HeldOut(0.95, 0).choose(10)
    with pytest.raises(UsageError, match="`seed` must be 0 or more, got -1"):
        HeldOut(0.5, -1).choose(10)


def test_the_limit_takes_the_first_rows(ten: str) -> None:
    assert ids(ten, None, limit=3) == ["0", "1", "2"]
    assert load_questions(ten, limit=3).selection == "the first 3 of all 10 rows"
    assert load_questions(ten, limit=99).selection == "all 10 rows"
    assert load_questions(ten, limit=3).sha256 != load_questions(ten).sha256


@pytest.mark.parametrize("limit", [0, -3])
def test_the_limit_is_positive(ten: str, limit: int) -> None:
    with pytest.raises(UsageError, match=f"`--limit` must be a positive integer, got {limit}$"):
        load_questions(ten, limit=limit)
