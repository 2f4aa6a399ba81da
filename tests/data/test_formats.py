"""The formats that people train on: told by shape, read whole; what cannot be asked is left out with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift.data import LoadedData, find_leaks, load_questions, read_training_texts
from loralift.errors import DataError
from loralift.records import Turn

ASKED = {"role": "user", "content": "Why?"}
SAID = {"role": "assistant", "content": "So."}
AGAIN = {"role": "user", "content": "And then?"}
LAST = {"role": "assistant", "content": "Nothing."}


def load(folder: Path, *rows: dict[str, Any], **settings: Any) -> LoadedData:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_questions(str(path), **settings)


@pytest.mark.parametrize(
    ("row", "style", "said"),
    [
        ({"messages": [ASKED, SAID]}, "chat", "read as chat messages (column 'messages'); its last turn"),
        ({"dialog": [ASKED, SAID]}, "chat", "read as chat messages (column 'dialog')"),
        ({"prompt": "Why?", "messages": [ASKED, SAID]}, "chat", "read as chat messages (column 'messages')"),
        (
            {
                "id": "identity_0",
                "conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}],
            },
            "chat",
            "read as ShareGPT's conversations (column 'conversations'), in which human asks as user",
        ),
        ({"prompt": [ASKED], "completion": [SAID]}, "chat", "read as prompts and completions of chat messages"),
        ({"prompt": "Why?", "completion": "So."}, "verbatim", "read as prompts and completions (columns 'prompt'"),
        ({"instruction": "Why?", "output": "So."}, "alpaca", "read as Alpaca's rows (columns 'instruction', 'output')"),
        ({"instruction": "Why?", "input": "", "output": "So."}, "alpaca", "read as Alpaca's rows (columns 'instruc"),
        ({"question": "Why?", "answers": ["So.", "Thus."]}, "plain", "1 row has several references"),
        ({"question": "Why?", "answer": "So.", "messages": [AGAIN, LAST]}, "plain", "column 'messages' is not part"),
        ({"instruction": "Why?", "response": "So."}, "plain", ""),
    ],
)
def test_a_format_is_told_by_its_shape(tmp_path: Path, row: dict[str, Any], style: str, said: str) -> None:
    data = load(tmp_path, row)
    (question,) = data.questions
    assert (question.question, question.reference, question.style) == ("Why?", "So.", style)
    assert " ".join(data.notes).startswith(said)


def test_the_first_row_may_say_nothing(tmp_path: Path) -> None:
    data = load(tmp_path, {"messages": []}, {"messages": None}, {"messages": [ASKED, SAID]})
    assert ([q.id for q in data.questions], [row.reason for row in data.dropped]) == (["2"], ["it has no messages"] * 2)


def test_a_system_message_and_earlier_turns_are_kept(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be brief."}
    (question,) = load(tmp_path, {"messages": [system, ASKED, SAID, AGAIN, LAST]}).questions
    assert (question.system, question.question, question.reference) == ("Be brief.", "And then?", "Nothing.")
    assert question.turns == (Turn("user", "Why?"), Turn("assistant", "So."))
    assert question.conversation == "system: Be brief.\n\nuser: Why?\n\nassistant: So.\n\nuser: And then?"


def test_every_turn_of_the_assistant_is_a_row(tmp_path: Path) -> None:
    rows = [{"id": "c", "messages": [ASKED, SAID, AGAIN, LAST]}, {"id": "d", "messages": [SAID, ASKED, SAID]}]
    data = load(tmp_path, *rows, every_turn=True)
    assert [(q.id, q.question, q.reference, len(q.turns)) for q in data.questions] == [
        ("c#turn1", "Why?", "So.", 0),
        ("c#turn2", "And then?", "Nothing.", 2),
        ("d#turn2", "Why?", "So.", 1),
    ]
    assert [(row.id, row.reason) for row in data.dropped] == [
        ("d#turn1", "turn 1 of the assistant does not follow one of the user")
    ]
    with pytest.raises(DataError, match="`--every-turn` is of conversations"):
        load(tmp_path, {"question": "Why?", "answer": "So."}, every_turn=True)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([ASKED], "no turn of it is the assistant's"),
        ([SAID], "turn 1 of the assistant does not follow one of the user"),
        ([ASKED, SAID, SAID], "turn 2 of the assistant does not follow one of the user"),
        ([ASKED, {"role": "assistant", "content": " "}], "cannot be asked: the assistant's turn is empty"),
        ([{"role": "user", "content": ""}, SAID], "cannot be asked: the user's turn before it is empty"),
        (
            [ASKED, {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}, SAID],
            "message 2 has 'tool_calls'",
        ),
        ([ASKED, {"role": "tool", "content": "4"}, SAID], "message 2 has the role 'tool', which is none of system"),
        ([ASKED, SAID | {"reasoning_content": "Hm."}], "message 2 has 'reasoning_content', which is not read"),
        (
            [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}, SAID],
            "message 1 has no text as its content",
        ),
        ([ASKED, {"role": "system", "content": "Be brief."}, AGAIN, SAID], "a system message stands behind other"),
        ([ASKED, "So."], "message 2 is no object"),
    ],
)
def test_what_cannot_be_asked_as_it_was_trained_is_left_out(tmp_path: Path, messages: Any, reason: str) -> None:
    data = load(tmp_path, {"messages": [ASKED, SAID]}, {"messages": messages})
    assert [(row.id, reason in row.reason) for row in data.dropped] == [("1", True)]
    with pytest.raises(DataError, match="1 of 2 questions cannot be evaluated"):
        load(tmp_path, {"messages": [ASKED, SAID]}, {"messages": messages}, strict=True)


def test_a_row_with_tools_is_left_out(tmp_path: Path) -> None:
    data = load(tmp_path, {"messages": [ASKED, SAID], "tools": None}, {"messages": [ASKED, SAID], "tools": "[{}]"})
    assert [row.reason for row in data.dropped] == [
        "column 'tools' changes what a chat template writes, and is not read"
    ]


def test_what_is_not_used_of_messages_is_said(tmp_path: Path) -> None:
    row = {"messages": [ASKED | {"name": "Ann"}, SAID | {"weight": 0}, AGAIN], "context": "Some long passage of text."}
    notes = load(tmp_path, row).notes
    for part in ("nobody answers", "'weight'", "'name'", "'context'"):
        assert any(part in note for note in notes)


def test_alpacas_input_system_and_history_belong_to_the_question(tmp_path: Path) -> None:
    row = {"instruction": "Sum up.", "input": "Gold is dear.", "output": "Dear.", "system": "Be brief."}
    (question,) = load(tmp_path, row | {"history": [["Hi.", "Hello."]]}).questions
    assert (question.question, question.input, question.system) == (
        "Sum up.\nGold is dear.",
        "Gold is dear.",
        "Be brief.",
    )
    assert question.turns == (Turn("user", "Hi."), Turn("assistant", "Hello."))
    with pytest.raises(DataError, match="the history must be a list of pairs"):
        load(tmp_path, row | {"history": "Hi."})


@pytest.mark.parametrize(
    ("row", "settings", "said"),
    [
        ({"question": "Why?", "answer": "So."}, {"wanted": "messages"}, r"must have a column of lists of {\"role\", "),
        ({"messages": [ASKED, SAID]}, {"wanted": "sharegpt"}, r"must have a column of lists of {\"from\", "),
        ({"question": "Why?", "answer": "So."}, {"wanted": "alpaca"}, "no column 'instruction' for the question"),
        ({"a": [ASKED, SAID], "b": [ASKED, SAID]}, {}, r"got 'a', 'b': name one \(--column question=a\)"),
        ({"messages": [ASKED, SAID]}, {"wanted": "qa"}, "read from a column of lists alone"),
        ({"prompt": [ASKED], "completion": "So."}, {}, "must both hold chat messages, or both text"),
        ({"a": [ASKED, SAID], "b": "x"}, {"columns": {"question": "a", "reference": "b"}}, "must not name a reference"),
    ],
)
def test_a_format_that_is_not_there_is_an_error(tmp_path: Path, row: Any, settings: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load(tmp_path, row, **settings)


def test_a_format_may_be_named(tmp_path: Path) -> None:
    (plain,) = load(tmp_path, {"prompt": "Why?", "completion": "So."}, wanted="qa").questions
    assert plain.style == "plain"
    mine = {"q": "Why?", "a": "So.", "input": "Gold."}
    (own,) = load(tmp_path, mine, wanted="alpaca", columns={"question": "q", "reference": "a"}).questions
    assert (own.question, own.style) == ("Why?\nGold.", "alpaca")


def test_a_leak_is_found_in_every_format(tmp_path: Path) -> None:
    row = {"instruction": "Name it:", "input": "gold bond", "output": "Dear."}
    data = load(tmp_path, row)
    assert [leak.part for leak in find_leaks(data.questions, read_training_texts(tmp_path / "rows.jsonl"))] == [
        "question"
    ]
    chat = load(tmp_path, {"messages": [ASKED, SAID, {"role": "user", "content": "Can you say more?"}, LAST]})
    assert find_leaks(chat.questions, ["Can you say more?"]) == ()
