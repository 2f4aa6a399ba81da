"""Protocols in a configuration: built-in names, the user's own in YAML, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralift.config import load, parse
from loralift.errors import UsageError

OWN = {"name": "brief", "prompt": "chat", "system_prompt": "Be brief.", "max_new_tokens": 32, "stop": ["\n"]}
FORM = {"name": "form", "prompt": "### Instruction:\n{question}\n\n### Response:\n"}


def test_training_is_the_protocol_where_none_is_named() -> None:
    assert [protocol.name for protocol in parse({}).protocols] == ["training"]


def test_names_and_descriptions_stand_side_by_side() -> None:
    training, chat, brief, form = parse({"protocols": ["training", "chat", OWN, FORM]}).protocols
    assert (training.prompt, chat.prompt, form.prompt) == ("plain", "chat", FORM["prompt"])
    assert (brief.system_prompt, brief.max_new_tokens, brief.stop) == ("Be brief.", 32, ("\n",))
    assert form.max_new_tokens is None  # the run's


def test_a_mapping_with_a_built_in_name_changes_that_one() -> None:
    few, chat = parse(
        {"train_data": "x.jsonl", "protocols": [{"name": "few-shot", "shots": 8}, {"name": "chat", "thinking": True}]}
    ).protocols
    assert (few.shots, few.prompt) == (8, "plain")
    assert (chat.prompt, chat.thinking) == ("chat", True)


def test_flags_choose_among_what_the_file_describes(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("protocols:\n  - training\n  - {name: brief, prompt: chat, max_new_tokens: 7}\n", encoding="utf-8")
    chosen = load(file, {"protocols": ("brief", "chat")}).protocols
    assert [(protocol.name, protocol.max_new_tokens) for protocol in chosen] == [("brief", 7), ("chat", None)]
    assert [protocol.name for protocol in load(file, {}).protocols] == ["training", "brief"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"protocols": []}, "`--protocol` must be a list of names, or of mappings with a name"),
    ({"protocols": "chat"}, "`--protocol` must be a list of names"),
    ({"protocols": [3]}, "`--protocol` must be a list of names"),
    ({"protocols": ["brief"]}, "must be training, chat, few-shot, or one that the configuration file describes"),
    ({"protocols": ["chat", "chat"]}, "names chat twice"),
    ({"protocols": [OWN, {"name": "Brief"}]}, "names Brief twice"),
    # names of their own would ask plainly
    ({"protocols": [{"name": "Chat", "max_new_tokens": 8}]}, "Chat is not chat, which is LoraLift's own: write chat"),
    ({"protocols": [{"name": "few_shot"}]}, "few_shot is not few-shot, which is LoraLift's own: write few-shot"),
    ({"protocols": ["training", {"name": "fewshot", "shots": 2}]}, "fewshot is not few-shot"),
    ({"chat_template": True, "protocols": [FORM]}, "`--chat-template` changes nothing: form asks by another prompt"),
    (
        {"chat_template": True, "protocols": [{"name": "short", "max_new_tokens": 8}, "few-shot"], "shots": "x.jsonl"},
        "`--chat-template` changes nothing: short, few-shot asks by another prompt",
    ),
    (
        {"num_shots": 8, "protocols": [{**OWN, "shots": 2}], "shots": "x.jsonl"},
        "`--num-shots` is of few-shot, and brief has its own: change its shots",
    ),
    ({"protocols": [{"prompt": "chat"}]}, "`name` must be a name of at most 100 letters"),
    ({"protocols": [{"name": "base"}]}, "`name` must be a name of at most 100 letters"),
    ({"protocols": [{"name": "../up"}]}, "`name` must be a name of at most 100 letters"),
    (
        {"protocols": [{**OWN, "promt": "chat"}]},
        "brief: 'promt' is not a key of the configuration; did you mean",
    ),
    (
        {"protocols": [{"name": "x", "prompt": "no place"}]},
        "x: `prompt` must be plain, chat, alpaca, verbatim, or a",
    ),
    ({"protocols": [{"name": "x", "prompt": "Q: {{question}}\nA:"}]}, "that holds {question} once, not {{question}}"),
    (
        {"protocols": [{"name": "x", "prompt": "{question} {question}"}]},
        "x: `prompt` must be plain, chat, alpaca, verbatim, or",
    ),
    ({"protocols": [{**FORM, "system_prompt": "Be brief."}]}, "form: a prompt of your own holds its instructions"),
    ({"protocols": [{"name": "x", "thinking": False}]}, "x: only a chat prompt can tell a model whether to think"),
    ({"protocols": [{"name": "chat", "prompt": "plain"}]}, "chat has a prompt of its own: give yours another name"),
    ({"protocols": [{**OWN, "max_new_tokens": 0}]}, "brief: `max_new_tokens` must be an integer from 1"),
    ({"protocols": [{**OWN, "temperature": 1e-5}]}, "brief: `temperature` must be 0 (greedy) or a number from 0.001"),
    ({"protocols": [{**OWN, "stop": [""]}]}, "brief: `stop` must be a list of non-empty strings"),
    ({"protocols": [{**OWN, "shots": 101}]}, "brief: `shots` must be an integer from 0 to 100"),
    ({"protocols": [{**OWN, "top_p": 0.5}]}, "`--top-p` below 1 needs --temperature above 0"),
    ({"protocols": ["training", OWN], "repeats": 2, "temperature": 0.0}, "above 0 (training): greedy answers are all"),
    (
        {"protocols": ["training", {**OWN, "temperature": 0}], "repeats": 2, "temperature": 0.5},
        "above 0 (brief): greedy answers are all",
    ),
    ({"protocols": ["few-shot"]}, "`--shots` must be given, or --train-data, for the worked examples of few-shot"),
    ({"protocols": [{**OWN, "shots": 2}]}, "for the worked examples of brief"),
    ({"shots": "x.jsonl"}, "`--shots` is for worked examples, and no protocol has any"),
    ({"num_shots": 3}, "`--num-shots` is for worked examples, and no protocol has any"),
    ({"num_shots": 0, "protocols": ["few-shot"], "shots": "x.jsonl"}, "`--num-shots` must be an integer from 1 to 100"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED)
def test_what_cannot_be_meant_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(values)
    assert message in str(error.value)
