"""The prompt of every format is, token for token, what its training tool builds; nothing of a row goes silently."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from loralift.config import parse
from loralift.data import load_questions
from loralift.errors import ModelError, UsageError
from loralift.records import Question
from loralift.workflow.as_trained import end_of_turn, refuse_unheard_stops, unanswerable
from loralift.workflow.asking import Examples, ask, asking_of, overruled, protocols_of
from tests.workflow.test_asking import DROPS_SYSTEM, NO_SYSTEM, NO_THINK, TURNS, Model

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONVERSATION = [
    {"role": "system", "content": "Be {brief}."},
    {"role": "user", "content": "Who are you?"},
    {"role": "assistant", "content": "A model."},
    {"role": "user", "content": " What is gold? "},
    {"role": "assistant", "content": "A metal."},
]
SHAREGPT = [
    {"from": {"user": "human", "assistant": "gpt"}.get(each["role"], each["role"]), "value": each["content"]}
    for each in CONVERSATION
]
# Stanford Alpaca's PROMPT_DICT (tatsu-lab/stanford_alpaca, train.py); Axolotl's AlpacaPrompter writes the same
WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nSum up.\n\n### Input:\nGold is dear.\n\n### Response:\n"
)
WITHOUT = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n### Instruction:\nSum up.\n\n### Response:\n"
)
ALPACA = {"instruction": "Sum up.", "input": "Gold is dear.", "output": "Dear."}


@pytest.fixture(scope="session")
def model(tiny_base):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    return lambda template=CHATML: Model(tokenizer, template)


@pytest.fixture
def asked(model, tmp_path):
    """Asks rows of a file as a run does, and gives the asking and the prompts."""

    def of(*rows: dict[str, Any], template: str | None = CHATML, **config: Any):
        path = tmp_path / "rows.json"
        path.write_text(json.dumps(rows), encoding="utf-8")
        questions, generator = load_questions(str(path)).questions, model(template)
        protocol = protocols_of(parse(config), questions)[0]
        found = ask(generator, questions, asking_of(protocol, generator, Examples(), questions))
        return found.asking, found.prompts

    return of


@pytest.mark.parametrize(
    "row",
    [
        {"messages": CONVERSATION},
        {"conversations": SHAREGPT},
        {"prompt": CONVERSATION[:-1], "completion": CONVERSATION[-1:]},
    ],
)
def test_conversations_are_asked_as_apply_chat_template_renders_them(asked, model, row):
    asking, (prompt,) = asked(row)
    tokenizer = model().tokenizer
    whole = tokenizer.apply_chat_template(CONVERSATION, tokenize=True, return_dict=False)
    rendered = tokenizer.apply_chat_template(
        CONVERSATION[:-1], tokenize=True, add_generation_prompt=True, return_dict=False
    )
    assert list(prompt.token_ids) == rendered == whole[: len(rendered)]
    assert (asking.separator, asking.protocol.system_prompt) == ("", "")
    assert asking.notes[1] == "No system message but the rows' own is put into it (1 of 1 rows have one)."


def test_no_system_message_is_added_where_training_had_none(asked):
    _, (prompt,) = asked({"messages": CONVERSATION[1:3]})
    assert prompt.text == "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"


def test_alpaca_is_asked_by_stanfords_prompt_or_by_the_template(asked):
    asking, prompts = asked(ALPACA, {**ALPACA, "input": ""})
    assert [prompt.text for prompt in prompts] == [WITH_INPUT, WITHOUT]
    assert (asking.separator, len(asking.notes)) == ("", 1)
    # LLaMA-Factory's AlpacaDatasetConverter joins query and input by a newline, in the user's turn
    _, (prompt,) = asked(ALPACA, chat_template=True)
    assert prompt.text == "<|im_start|>user\nSum up.\nGold is dear.<|im_end|>\n<|im_start|>assistant\n"
    # Axolotl's SystemDataPrompter, of alpaca_w_system
    _, (prompt,) = asked({**ALPACA, "system": "Be brief.", "input": ""})
    assert prompt.text == "### System:\nBe brief.\n\n### Instruction:\nSum up.\n\n### Response:\n"
    _, (prompt,) = asked(ALPACA, system_prompt="Be brief.")
    assert prompt.text == WITH_INPUT.replace(WITH_INPUT.split("\n\n")[0], "Be brief.")


def test_a_prompt_is_asked_as_it_stands_and_its_completion_begins_right_behind_it(asked):
    asking, (prompt,) = asked({"prompt": "Q: {x}?\nA:", "completion": " So."}, system_prompt="Be brief.")
    assert (prompt.text, asking.separator) == ("Q: {x}?\nA:", "")
    config = parse({"system_prompt": "Be brief."})
    said = "Its prompt is each question as it stands, so the run's system_prompt is not in it."
    assert list(overruled(config, "training", asking.protocol.prompt)) == [said]


@pytest.mark.parametrize(
    ("rows", "config", "said"),
    [
        ([{"messages": CONVERSATION}], {"system_prompt": "Be kind."}, "`--system-prompt` of protocol training would"),
        (
            [{"messages": CONVERSATION}],
            {"protocols": [{"name": "p", "prompt": "alpaca"}]},
            "place for the earlier turns",
        ),
        (
            [{"messages": CONVERSATION}],
            {"protocols": [{"name": "p", "prompt": "chat", "shots": 1}], "train_data": "x.jsonl"},
            "would put its worked examples among the earlier turns of 1 rows (0)",
        ),
        ([ALPACA | {"history": [["a", "b"]]}], {}, "protocol training has no place for the earlier turns"),
        (
            [{"messages": [CONVERSATION[0], *CONVERSATION[3:]]}],
            {"protocols": [{"name": "p", "prompt": "{question}"}]},
            "protocol p has no place for the system messages of 1 rows",
        ),
    ],
)
def test_what_a_prompt_has_no_place_for_is_refused(asked, rows, config, said):
    with pytest.raises(UsageError) as caught:
        asked(*rows, **config)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("references", "primary", "refused", "noted"),
    [
        (["gold</s>", "tin </s>\n", "zinc"], "f1", True, False),
        (["gold</s>", "tin", "zinc"], "f1", False, True),
        (["gold</s>", "tin</s>", "zinc</s>"], "perplexity", False, True),
        (["gold", "<s>tin", "</s>zinc"], "f1", False, False),
    ],
)
def test_references_that_no_answer_can_equal(references, primary, refused, noted):
    tokenizer = SimpleNamespace(added_tokens_decoder={}, all_special_tokens=["<s>", "</s>"])
    questions = [Question(str(n), "What?", text) for n, text in enumerate(references)]
    found = unanswerable(SimpleNamespace(tokenizer=tokenizer), questions, primary)
    said = "of 3 references end with a special token of the model (</s>), which no answer holds"
    if refused:
        with pytest.raises(UsageError, match=re.escape(f"`--dataset` cannot be judged: 2 {said}")):
            list(found)
    else:
        assert [said in note for note in found] == [True] * noted


def test_conversations_need_a_chat_template(asked):
    with pytest.raises(ModelError, match=r"tokenizer has none: put that of the training \(chat_template.jinja"):
        asked({"messages": CONVERSATION}, template=None)


def test_a_row_that_the_template_refuses_is_named(asked):
    picky = "{% if messages[0].content == 'x' %}{{ raise_exception('no x') }}{% endif %}" + TURNS
    refused = {"messages": [{"role": "user", "content": "x"}, CONVERSATION[-1]]}
    with pytest.raises(ModelError, match=r"^1: the model's chat template refuses these messages: no x"):
        asked({"messages": CONVERSATION[1:3]}, refused, template=picky)


def test_a_template_that_takes_no_system_message_is_said(asked):
    row = {"messages": [CONVERSATION[0], *CONVERSATION[1:3]]}
    asking, (prompt,) = asked(row, template=NO_SYSTEM)
    assert prompt.text == "<user>Be {brief}.\n\nWho are you?<assistant>"
    assert "takes no system message" in asking.notes[-1]
    asking, (prompt,) = asked(row, template=DROPS_SYSTEM)
    assert prompt.text == "<user>Who are you?"
    left_out, ahead = asking.notes[-2:]
    assert left_out.startswith("The chat template leaves out system messages, as in training: those of 1 rows")
    assert ahead.startswith("In training the chat template writes '<assistant>' between the prompt and an answer")


def test_a_template_that_leaves_out_turns_is_refused(asked):
    with pytest.raises(ModelError, match="leaves out the earlier turns of protocol training"):
        asked({"messages": CONVERSATION[1:]}, template="{{ messages[-1].content }}<assistant>")


def test_a_row_that_turns_the_reasoning_switch_keeps_its_own(asked):
    rows = [{"messages": [{"role": "system", "content": "/think hard"}, *CONVERSATION[1:3]]}]
    asking, (prompt,) = asked(*rows, template=NO_THINK, protocols=["chat"])
    assert prompt.text == "<system>/think hard<user>Who are you?<assistant>"
    assert asking.notes[-1] == "1 rows turn it themselves, in their own system messages."


def test_other_protocols_put_a_rows_system_message_in_the_place_of_theirs(model):
    question = Question("1", "Why?", "So.", style="chat", system="Be kind.")
    protocol = protocols_of(parse({"protocols": [{"name": "p"}]}), [question])[0]
    generator = model()
    found = ask(generator, [question], asking_of(protocol, generator, Examples(), [question]))
    assert found.prompts[0].text == "Be kind.\n\nQuestion: Why?\n\nAnswer:"


def test_an_end_of_turn_that_ends_no_answer_ends_it_from_now_on(model):
    generator = model()
    generator.tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    end = generator.tokenizer.convert_tokens_to_ids("<|im_end|>")
    for known, count in (((), 1), ((end,), 0)):
        generator.describe = lambda known=known: SimpleNamespace(information={"eos_token_ids": list(known)})
        ended = []
        generator.end_at = ended.append
        notes = list(end_of_turn(generator))
        assert len(notes) == count
        assert ended == [end] * count
        assert all("ends a turn with <|im_end|>" in note for note in notes)
    protocol = protocols_of(parse({"stop": ["<|im_end|>"]}))[0]
    refuse_unheard_stops(protocol, generator)
    generator.describe = lambda: SimpleNamespace(information={"eos_token_ids": [1]})
    with pytest.raises(UsageError, match="with --eos-token"):
        refuse_unheard_stops(protocol, generator)
