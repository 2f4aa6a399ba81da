"""The flags: raised by degenerate generations, never by FiQA's people."""

from __future__ import annotations

import json

import pytest

from loralift.metrics import score_examples
from loralift.metrics.degenerate import sequence_repetition

SOUND = (
    "You should first look at the interest that each of your loans costs you over a year. Pay the one with the "
    "highest rate as fast as you can, and only the minimum on all others, until it is gone. Then take the next."
)


def flag(name, example):
    return score_examples([name], [example])[0].values[name]


def test_seq_rep_4_by_hand():
    assert sequence_repetition(list("abcdabcd")) == pytest.approx(1 - 4 / 5)
    assert sequence_repetition(list("abc")) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "Pay it off first. " * 20,
        SOUND + " I hope this helps." * 15,
        SOUND * 3,
        "!" * 200,
        "1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1. 1.",
        SOUND + " the" * 60,
    ],
    ids=["sentence", "tail of a sound answer", "whole answer", "exclamation marks", "numbers", "one word"],
)
def test_loops_are_flagged(make_example, text):
    assert flag("repeating", make_example(text)) == 1.0


@pytest.mark.parametrize("text", ["", "No, no, no, no, no.", SOUND, SOUND + " " + SOUND[:100]])
def test_sound_answers_are_no_loops(make_example, text):
    assert flag("repeating", make_example(text)) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "Pay it off.\n\nQuestion: What is a bond?\nAnswer: A loan.",
        "Pay it off.\n**Question 2:** And then?",
        "Pay it off.\n### Question:\nAnd then?",
        "Pay it off.\nQ: And then?",
        "Pay it off.\n  question : And then?",
        "Question: What is a bond?",
    ],
)
def test_a_next_question_is_flagged(make_example, text):
    assert flag("run_on", make_example(text)) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "That is a good question: it depends.",
        "Questions\nare: free",
        "In Q3: a loss.\nFAQ: none",
        "Answer: it depends.",
    ],
)
def test_the_mere_word_is_no_next_question(make_example, text):
    assert flag("run_on", make_example(text)) == 0.0


QUESTION = "Is it legal to lend money to a friend?"


@pytest.mark.parametrize(
    "text",
    [
        QUESTION,
        QUESTION.upper(),
        f"Question: {QUESTION}",
        f"{QUESTION}\n{QUESTION}\n",
        f"Question: {QUESTION}\nAnswer: {QUESTION[:12]}",
    ],
)
def test_a_copy_is_flagged(make_example, text):
    assert flag("copied_prompt", make_example(text, question=QUESTION)) == 1.0


@pytest.mark.parametrize(
    "text", ["", "It is legal to lend money to a friend.", f"{QUESTION} Yes.", "legal", "Is it legal to lend?"]
)
def test_an_answer_is_no_copy(make_example, text):
    assert flag("copied_prompt", make_example(text, question=QUESTION)) == 0.0


def test_a_wordless_question_cannot_be_copied(make_example):
    assert flag("copied_prompt", make_example("Yes.", question="???")) is None


def test_people_raise_no_flag(fiqa_dir, make_example):
    rows = [
        json.loads(line)
        for name in ("test", "train", "validation")
        for line in (fiqa_dir / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    examples = [make_example(row["ground_truths"][0], question=row["question"]) for row in rows]
    scores = score_examples(["repeating", "run_on", "copied_prompt"], examples)
    assert len(scores) == 961
    assert {tuple(score.values.values()) for score in scores} == {(0.0, 0.0, 0.0)}
