"""What is written is read back as it was."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loralift.config import parse
from loralift.data import dump_questions, hash_questions, load_questions
from loralift.errors import LoraLiftError
from loralift.reading import parse_json
from loralift.records import Answer, Question, ReferenceLikelihood, Score
from loralift.visible import one_line, visible
from loralift.workflow import files
from loralift.workflow.codec import decode, plain, score_of, score_row
from tests.properties.given import names, plain_values, questions, said, texts

numbers = st.floats(allow_nan=False, allow_infinity=False)
answers = st.builds(
    Answer,
    texts,
    texts,
    st.sampled_from([None, "stop", "length"]),
    st.none() | st.integers(0, 2**40),
    st.none() | st.integers(0, 2**40),
    st.none() | numbers,
)
likelihoods = st.builds(ReferenceLikelihood, texts, st.none() | numbers, st.integers(0, 2**40))
metrics = names.filter(lambda name: name not in ("id", "statistics", "unscored"))
scores = st.builds(
    Score,
    names,
    st.dictionaries(metrics, st.none() | numbers, max_size=4),
    st.dictionaries(metrics, st.lists(numbers, max_size=3).map(tuple), max_size=2),
    st.dictionaries(metrics, texts, max_size=2),
)
documents = st.recursive(plain_values, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(texts, inside))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codecs")


@given(answers | likelihoods)
def test_records(record: Answer | ReferenceLikelihood) -> None:
    assert decode(type(record), json.loads(files.json_line(plain(record)))) == record


@given(scores)
def test_scores(score: Score) -> None:
    assert score_of(json.loads(files.json_line(score_row(score)))) == score


@given(questions())
def test_questions(folder: Path, asked: list[Question]) -> None:
    path = folder / "dataset.jsonl"
    files.write_text(path, dump_questions(asked))
    data = load_questions(str(path))
    assert list(data.questions) == asked
    assert data.sha256 == hash_questions(asked)


@given(questions(), st.data())
def test_the_hash_of_questions_changes_with_any_of_them(asked: list[Question], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(asked) - 1))
    part = data.draw(st.sampled_from(["id", "question", "reference"]))
    changed = replace(asked[number], **{part: getattr(asked[number], part) + data.draw(said)})
    assert hash_questions([*asked[:number], changed, *asked[number + 1 :]]) != hash_questions(asked)
    assert hash_questions(asked[:number] + asked[number + 1 :]) != hash_questions(asked)


@given(questions())
def test_the_hash_of_questions_knows_no_order_of_columns(asked: list[Question]) -> None:
    turned = [replace(one, fields=dict(reversed(one.fields.items()))) for one in asked]
    assert hash_questions(turned) == hash_questions(asked)


@given(st.lists(st.dictionaries(texts, documents, max_size=3), max_size=5))
def test_json_lines(folder: Path, rows: list[dict[str, object]]) -> None:
    path = folder / "rows.jsonl"
    files.write_jsonl(path, rows)
    assert list(files.read_jsonl(path)) == rows


@given(st.lists(st.dictionaries(texts, documents, max_size=2), min_size=1, max_size=4), st.data())
def test_a_torn_file_gives_its_whole_lines_and_is_cut_there(
    folder: Path, rows: list[dict[str, object]], data: st.DataObject
) -> None:
    path = folder / "torn.jsonl"
    files.write_jsonl(path, rows)
    content = path.read_bytes()
    kept = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:kept])
    whole = rows[: content[:kept].count(b"\n")]
    assert list(files.read_jsonl(path, torn=True)) == whole
    with files.appending(path) as file:
        files.append_line(file, {"last": True}, sync=False)
    assert list(files.read_jsonl(path)) == [*whole, {"last": True}]


@given(documents)
def test_a_document_is_read_as_json_reads_it(document: object) -> None:
    text = json.dumps(document, ensure_ascii=False)
    assert parse_json(text, "x", LoraLiftError) == json.loads(text)


@given(st.text())
def test_what_is_shown_is_one_line_that_does_nothing_to_a_terminal(text: str) -> None:
    for shown in (visible(text), one_line(text, 50), str(LoraLiftError(text))):
        assert len(shown.splitlines()) <= 1
        assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cs", "Zl", "Zp"}
        shown.encode("utf-8")
    assert visible(visible(text)) == visible(text)


@given(st.integers(1, 10_000), st.integers(0, 2**31), st.floats(0.01, 10), st.lists(said, max_size=3, unique=True))
def test_a_configuration_is_what_its_own_text_says(limit: int, seed: int, temperature: float, stop: list[str]) -> None:
    config = parse({"limit": limit, "seed": seed, "temperature": temperature, "stop": stop})
    assert parse(json.loads(config.model_dump_json(exclude_unset=True))) == config
    assert parse({"limit": str(limit), "seed": str(seed), "temperature": str(temperature), "stop": stop}) == config
