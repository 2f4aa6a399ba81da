"""Texts to tokens: what a tokenizer puts around a text, and what is left of it in a prompt."""

from __future__ import annotations

import json
import shutil

import pytest
from tokenizers.processors import TemplateProcessing

from loralift.errors import ModelError
from loralift.generation import load_transformers, prove
from loralift.generation.adapter.tokenizer_match import refuse_ended
from loralift.generation.model.tokenization import Texts
from loralift.records import Prompt


@pytest.fixture
def appending(tiny_base, tmp_path):
    """A copy of the base whose tokenizer puts an EOS behind every text."""
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    path = folder / "tokenizer.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    special = [("<s>", 0), ("</s>", 1)]
    post = TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=special)
    written["post_processor"] = json.loads(post.__getstate__())
    path.write_text(json.dumps(written), encoding="utf-8")
    return folder


def test_an_eos_that_the_tokenizer_appends_is_left_out_of_prompts_and_told(appending, tiny_base, tiny_adapter):
    wanted = load_transformers(str(tiny_base))
    found = load_transformers(str(appending), {"letters": str(tiny_adapter)})
    texts = ["Question: What are gold?\nAnswer:", "", "a"]
    assert found.tokenizer(texts[0])["input_ids"][-1] == found.tokenizer.eos_token_id
    eos = found.tokenizer.eos_token_id
    bodies = wanted.encode(texts, False)
    assert found.encode(texts, True) == [(found.tokenizer.bos_token_id, *body) for body in bodies]
    assert found.encode(texts, False) == bodies
    (note,) = found.notes
    assert note.startswith("The tokenizer puts </s> behind every text; prompts are asked without it")
    prompts = [Prompt(text, text, ids) for text, ids in zip(texts, found.encode(texts, True), strict=True)]
    assert all(prompt.token_ids[-1] != eos for prompt in prompts)
    prove(found, prompts[:1])


def test_references_are_scored_as_without_it(appending, tiny_base):
    text = "Question: What are gold?\nAnswer:"
    scored = []
    for folder in (tiny_base, appending):
        generator = load_transformers(str(folder))
        ids = (generator.tokenizer.bos_token_id, *generator.encode([text], False)[0])
        (one,) = generator.reference_likelihoods("base", [Prompt("q", text, ids)], ["gold are 4 letters."], " ")
        scored.append(one)
    assert scored[0] == scored[1]


def test_a_usual_tokenizer_appends_nothing(generator):
    assert Texts(generator.tokenizer, ()).appended == ()
    assert generator.notes == ()


def test_prompts_that_end_with_an_eos_are_refused(generator):
    ended = [Prompt("q1", "…", (5, 6, generator.tokenizer.eos_token_id)), Prompt("q2", "…", (5, 6))]
    with pytest.raises(ModelError, match=r"1 of 2 prompts end with the end-of-sequence token \('</s>'; q1\).*add_eos"):
        refuse_ended(generator.tokenizer, ended)
