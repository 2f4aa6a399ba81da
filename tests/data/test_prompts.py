"""The prompt, to the byte."""

from __future__ import annotations

import doctest

import pytest

from loralift.data import prompts
from loralift.data.prompts import (
    CHAT_SEPARATOR,
    DEFAULT_SYSTEM_PROMPT,
    PLAIN_SEPARATOR,
    chat_messages,
    render_prompt,
    training_text,
)

EXPECTED = """\
You are a helpful financial assistant. Provide comprehensive, detailed answers to financial questions. Include \
relevant context, examples, and explanations when appropriate.

Question: What is a bond?

Answer:"""


def test_the_default_prompt_is_exactly_what_models_are_trained_on() -> None:
    assert render_prompt("What is a bond?") == EXPECTED


def test_the_training_text_is_the_prompt_one_space_and_the_answer() -> None:
    assert training_text("What is a bond?", "A loan.") == EXPECTED + " A loan."
    assert render_prompt("q", "s") + PLAIN_SEPARATOR + "a" == training_text("q", "a", "s")


def test_an_empty_system_prompt_leaves_no_blank_lines() -> None:
    assert render_prompt("Why?", "") == "Question: Why?\n\nAnswer:"


@pytest.mark.parametrize("text", ["{question}", "{0} {} }{", "%s %(x)s", r"\1 \n", "a\n\nAnswer: b", " spaces ", "$x"])
def test_question_and_system_prompt_are_taken_literally(text: str) -> None:
    assert render_prompt(text, text) == text + "\n\nQuestion: " + text + "\n\nAnswer:"


def test_chat_messages_hold_the_question_alone() -> None:
    system, user = chat_messages("Why {x}?")
    assert system == {"role": "system", "content": DEFAULT_SYSTEM_PROMPT}
    assert user == {"role": "user", "content": "Why {x}?"}
    assert chat_messages("Why?", "") == [{"role": "user", "content": "Why?"}]
    assert CHAT_SEPARATOR == ""


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(prompts)
    assert result.attempted >= 3
    assert result.failed == 0
