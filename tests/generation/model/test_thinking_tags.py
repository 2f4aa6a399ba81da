"""Which tags a model's template and tokenizer name, and that no text loses them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from transformers import AddedToken, AutoTokenizer

from loralift.generation.model.thinking import tags_of
from loralift.generation.model.tokenization import Texts

HARMONY = ("<|channel|>", "<|channel|>final<|message|>")
THINK = ("<think>", "</think>")


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory):
    """A tokenizer that marks thinking by special tokens, as those of Magistral and gpt-oss do, read from its files."""
    folder = shutil.copytree(tiny_base, tmp_path_factory.mktemp("marks") / "base")
    made = AutoTokenizer.from_pretrained(folder)
    marks = ("[THINK]", "[/THINK]", "<|channel|>", "<|message|>", "<|end|>")
    made.add_tokens([AddedToken(text, special=True) for text in marks])
    made.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def test_texts_keep_the_special_tokens_that_mark_thinking_and_no_others(tokenizer):
    texts = Texts(tokenizer, ())
    text = "[THINK]What are[/THINK]gold<|end|>"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert texts.decode(ids) == "[THINK]What are[/THINK]gold"
    assert texts.decode(ids[1:2]) == tokenizer.decode(ids[1:2])
    final = tokenizer("<|channel|>final<|message|>gold", add_special_tokens=False)["input_ids"]
    assert texts.decode(final).startswith("<|channel|>")
    assert texts.decode(final).endswith("<|message|>gold")


def test_the_tags_that_tokenizer_and_template_name_are_looked_for(tokenizer, tiny_base):
    assert tags_of(tokenizer) == (THINK, ("[THINK]", "[/THINK]"), HARMONY)
    plain = AutoTokenizer.from_pretrained(tiny_base)
    assert tags_of(plain) == (THINK,)
    assert Texts(plain, ()).marks == {}
    plain.chat_template = "{# <reasoning> and </reasoning>, and a <thought> that nothing closes #}"
    assert tags_of(plain) == (THINK, ("<reasoning>", "</reasoning>"))
    plain.chat_template = {"default": "{{ '<seed:think>' }}"}
    assert tags_of(plain) == (THINK, ("<seed:think>", "</seed:think>"))
