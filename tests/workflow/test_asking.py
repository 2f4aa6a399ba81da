"""How each protocol asks: what the prompts are, to the byte, and what a chat template does with instructions."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from loralift.config import parse
from loralift.errors import ModelError
from loralift.generation.model.tokenization import Texts
from loralift.records import Prompt, Question
from loralift.workflow.asking import Asking, Examples, ask, asking_of, overruled, protocols_of

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TURNS
DROPS_SYSTEM = "{% for m in messages %}{% if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
THINKS = TURNS + "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
NO_THINK = TURNS + "{# /think and /no_think #}"

QUESTIONS = [Question("1", "Why {x}?", "Because.")]
EXAMPLES = Examples((Question("8", "Who?", "Me."), Question("9", "Where?", "Here.")), "Rows 8, 9.")


class Model:
    """A tokenizer with a template, as a generator shows it."""

    def __init__(self, tokenizer: Any, template: str | None, name: str = "some-model") -> None:
        self.tokenizer = copy.copy(tokenizer)
        self.tokenizer.chat_template = template
        self.base_model = SimpleNamespace(source=name, config=SimpleNamespace())
        self._texts = Texts(self.tokenizer, ())
        self.render_chat, self.encode = self._texts.render_chat, self._texts.encode
        self.misfit: str | None = None

    def refuse_misfits(self, prompts: list[Prompt], new_tokens: int) -> None:
        if self.misfit:
            raise ModelError(self.misfit)


@pytest.fixture(scope="session")
def model(tiny_base):
    """Makes a model with a template and a name."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    return lambda template=None, name="some-model": Model(tokenizer, template, name)


def asked(model: Any, examples: Examples = EXAMPLES, **config: Any) -> tuple[Asking, str]:
    protocol = protocols_of(parse({"train_data": "x.jsonl", "system_prompt": "Be brief.", **config}))[0]
    asking = asking_of(protocol, model, examples)
    return asking, ask(model, QUESTIONS, asking).prompts[0].text


def test_training_is_the_plain_prompt(model):
    asking, text = asked(model())
    assert (text, asking.separator, asking.notes) == ("Be brief.\n\nQuestion: Why {x}?\n\nAnswer:", " ", ())


def test_few_shot_shows_the_examples_in_the_same_form_and_stops_at_the_next(model):
    asking, text = asked(model(), protocols=["few-shot"], num_shots=1)
    assert text == "Be brief.\n\nQuestion: Who?\n\nAnswer: Me.\n\nQuestion: Why {x}?\n\nAnswer:"
    assert asking.protocol.stop == ("Question:",)
    assert asking.notes == ("Rows 8, 9.", "Of them protocol few-shot shows the first 1.")
    assert asked(model(), protocols=["few-shot"], num_shots=2)[0].notes == ("Rows 8, 9.",)


@pytest.mark.parametrize(
    ("protocol", "stops"),
    [
        ("training", ("###",)),
        ("few-shot", ("###", "Question:")),
        ({"name": "few-shot", "stop": ["@"]}, ("@",)),
        ({"name": "own", "prompt": "Be brief.\n# Ask:\n{question}\n# Say:", "shots": 2}, ("###", "\n# Ask:")),
        ({"name": "own", "prompt": "Q: {question}\nA:", "shots": 2}, ("###", "\nQ:")),
        ({"name": "own", "prompt": "{question}", "shots": 2}, ("###",)),
        ({"name": "own", "prompt": "- {question}", "shots": 2}, ("###",)),
        ({"name": "own", "prompt": "chat", "shots": 2}, ("###",)),
    ],
)
def test_answers_end_at_the_runs_stops_and_where_a_next_example_would_begin(protocol, stops):
    assert protocols_of(parse({"protocols": [protocol], "stop": ["###"], "train_data": "x.jsonl"}))[0].stop == stops


