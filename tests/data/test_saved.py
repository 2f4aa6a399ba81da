"""What is written can be read back, and its hash is its identity."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from loralift.data import dump_questions, hash_questions, load_questions
from loralift.records import Question, Turn

QUESTIONS = (
    Question("1", "Plain?", "Yes."),
    Question(
        "zwei", " Größe\u2028\u0085\x1c{x}? ", 'A "quoted"\r\n\tanswer\x00 🏦 ', {"topic": "tax", "n": 1, "x": None}
    ),
    Question("several", "q", "r", {"reference_of": "x"}, ("s", " t ")),
    Question("chat", "And then?", "r", {}, ("s",), "chat", " Be\nbrief. ", (Turn("user", "q"), Turn("assistant", ""))),
    Question("chat#turn1", "q", "r", {"asked": "x"}, (), "chat"),
    Question("alpaca", "q\nx", "r", {}, (), "alpaca", input="x"),
    Question("prompt", "q ", " r", {}, (), "verbatim"),
    Question("3", "q", "r", {"fields": "f", "id": "other", "question": "x", "ok": False, "pi": 3.14}),
)


def test_questions_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "dataset.jsonl"
    path.write_bytes("".join(dump_questions(QUESTIONS)).encode("utf-8"))
    data = load_questions(str(path))
    assert data.questions == QUESTIONS
    assert data.sha256 == hash_questions(QUESTIONS)


def test_the_file_is_readable_and_short() -> None:
    lines = "".join(dump_questions(QUESTIONS)).split("\n")
    assert lines[0] == '{"id": "1", "question": "Plain?", "reference": "Yes."}'
    assert "Größe" in lines[1]
    assert lines[2].startswith('{"id": "several", "question": "q", "reference": ["r", "s", " t "], "fields"')
    assert lines[8:] == [""]


def test_the_hash_is_of_canonical_json_lines() -> None:
    canonical = '{"fields":{"a":1,"b":"é"},"id":"1","question":"q","reference":"r"}\n'
    question = Question("1", "q", "r", {"b": "é", "a": 1})
    assert hash_questions([question]) == hashlib.sha256(canonical.encode()).hexdigest()


def test_further_references_are_a_part_of_the_hash() -> None:
    others = ((), ("s",), ("s", "t"), ("t", "s"))
    assert len({hash_questions([Question("1", "q", "r", others=each)]) for each in others}) == 4


@pytest.mark.parametrize(
    "changed",
    [
        QUESTIONS[::-1],
        QUESTIONS[:2],
        (Question("1", "Plain?", "Yes. "), *QUESTIONS[1:]),
        (Question("1", "Plain?", "Yes.", {"n": 1}), *QUESTIONS[1:]),
    ],
)
def test_any_change_changes_the_hash(changed: tuple[Question, ...]) -> None:
    assert hash_questions(changed) != hash_questions(QUESTIONS)
