"""References stand where the chat template writes them in training, whatever it writes ahead of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loralift.config import parse
from loralift.errors import UsageError
from loralift.generation.endpoint.likelihood import wanted
from loralift.records import Prompt, Question, Turn
from loralift.workflow.asking import Asked, Examples, ask, asking_of, protocols_of
from loralift.workflow.joins import moves_spaces
from loralift.workflow.prepare import _tell_joins
from loralift.workflow.provenance import fingerprint
from tests.workflow.test_as_trained import CHATML
from tests.workflow.test_asking import Model

LLAMA_2 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% else %}{{ raise_exception('no system') }}"
    "{% endif %}{% endfor %}"
)
# as Qwen3's: before the last answer alone, and none of ours where it thinks itself
QWEN_3 = (
    "{% for m in messages %}<|{{ m.role }}|>\n"
    "{% if m.role == 'assistant' and loop.last and '</think>' not in m.content %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
EMPTY = "<think>\n\n</think>\n\n"
# as DeepSeek-R1's: asked with thinking open, trained without
OPENS_THINKING = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>')[-1] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant><think>\n{% endif %}"
)
TRIMS = CHATML.replace("m.content", "m.content | trim")
REFUSES = (
    "{% if messages[-1].role != 'user' %}{{ raise_exception('ask') }}{% endif %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
)
EARLIER = (Turn("user", "Who?"), Turn("assistant", "Me."))


@pytest.fixture(scope="session")
def asked(tiny_base: Path) -> Any:
    """Asks questions through a template, as their training asks or by the protocol chat."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)

    def of(template: str, *questions: Question, **config: Any) -> Asked:
        protocol = protocols_of(parse({"train_data": "x.jsonl", **config}), questions)[0]
        generator: Any = Model(tokenizer, template)
        return ask(generator, questions, asking_of(protocol, generator, Examples(), questions))

    return of


def given(prompt: str, completion: str, key: str = "1") -> Question:
    return Question(key, prompt, completion, style="verbatim")


def chat(reference: str, key: str = "1", **more: Any) -> Question:
    return Question(key, "Why?", reference, style="chat", **more)


@pytest.mark.parametrize(
    ("template", "question", "ahead"),
    [
        (CHATML, chat("So."), ""),
        (LLAMA_2, chat("So."), " "),
        (LLAMA_2, chat("So. \n", turns=EARLIER), " "),  # data may end so, and templates strip it
        (QWEN_3, chat("So."), EMPTY),
        (QWEN_3, chat("think"), EMPTY),  # stands in what is ahead of it
        (QWEN_3, chat("So.", turns=EARLIER, system="Be brief."), EMPTY),
        (QWEN_3, chat("<think>\nHm.\n</think>\n\nSo."), ""),
        (TRIMS, chat("So.\n"), ""),
        (TRIMS, chat("\nSo."), None),  # trained without the newline
        (OPENS_THINKING, chat("So."), None),
        (REFUSES, chat("So."), None),
    ],
)
def test_a_reference_stands_where_the_template_writes_it(
    asked: Any, template: str, question: Question, ahead: str | None
) -> None:
    found = asked(template, question)
    (prompt,) = found.prompts
    assert prompt.ahead == ahead
    told = found.asking.notes[-1]
    if ahead:
        assert told.startswith(f"In training the chat template writes {ahead!r} between the prompt and an answer: ")
    elif ahead is None:
        assert "the references of 1 of 1 rows" in told
        assert "perplexity is null" in told
    else:
        assert not any("In training" in note or "null" in note for note in found.asking.notes)
    # what is asked to answer is what it was
    assert "So." not in prompt.text
    assert not ahead or not prompt.text.endswith(ahead)


def test_each_row_has_its_own_and_all_are_counted(asked: Any) -> None:
    thinks = "<think>\nHm.\n</think>\n\nSo."
    rows = [chat(one, str(n)) for n, one in enumerate([thinks, "So.", thinks, "No."])]
    found = asked(QWEN_3, *rows)
    assert [prompt.ahead for prompt in found.prompts] == ["", EMPTY, "", EMPTY]
    assert "the answers of 2 of 4 rows" in found.asking.notes[-1]


def test_thinking_that_the_prompt_turns_off_is_in_the_prompt(asked: Any) -> None:
    found = asked(QWEN_3, Question("1", "Why?", "So."), protocols=["chat"], system_prompt="")
    assert found.asking.variables == {"enable_thinking": False}
    assert [(prompt.text.endswith(EMPTY), prompt.ahead) for prompt in found.prompts] == [(True, "")]
    assert not any("In training" in note for note in found.asking.notes)


