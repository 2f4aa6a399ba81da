"""Which column is which, and what is said where none is."""

from __future__ import annotations

import re

import pytest

from loralift.data.columns import find_columns
from loralift.errors import DataError

CHAT = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
SHARED = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]


@pytest.mark.parametrize("chat", [CHAT, SHARED, repr(CHAT), '[{"from": "human", "value": "Why?"}]'])
@pytest.mark.parametrize("column", ["messages", "conversations", "dialog"])
def test_chat_messages_are_recognised_whatever_they_are_called(column: str, chat: object) -> None:
    said = f"column {column!r} holds chat messages, which are read from a column of lists alone (.jsonl, .json, .parq"
    with pytest.raises(DataError, match=re.escape(said)):
        find_columns("data", {"source": "web", column: chat}, {})


def test_a_message_names_the_flag() -> None:
    with pytest.raises(
        DataError, match=r"no column for the reference: .*name the right one in `columns` \(--column ref"
    ):
        find_columns("data", {"question": "q", "text": "a"}, {})
    with pytest.raises(DataError, match=r"could be the question: query, prompt; .*\(--column question=query\)$"):
        find_columns("data", {"prompt": "q", "query": "q", "answer": "a"}, {})


def test_alpacas_two_halves_are_recognised() -> None:
    with pytest.raises(DataError, match=r"=instruction\), or write both into one: what Alpaca asks is instruction and"):
        find_columns("data", {"instruction": "i", "input": "x", "output": "o"}, {})


def test_one_column_is_not_both_question_and_reference() -> None:
    with pytest.raises(DataError, match="column 'a' cannot be both the question and the reference"):
        find_columns("data", {"a": "x", "b": "y"}, {"question": "a", "reference": "a"})
