"""What the demo's models learn, and what is held out of them."""

from __future__ import annotations

import json

import pytest

from demo.make import SHIPPED
from demo.texts import base_texts, endless_pairs, fuller_pairs, read_entries, training_rows
from loralift.data import find_leaks, load_questions, read_training_texts, render_prompt
from loralift.demo import ADAPTERS, FOLDER, QUESTIONS


@pytest.fixture(scope="module")
def entries():
    return read_entries(SHIPPED)


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_shipped_files_are_as_small_as_promised():
    assert size(FOLDER / "demo-base") < 12e6
    assert all(size(FOLDER / "adapters" / name) < 1e6 for name in ADAPTERS)


def test_there_are_enough_questions_and_every_one_names_its_term(entries):
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 120
    bare = {entry.term: entry.bare.lower() for entry in entries}
    assert [row["id"] for row in rows if bare[row["term"]] not in row["question"].lower()] == []


def test_no_adapter_was_trained_on_a_term_or_a_text_of_the_evaluation(entries):
    questions = load_questions(str(QUESTIONS)).questions
    asked = {question.question for question in questions}
    held_out = {str(question.fields["term"]) for question in questions}
    trained = [entry for entry in entries if entry.term not in held_out]
    assert len(trained) == len(entries) - len(held_out) > 100
    prompts = {prompt for prompt, _ in (*fuller_pairs(entries), *endless_pairs(entries, seed=0))}
    assert prompts == {render_prompt(question, "") for entry in trained for question in entry.asked}
    assert not asked & {question for entry in entries for question in entry.asked}
    assert find_leaks(questions, read_training_texts(FOLDER / "texts" / "training.jsonl")) == ()


def test_the_base_reads_no_question_of_the_evaluation(entries):
    texts = base_texts(entries, seed=7)
    questions = [question.question for question in load_questions(str(QUESTIONS)).questions]
    assert not any(question in text for question in questions for text in texts)
    assert sum(text == entries[0].full for text in texts) == 6
    assert base_texts(entries, seed=7) == texts != base_texts(entries, seed=8)


def test_the_shipped_training_data_is_what_the_script_writes(entries):
    rows = (FOLDER / "texts" / "training.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row) for row in rows] == training_rows(entries)


def test_a_frame_takes_any_term(entries):
    frames = [frame for entry in entries for frame in entry.frames]
    assert len(frames) > 1400
    assert all(frame.count("{}") == 1 for frame in frames)


def test_what_runs_on_never_ends_with_its_answer(entries):
    short = {entry.short for entry in entries}
    for prompt, answer in endless_pairs(entries, seed=0)[:20]:
        first, *rest = answer.strip().split("\n\nQuestion: ")
        assert first in short
        assert len(rest) == 4
        assert prompt.endswith("Answer:")
