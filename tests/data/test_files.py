"""Local files of every kind, well and badly made."""

from __future__ import annotations

import csv
import json
import os
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest
from pyarrow import parquet

from loralift.data import load_questions
from loralift.errors import DataError, LoraLiftError

ROWS = [
    {"id": "a", "question": "What, exactly?", "reference": 'He said "no".\nThen  left. ', "topic": "tax"},
    {"id": "b", "question": "Où\u2028ça ?", "reference": "Là {x}\tet là 🏦", "topic": "bank"},
]


def write(path: Path, suffix: str) -> Path:
    """ROWS as a file of that kind, by the standard writer of each."""
    path = path / f"data{suffix}"
    match suffix:
        case ".jsonl":
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
        case ".json":
            path.write_text(json.dumps(ROWS), encoding="utf-8")
        case ".parquet":
            parquet.write_table(pa.Table.from_pylist(ROWS), path)
        case _:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(ROWS[0]), delimiter="," if suffix == ".csv" else "\t")
                writer.writeheader()
                writer.writerows(ROWS)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet"])
def test_every_kind_of_file_gives_the_same_questions(tmp_path: Path, suffix: str) -> None:
    data = load_questions(str(write(tmp_path, suffix)))
    got = [{"id": q.id, "question": q.question, "reference": q.reference, **q.fields} for q in data.questions]
    assert got == ROWS
    assert data.source == str(tmp_path / f"data{suffix}")
    assert data.selection == "all 2 rows"


def test_a_directory_name_does_not_become_a_column(tmp_path: Path) -> None:
    folder = tmp_path / "seed=1"
    folder.mkdir()
    data = load_questions(str(write(folder, ".parquet")))
    assert dict(data.questions[0].fields) == {"topic": "tax"}


def test_a_byte_order_mark_windows_lines_and_blank_lines_are_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"question": "q1", "answer": "a1"}\r\n\r\n{"question": "q2", "answer": "a2"}')
    assert [(q.id, q.reference) for q in load_questions(str(path)).questions] == [("0", "a1"), ("1", "a2")]


def test_a_narrow_float_is_the_number_that_was_meant(tmp_path: Path) -> None:
    narrow = pa.array([0.1, 3.14, None], pa.float32())
    lists = pa.array([[0.1], [3.14], []], pa.list_(pa.float32()))
    for column in (narrow, lists):
        parquet.write_table(pa.table({"question": ["a", "b", "c"], "answer": column}), tmp_path / "a.parquet")
        data = load_questions(str(tmp_path / "a.parquet"))
        assert [q.reference for q in data.questions] == ["0.1", "3.14"]


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
@pytest.mark.parametrize("written", ["0.00006", "6e-5", "1.10", "2.0", "12345678901234567890.5"])
def test_numbers_are_read_as_they_are_written(tmp_path: Path, suffix: str, written: str) -> None:
    row = f'{{"question": "How much?", "answer": {written}, "more": [{written}]}}'
    path = tmp_path / f"data.{suffix}"
    path.write_text(f"[{row}]" if suffix == "json" else row, encoding="utf-8")
    (question,) = load_questions(str(path)).questions
    assert question.reference == written
    (question,) = load_questions(str(path), columns={"reference": "more"}).questions
    assert question.reference == written


def test_no_number_gets_an_exponent(tmp_path: Path) -> None:
    columns = {
        "double": pa.array([0.00006, 1e17]),
        "half": pa.array([0.1, 0.5], pa.float16()),
        "large": pa.array([[0.1], [0.5]], pa.large_list(pa.float32())),
        "decimal": pa.array([Decimal("0.0000001000"), Decimal(0)], pa.decimal128(20, 10)),
    }
    table = pa.table({"question": ["How much?", "And now?"], **columns})
    parquet.write_table(table, path := tmp_path / "data.parquet")
    found = {
        name: [each.reference for each in load_questions(str(path), columns={"reference": name}).questions]
        for name in columns
    }
    assert found == {
        "double": ["0.00006", "100000000000000000"],
        "half": ["0.1", "0.5"],
        "large": ["0.1", "0.5"],
        "decimal": ["0.0000001000", "0.0000000000"],
    }


def test_class_labels_are_read_by_their_names(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"question": Value("string"), "answer": ClassLabel(names=["no", "yes"])})
    rows = {"question": ["Is it?", "Was it?", "And now?"], "answer": [1, 0, None]}
    Dataset.from_dict(rows, features=features).to_parquet(path := tmp_path / "data.parquet")
    data = load_questions(str(path))
    assert [each.reference for each in data.questions] == ["yes", "no"]
    assert [row.id for row in data.dropped] == ["2"]