def test_a_resume_with_another_text_ahead_is_another_run(asked: Any) -> None:
    found = asked(LLAMA_2, chat("So."))
    dataset: Any = SimpleNamespace(
        protocol=found.asking.protocol, data=SimpleNamespace(sha256="d", questions=[chat("So.")])
    )
    model: Any = SimpleNamespace(identity={}, numerics={})
    one, other = (
        fingerprint(parse({}), dataset, [replace(found.prompts[0], ahead=ahead)], model)["prompt"]
        for ahead in (" ", "")
    )
    assert [key for key in one if one[key] != other[key]] == ["ahead_sha256"]


def test_perplexity_does_not_decide_where_no_reference_has_a_place(asked: Any) -> None:
    said: list[str] = []
    watcher: Any = SimpleNamespace(say=said.append)
    found = asked(OPENS_THINKING, chat("So."))
    before = replace(found.asking, notes=found.asking.notes[:-1])
    _tell_joins(before, found, parse({"primary": "rougeL"}), watcher)
    assert said == [f"training: {found.asking.notes[-1]}"]
    with pytest.raises(UsageError, match="`--primary` cannot be perplexity"):
        _tell_joins(before, found, parse({"primary": "perplexity"}), watcher)


@pytest.mark.parametrize(
    ("prompt", "reference", "text", "ahead"),
    [
        ("A: ", "stocks are 6.", "A:", " "),
        ("A:  ", "stocks are 6.", "A:", "  "),
        ("A:", " stocks are 6.", "A:", ""),
        ("A:\n", "stocks are 6.", "A:\n", ""),
        (" ", "stocks are 6.", " ", ""),
    ],
)
def test_a_space_at_a_prompts_end_is_the_answers(
    asked: Any, prompt: str, reference: str, text: str, ahead: str
) -> None:
    found = asked(CHATML, given(prompt, reference))
    (one,) = found.prompts
    assert (one.text, one.ahead) == (text, ahead)
    # with the BOS of a text
    assert len(one.token_ids) == len(asked(CHATML, given(text, reference)).prompts[0].token_ids)
    assert ("1 of 1 prompts end in a space" in found.asking.notes[-1]) is bool(ahead)


def test_a_prompt_of_ones_own_that_ends_in_a_space_is_asked_without_it(asked: Any) -> None:
    own = {"name": "own", "prompt": "Q: {question}\nA: "}
    found = asked(CHATML, Question("1", "Why?", "stocks"), Question("2", "Who?", "bonds"), protocols=[own])
    assert [(one.text, one.ahead) for one in found.prompts] == [("Q: Why?\nA:", " "), ("Q: Who?\nA:", " ")]
    assert "2 of 2 prompts end in a space" in found.asking.notes[-1]


def test_rows_whose_prompts_and_answers_share_a_token_are_counted(asked: Any) -> None:
    found = asked(CHATML, given("What are sto", "cks?"), given("A:", " stocks", "2"))
    assert [one.ahead for one in found.prompts] == ["", ""]
    assert found.asking.notes[-1].startswith("In 1 of 2 rows a token spans")
    # a template's prompt is asked as it is, and said
    template = "{% for m in messages %}<{{ m.role }}>: {{ m.content }}{% endfor %}"
    found = asked(template + "{% if add_generation_prompt %}<assistant>: {% endif %}", chat("stocks"))
    assert found.prompts[0].text == "<user>: Why?<assistant>: "
    assert found.asking.notes[-1].startswith("In 1 of 1 rows a token spans")


def test_spaces_move_in_all_rows_where_most_tokens_are_joined() -> None:
    """As of a tokenizer that joins a space with letters and not with digits."""

    def encode(texts: list[str], _special: bool) -> list[tuple[int, ...]]:
        return [tuple(map(hash, re.findall(r" ?[^\W\d]+|.", text))) for text in texts]

    generator: Any = SimpleNamespace(encode=encode, tokenizer=SimpleNamespace(get_vocab=lambda: {"a": 1}))
    word, number, other = ("A: ", "five"), ("A: ", "5"), ("A:", " five")
    assert moves_spaces(generator, [word, word, number, other])
    assert not moves_spaces(generator, [word, number, other])
    assert not moves_spaces(generator, [number, other])
    generator.tokenizer.get_vocab = dict  # nobody has the served model's: it is taken for one of the usual
    assert moves_spaces(generator, [number])
    assert not moves_spaces(generator, [other])


@pytest.mark.parametrize(("ahead", "scored"), [(" ", " So."), (EMPTY, "So."), ("", "So.")])
def test_a_server_is_sent_what_stands_ahead_and_scores_no_more_than_spaces_of_it(ahead: str, scored: str) -> None:
    writing: Any = SimpleNamespace(sends_ids=False)
    (one,) = wanted(writing, [Prompt("1", "Why?", (1,), ahead)], ["So."], "")
    assert (one.text, one.text[one.start :]) == (f"Why?{ahead}So.", scored)