@pytest.mark.parametrize(("end", "separator"), [("A:", " "), ("A:\n", "")])
def test_a_prompt_of_ones_own_is_taken_literally(model, end, separator):
    own = {"name": "own", "prompt": f"{{x}} Q: {{question}}\n{end}", "shots": 1}
    asking, text = asked(model(), protocols=[own])
    assert text == f"{{x}} Q: Who?\n{end}{separator}Me.\n\n{{x}} Q: Why {{x}}?\n{end}"
    assert asking.separator == separator


@pytest.mark.parametrize(
    ("template", "shown", "notes"),
    [
        (TURNS, "<system>Be brief.<user>Why {x}?<assistant>", 0),
        (NO_SYSTEM, "<user>Be brief.\n\nWhy {x}?<assistant>", 1),
        (DROPS_SYSTEM, "<user>Be brief.\n\nWhy {x}?", 1),
    ],
)
def test_instructions_reach_the_model_whatever_the_template_does_with_a_system_message(model, template, shown, notes):
    for config in ({"protocols": ["chat"]}, {"chat_template": True}):
        asking, text = asked(model(template), **config)
        assert (text, asking.separator, len(asking.notes)) == (shown, "", notes)
    assert all("takes no system message" in note for note in asking.notes)


def test_examples_of_a_chat_are_turns(model):
    own = {"name": "own", "prompt": "chat", "shots": 1}
    assert asked(model(NO_SYSTEM), protocols=[own])[1] == (
        "<user>Be brief.\n\nWho?<assistant>Me.<user>Why {x}?<assistant>"
    )


def test_a_template_that_writes_no_instructions_at_all_is_refused(model):
    with pytest.raises(ModelError, match="writes the instructions neither"):
        asked(model("{{ messages[-1].role }}"), protocols=["chat"])


LAST_ALONE = "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}<user>{{ messages[-1].content }}"
USERS_ALONE = (
    "{% for m in messages %}{% if m.role != 'assistant' %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
)
FIRST_ALONE = "{{ messages[0].content }}<assistant>"
OWN = {"name": "own", "prompt": "chat", "shots": 2}


@pytest.mark.parametrize(
    ("template", "config", "lost"),
    [
        (LAST_ALONE, {"protocols": [OWN]}, "leaves out the examples' questions, the examples' answers of protocol own"),
        (USERS_ALONE, {"protocols": [OWN]}, "leaves out the examples' answers of protocol own"),
        (FIRST_ALONE, {"protocols": [OWN], "system_prompt": ""}, "examples' answers, the question of protocol own"),
        (FIRST_ALONE, {"protocols": ["chat"]}, "leaves out the question of protocol chat"),
        (FIRST_ALONE, {"chat_template": True}, "leaves out the question of protocol training"),
        (
            "{{ messages[-1].content }}{# /no_think #}",
            {"protocols": [OWN]},
            "leaves out the instructions, the examples'",
        ),
    ],
)
def test_what_a_template_leaves_out_is_refused(model, template, config, lost):
    with pytest.raises(ModelError, match=lost):
        asked(model(template), **config)
    if config.get("protocols") == [OWN] and template == LAST_ALONE:
        assert asked(model(template), protocols=["chat"])[1] == "Be brief.<user>Why {x}?"


def test_a_model_without_a_template_is_refused(model):
    with pytest.raises(ModelError, match="`--protocol chat` and `--chat-template` need a model with a chat template"):
        asked(model(None), protocols=["chat"])


OFF = "<system>detailed thinking off<user>Be brief.\n\nWhy {x}?<assistant>"
NEMOTRON = "nvidia/Llama-3.1-Nemotron-Nano-8B-v1"


