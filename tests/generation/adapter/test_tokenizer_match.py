"""The same prompts: one base's ids for all, and what an adapter's own tokenizer would have made of the prompts."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from transformers import AutoTokenizer

from loralift.errors import ModelError
from loralift.generation import GenerationSettings, load_transformers, prove
from loralift.generation.adapter.tokenizer_match import compare_tokenizers, refuse_doubled_bos

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.fixture
def tokenizer(tiny_base):
    """The base's, to change and save."""
    return AutoTokenizer.from_pretrained(tiny_base)


@pytest.fixture
def notes(generator, prompts, tmp_path):
    """What is told of a tokenizer in the adapter's folder."""

    def compare(tokenizer, chat_template=False):
        tokenizer.save_pretrained(tmp_path)
        return compare_tokenizers(tmp_path, generator.tokenizer, prompts, chat_template)

    return compare


def test_every_variant_is_given_the_very_same_ids(generator, prompts):
    seen = []
    embeddings = generator._loaded.base.get_input_embeddings()
    hook = embeddings.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].tolist()))
    try:
        for variant in generator.variants:
            list(generator.generate(variant, prompts, GenerationSettings(max_new_tokens=1)))
    finally:
        hook.remove()
    calls = len(seen) // 3  # a variant's: the prompts are computed in groups
    base, letters, mlp = (seen[start : start + calls] for start in range(0, len(seen), calls))
    assert base == letters == mlp
    assert sum(map(len, base)) == len(prompts)
    longest = max(prompts, key=lambda prompt: len(prompt.token_ids))
    assert base[0][0] == list(longest.token_ids)


def test_no_tokenizer_and_the_same_tokenizer_need_no_word(generator, prompts, tokenizer, notes, tmp_path):
    assert compare_tokenizers(tmp_path, generator.tokenizer, prompts, False) == ()
    assert notes(tokenizer) == ()


def test_added_tokens_that_the_prompts_do_not_hold(tokenizer, notes):
    tokenizer.add_tokens(["<think>", "<tool>"])
    assert notes(tokenizer) == (
        "Its tokenizer has 2 tokens that the base's has not (<think>, <tool>).",
        "Its own tokenizer gives all 13 prompts the same token ids.",
    )


def test_added_tokens_that_change_the_prompts(tokenizer, notes):
    tokenizer.add_tokens(["gold"])
    added, prompts = notes(tokenizer)
    assert added == "Its tokenizer has 1 tokens that the base's has not (gold)."
    assert prompts.startswith("Its own tokenizer gives 2 of 13 prompts other ids (q3, q10): all variants are asked")


def test_another_vocabulary(tiny_base, tokenizer, notes):
    smaller = tokenizer.train_new_from_iterator(["some other text altogether"], vocab_size=270, show_progress=False)
    found = notes(smaller)
    assert any("lacks" in note for note in found)
    assert any("other ids than the base's" in note for note in found)
    assert found[-1].startswith("Its own tokenizer gives 13 of 13 prompts other ids")


def test_other_special_tokens(tokenizer, notes):
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.eos_token = tokenizer.bos_token
    eos, pad, same = notes(tokenizer)
    assert eos.startswith("Its eos token is '<s>', the base's '</s>': an answer that it ends with its own runs on")
    assert pad == "Its pad token is '</s>', the base's '<pad>': harmless, since padding is masked."
    assert same == "Its own tokenizer gives all 13 prompts the same token ids."


def test_another_chat_template(tokenizer, notes):
    tokenizer.chat_template = TEMPLATE
    assert "matters only with --chat-template" in notes(tokenizer)[0]
    assert "which rendered the prompts" in notes(tokenizer, chat_template=True)[0]


def test_files_that_are_no_tokenizer(generator, prompts, tmp_path):
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    (note,) = compare_tokenizers(tmp_path, generator.tokenizer, prompts, False)
    assert note.startswith("Its folder has chat_template.jinja but no vocabulary")
    (tmp_path / "tokenizer.json").write_text("{}")
    (note,) = compare_tokenizers(tmp_path, generator.tokenizer, prompts, False)
    assert note.startswith("The tokenizer in its folder cannot be loaded")
    assert "\n" not in note


def test_the_proof_tells_it(tiny_base, tiny_adapter, tokenizer, prompts, tmp_path):
    folder = shutil.copytree(tiny_adapter, tmp_path / "adapter")
    tokenizer.add_tokens(["gold"])
    tokenizer.save_pretrained(folder)
    (proof,) = prove(load_transformers(str(tiny_base), {"mine": str(folder)}), prompts)
    assert len(proof.notes) == 2


def test_a_doubled_bos_is_caught(generator, prompts):
    refuse_doubled_bos(generator.tokenizer, prompts)
    doubled = [replace(prompt, token_ids=(0, *prompt.token_ids)) for prompt in prompts[:2]]
    with pytest.raises(ModelError, match=r"2 of 13 prompts begin with two BOS tokens \('<s>'; q0, q1\).*system-prompt"):
        prove(generator, [*doubled, *prompts[2:]])


def test_a_tokenizer_without_bos_doubles_none(tokenizer, prompts):
    tokenizer.bos_token = None
    refuse_doubled_bos(tokenizer, [replace(prompts[0], token_ids=(0, 0, 5))])
