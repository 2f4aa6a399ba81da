"""BEIR's layout, on its real FiQA and on small ones with holes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loralift.data import Dropped, SavedIndices, load_questions
from loralift.errors import DataError

QUERIES = {"q1": "One?", "q2": "Two? ", "q3": "Three?", "q4": "Four?"}
CORPUS = {"d1": ("", "First. "), "d2": ("Title", "Second."), "d3": ("", " ")}
QRELS = [("q2", "d1", 0), ("q2", "d2", 1), ("q1", "d1", 2), ("q2", "d1", 1), ("q1", "d2", 1), ("q4", "d1", 0)]
HEADER = "query-id\tcorpus-id\tscore\n"


def lay_out(folder: Path, qrels: list[tuple[str, str, int]]) -> str:
    (folder / "qrels").mkdir()
    queries = [json.dumps({"_id": key, "text": text}) for key, text in QUERIES.items()]
    corpus = [json.dumps({"_id": key, "title": title, "text": text}) for key, (title, text) in CORPUS.items()]
    judged = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in qrels)]
    (folder / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    (folder / "corpus.jsonl").write_text("\n".join(corpus), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("\r\n".join(judged) + "\r\n", encoding="utf-8")
    return f"beir:{folder}"


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("qrels/test.tsv", HEADER + "q1\td1\t" + "x" * 200_000, "line 2: the score must be an integer"),
        ("qrels/test.tsv", HEADER + "q1\td1\t1_0", "the score must be an integer, got '1_0'"),
        ("qrels/test.tsv", HEADER + "q1\td1\t\uff11", "the score must be an integer"),
        ("corpus.jsonl", '{"_id": "d1", "title": [1], "text": "x"}', "line 1: the title must be text or null, got [1]"),
        ("corpus.jsonl", '{"_id": true, "text": "x"}', "line 1: must have _id and text"),
        ("queries.jsonl", "[" * 100_000, "queries.jsonl, line 1: it is nested too deeply"),
    ],
)
def test_a_file_of_anything_is_one_line(tmp_path: Path, file: str, content: str, said: str) -> None:
    spec = lay_out(tmp_path, QRELS)
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as error:
        load_questions(spec)
    assert said in str(error.value)


@pytest.mark.parametrize("split", ["../../x", "a/b", "x" * 300])
def test_a_split_is_a_file_of_the_qrels(tmp_path: Path, split: str) -> None:
    with pytest.raises(DataError):
        load_questions(f"{lay_out(tmp_path, QRELS)}?split={split}")


def test_each_query_gets_its_first_relevant_document_in_the_order_of_the_qrels(tmp_path: Path) -> None:
    data = load_questions(lay_out(tmp_path, QRELS))
    assert [(q.id, q.question, q.reference) for q in data.questions] == [
        ("q2", "Two?", "Title Second."),
        ("q1", "One?", "First. "),
    ]
    assert data.dropped == ()
    assert data.source == f"BEIR directory {tmp_path}, split test"


def test_further_documents_and_queries_without_one_are_told(tmp_path: Path) -> None:
    assert load_questions(lay_out(tmp_path, QRELS)).notes == (
        "queries that are judged without any relevant document are not asked: 1 (q4)",
        "2 rows have several references (column 'reference'); an answer may be like any of them, and perplexity is of "
        "the first; --references first takes that alone",
    )
    several = [(q.reference, q.others) for q in load_questions(f"beir:{tmp_path}").questions]
    assert several == [("Title Second.", ("First. ",)), ("First. ", ("Title Second.",))]
    first = [(q.reference, q.others) for q in load_questions(f"beir:{tmp_path}", references="first").questions]
    assert first == [("Title Second.", ()), ("First. ", ())]


def test_further_documents_that_are_not_there_are_told(tmp_path: Path) -> None:
    data = load_questions(lay_out(tmp_path, [("q1", "d1", 1), ("q1", "d9", 1), ("q1", "d3", 1), ("q1", "d2", 1)]))
    assert data.notes[0] == (
        "further relevant documents that are missing or empty in the corpus are no references: 2 (d9, d3)"
    )
    assert data.questions[0].references == ("First. ", "Title Second.")


HOLES = [("q1", "d9", 1), ("q1", "d1", 1), ("q9", "d1", 1), ("q3", "d3", 1), ("q2", "d1", 1)]


def test_what_is_missing_is_left_out_and_named(tmp_path: Path) -> None:
    data = load_questions(lay_out(tmp_path, HOLES))
    assert [q.id for q in data.questions] == ["q2"]
    assert data.dropped == (
        Dropped("q1", "its first relevant document d9 is missing in the corpus"),
        Dropped("q9", "it is missing in the queries"),
        Dropped("q3", "its first relevant document d3 is empty in the corpus"),
    )


def test_strict_makes_what_is_missing_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 of 4 questions cannot be evaluated .q1: its first relevant document d9"):
        load_questions(lay_out(tmp_path, HOLES), strict=True)


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 of 1 questions cannot be evaluated"):
        load_questions(lay_out(tmp_path, [("q1", "d9", 1)]))


def test_row_indices_mean_the_same_in_a_partial_download(tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    path.write_text("[3, 1]", encoding="utf-8")
    data = load_questions(lay_out(tmp_path, HOLES), selection=SavedIndices(path))
    assert [q.id for q in data.questions] == ["q2"]
    assert [row.id for row in data.dropped] == ["q9"]


def test_an_unknown_split_and_a_missing_file_are_named(tmp_path: Path) -> None:
    spec = lay_out(tmp_path, QRELS)
    with pytest.raises(DataError, match=r"no split 'dev'; it has test$"):
        load_questions(spec + "?split=dev")
    (tmp_path / "corpus.jsonl").unlink()
    with pytest.raises(DataError, match=r"BEIR's layout needs .*corpus\.jsonl, which does not exist"):
        load_questions(spec)
    with pytest.raises(DataError, match=r"BEIR's layout needs .*nowhere, which does not exist"):
        load_questions(f"beir:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize(
    ("qrels", "said"),
    [
        ("q1\td1\t1\n", r"test\.tsv, line 1: the columns must be query-id, corpus-id, score, got q1, d1, 1"),
        (HEADER + "q1\td1\n", r"test\.tsv, line 2: 2 cells under a header of 3"),
        (HEADER + "q1\td1\tyes\n", r"test\.tsv, line 2: the score must be an integer, got 'yes'"),
        ("query-id\tcorpus-id\tscore\n", "there are no rows in it"),
    ],
)
def test_bad_qrels_are_named_with_their_line(tmp_path: Path, qrels: str, said: str) -> None:
    spec = lay_out(tmp_path, QRELS)
    (tmp_path / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        load_questions(spec)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"_id": "d1", "body": "x"}', r"corpus\.jsonl, line 1: must have _id and text, got _id, body"),
        ('{"_id": 1, "text": "x"}\n{"_id": "1", "text": "y"}', r"corpus\.jsonl, line 2: the _id 1 is there twice"),
    ],
)
def test_a_bad_document_is_named_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    spec = lay_out(tmp_path, QRELS)
    (tmp_path / "corpus.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        load_questions(spec)


CSV_QUOTED = "3791"
"""The one test question that explodinggradients/fiqa asks as the raw cell of a CSV file, quotes doubled; BEIR has it
as it was written."""


def test_the_real_test_split_is_that_of_explodinggradients_fiqa(fiqa_dir: Path) -> None:
    with (fiqa_dir / "test.jsonl").open(encoding="utf-8") as file:
        expected = [json.loads(line) for line in file]
    converted = load_questions(f"beir:{fiqa_dir / 'beir'}")
    assert converted.dropped == ()
    assert [q.id for q in converted.questions] == [row["id"] for row in expected]
    assert [q.reference for q in converted.questions] == [row["ground_truths"][0] for row in expected]
    differ = {
        q.id: (q.question, row["question"])
        for q, row in zip(converted.questions, expected, strict=True)
        if q.question != row["question"]
    }
    assert set(differ) == {CSV_QUOTED}
    ours, theirs = differ[CSV_QUOTED]
    assert theirs == '"' + ours.replace('"', '""') + '"'


@pytest.mark.parametrize(
    ("split", "file", "rows", "lacking"), [("train", "train", 284, 5216), ("dev", "validation", 29, 471)]
)
def test_the_real_partial_splits(fiqa_dir: Path, split: str, file: str, rows: int, lacking: int) -> None:
    converted = load_questions(f"beir:{fiqa_dir / 'beir'}?split={split}")
    direct = load_questions(str(fiqa_dir / f"{file}.jsonl"))
    assert [(q.id, q.question, q.reference) for q in converted.questions] == [
        (q.id, q.question.strip(), q.reference) for q in direct.questions
    ]
    assert (len(converted.questions), len(converted.dropped)) == (rows, lacking)