@pytest.mark.parametrize(
    ("template", "name", "shown"),
    [
        (TURNS, NEMOTRON, "<system>detailed thinking off<user>Be brief.\n\nWhy {x}?<assistant>"),
        (
            TURNS,
            "/models/llama-3_3-nemotron-super-49b-v1",
            "<system>detailed thinking off<user>Be brief.\n\nWhy {x}?<assistant>",
        ),
        (NO_THINK, NEMOTRON, "<system>/no_think<user>Be brief.\n\nWhy {x}?<assistant>"),
        (THINKS, "qwen3", "<system>Be brief.<user>Why {x}?<assistant><think></think>"),
        (TURNS, "nvidia/Llama-3.1-Nemotron-70B-Instruct", "<system>Be brief.<user>Why {x}?<assistant>"),
    ],
)
def test_chat_turns_a_reasoning_model_off_and_says_so(model, template, name, shown):
    asking, text = asked(model(template, name), protocols=["chat"])
    assert text == shown
    assert [note for note in asking.notes if "thinking is off" in note] == list(asking.notes)
    assert bool(asking.notes) == ("70B" not in name)


def test_thinking_can_be_asked_for(model):
    chat = {"name": "chat", "thinking": True}
    asking, text = asked(model(TURNS, NEMOTRON), protocols=[chat])
    assert text.startswith("<system>detailed thinking on<user>Be brief.")
    assert "thinking is on" in asking.notes[0]
    assert asked(model(THINKS), protocols=[chat])[1] == "<system>Be brief.<user>Why {x}?<assistant>"
    with pytest.raises(ModelError, match="needs a model with a reasoning switch"):
        asked(model(TURNS), protocols=[chat])


def test_instructions_that_turn_the_switch_stay_the_systems(model):
    said = {"system_prompt": "detailed thinking on", "protocols": ["chat"]}
    asking, text = asked(model(TURNS, NEMOTRON), **said)
    assert text == "<system>detailed thinking on<user>Why {x}?<assistant>"
    assert asking.notes == ("The model has a reasoning switch, which the instructions turn themselves.",)
    thinks = [{"name": "chat", "thinking": True}]
    assert asked(model(TURNS, NEMOTRON), system_prompt="Detailed thinking on.", protocols=thinks)[0].switch == ""
    with pytest.raises(ModelError, match="chat is true, and its instructions turn thinking off"):
        asked(model(NO_THINK), system_prompt="Be brief. /no_think", protocols=thinks)


@pytest.mark.parametrize(
    ("template", "name", "said", "off"),
    [
        (TURNS, NEMOTRON, "Answer with detailed thinking about risks.", "detailed thinking off"),
        (NO_THINK, "other", "See https://bank.example/think first.", "/no_think"),
    ],
)
def test_instructions_that_only_have_the_switchs_words_leave_it_to_the_protocol(model, template, name, said, off):
    asking, text = asked(model(template, name), system_prompt=said, protocols=["chat"])
    assert text == f"<system>{off}<user>{said}\n\nWhy {{x}}?<assistant>"
    assert "thinking is off" in asking.notes[0]


def test_training_leaves_the_switch_alone_and_says_so(model):
    asking, text = asked(model(TURNS, NEMOTRON), chat_template=True)
    assert text == "<system>Be brief.<user>Why {x}?<assistant>"
    assert "leaves alone" in asking.notes[0]


def test_a_prompt_that_does_not_fit_says_what_the_examples_cost(model):
    few = model()
    few.misfit = "1 of 1 prompts leave no room"
    with pytest.raises(ModelError, match="leave no room; protocol few-shot shows 2 examples: lower --num-shots"):
        asked(few, protocols=["few-shot"], num_shots=2)


def test_what_a_protocol_says_for_itself_is_told_where_the_run_says_otherwise():
    brief = {"name": "brief", "max_new_tokens": 8, "temperature": 0.5}
    own = {"name": "own", "prompt": "{question} A:"}
    config = parse({"protocols": ["training", brief, own], "max_new_tokens": 50, "system_prompt": "Be brief."})
    assert list(overruled(config, "training")) == []
    assert list(overruled(config, "brief")) == ["It has a max_new_tokens of its own, 8, and not the run's 50."]
    assert list(overruled(config, "own")) == [
        "Its prompt is a text of its own, so the run's system_prompt is not in it."
    ]