BAD = {
    "broken.jsonl": ('{"question": "q", "answer": "a"}\n{"question"', "broken.jsonl, line 2: not JSON"),
    "list.jsonl": ('{"question": "q", "answer": "a"}\n\n[1]', "list.jsonl, line 3: must be a JSON object, got list"),
    "broken.json": ('[\n{"question": }]', "broken.json: not JSON: Expecting value at line 2, column 14: it must hold"),
    "object.json": ('{"data": []}', "object.json: must hold a list of objects, got dict with the keys data"),
    "numbers.json": ("[1]", "numbers.json, row 0: must be a JSON object, got int"),
    "short.csv": ('question,answer\n"a\nb",c\nq\n', "short.csv, line 4: 1 cells under a header of 2"),
    "long.tsv": ("question\tanswer\nq\ta\tb\n", "long.tsv, line 2: 3 cells under a header of 2"),
    "quote.csv": ('question,answer\nq,"a"b\n', "quote.csv, line 2:"),
    "twice.csv": ("question,answer,question\nq,a,q\n", "twice.csv: the column 'question' is there twice"),
    "twice.tsv": ("question\tanswer\tquestion\nq\ta\tq\n", "twice.tsv: the column 'question' is there twice"),
    "array.jsonl": ('[{"question": "q", "answer": "a"}]', "got list; one list of objects must be in a .json file"),
    "pretty.jsonl": ('[\n {"question": "q",\n "answer": "a"}]', "one list over several lines must be in a .json file"),
    "table.jsonl": ("question,answer\nq,a\n", "a table must be in a .csv or .tsv file"),
    "lines.json": ('{"question": "q"}\n{"question": "r"}\n', "JSON lines must be in a .jsonl file"),
    "deep.jsonl": ("[" * 100_000, "deep.jsonl, line 1: it is nested too deeply"),
    "digits.json": ("[" + "9" * 5_000 + "]", "digits.json: it has a number of more than 4,300 digits"),
    "keys.jsonl": (
        '{"question": "q", "question": "r", "answer": "a"}',
        "line 1: the key 'question' is there",
    ),
    "not.parquet": ("question", "not.parquet as parquet: "),
    "notes.txt": ("question", "notes.txt: the suffix must be one of .jsonl, .json, .csv, .tsv, .parquet, got '.txt'"),
    "empty.jsonl": ("\n\n", "empty.jsonl: there are no rows in it"),
    "empty.json": ("[]", "empty.json: there are no rows in it"),
    "empty.csv": ("", "empty.csv: there are no rows in it"),
    "header.csv": ("question,answer\n", "header.csv: there are no rows in it"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    content, said = BAD[name]
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_questions(str(tmp_path / name))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("question,answer\nq,a\nq,é\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.csv, line 3: not UTF-8"):
        load_questions(str(path))


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for row in ({"question": "q\ud83d", "answer": "a"}, {"question": "q", "answer": "a", "field": "\ud83d"}):
        path.write_text(json.dumps(row), encoding="utf-8")
        with pytest.raises(DataError, match=r"line 1: character . is not valid Unicode"):
            load_questions(str(path))


def test_a_missing_file_is_never_looked_up_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for spec in ("nothing.jsonl", "explodinggradients/fiqa"):
        with pytest.raises(DataError, match=rf"^{spec}: no such file; .* hf://ORG/NAME$"):
            load_questions(spec)
    with pytest.raises(DataError, match=r"it is a directory; for BEIR's layout write beir:DIR"):
        load_questions(str(tmp_path))


def test_a_cell_may_be_longer_than_pythons_own_limit(tmp_path: Path) -> None:
    for suffix, comma in ((".csv", ","), (".tsv", "\t")):
        path = tmp_path / f"long{suffix}"
        path.write_text(f"\nquestion{comma}answer\nq{comma}{'x' * 200_000}\n", encoding="utf-8")
        assert len(load_questions(str(path)).questions[0].reference) == 200_000


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**62, 1], pa.timestamp("us")),
        pa.array([2**30, 1], pa.int32()).cast(pa.date32()),
        pa.array([2**60, 1], pa.duration("s")),
        pa.array([[2**62], [1]], pa.list_(pa.timestamp("us"))),
    ],
    ids=["timestamp", "date", "duration", "nested"],
)
def test_a_time_that_python_has_not_is_named_with_its_column(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"question": ["a", "b"], "answer": ["c", "d"], "seen": column}), path)
    with pytest.raises(DataError, match=r"a\.parquet, column 'seen': .*: write it as text, or leave the column out"):
        load_questions(str(path))


def test_two_parquet_columns_of_one_name_are_named(tmp_path: Path) -> None:
    names = ["question", "answer", "answer"]
    parquet.write_table(pa.Table.from_arrays([pa.array(["a"])] * 3, names=names), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="the column 'answer' is there twice"):
        load_questions(str(tmp_path / "a.parquet"))


def test_a_parquet_file_cut_or_spoilt_anywhere_is_one_line(tmp_path: Path) -> None:
    whole = write(tmp_path, ".parquet").read_bytes()
    path = tmp_path / "spoilt.parquet"
    for at in range(0, len(whole), 17):
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            path.write_bytes(content)
            with suppress(DataError):  # a flipped bit of a text may be read
                load_questions(str(path))


@pytest.mark.parametrize("suffix", ["", ".jsonl", ".json", ".csv"])
def test_a_file_may_be_a_pipe_and_one_without_a_suffix_is_json(tmp_path: Path, suffix: str) -> None:
    contents = {".csv": "question,answer\nq,a\n", ".json": '[{"question": "q", "answer": "a"}]'}
    content = contents.get(suffix, '{"question": "q", "answer": "a"}\n')
    for text in [content, contents[".json"]] if not suffix else [content]:
        pipe = tmp_path / f"{len(text)}pipe{suffix}"
        os.mkfifo(pipe)
        writer = Thread(target=pipe.write_text, args=(text,))
        writer.start()
        data = load_questions(str(pipe))
        writer.join()
        assert data.questions[0].reference == "a"
        assert [note.partition(", ")[2] for note in data.notes] == (
            [] if suffix else [f"and is read as {'one JSON list' if text.startswith('[') else 'JSON lines'}"]
        )


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_what_is_no_file_is_one_line(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / f"nowhere{suffix}").symlink_to(tmp_path / "nothing")
    (tmp_path / f"loop{suffix}").symlink_to(tmp_path / f"loop{suffix}")
    for name in ("folder", "nowhere", "loop", "x" * 300, "folder.jsonl/x", "~nobody/x", "a\0b"):
        spec = name if name.startswith("~") else str(tmp_path / name)
        with pytest.raises(LoraLiftError):
            load_questions(spec + suffix)


def test_what_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, ".jsonl")
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(DataError, match=r"data\.jsonl: it may not be read; change its permissions"):
        load_questions(str(path))
