"""References stand where the chat template writes them in training, whatever it writes ahead of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loralift.config import parse
from loralift.errors import UsageError
from loralift.records import Question, Turn
from loralift.workflow.asking import Asked, Examples, ask, asking_of, protocols_of
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
