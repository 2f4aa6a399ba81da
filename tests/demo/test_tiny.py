"""Tiny models are real, small, and the same for the same seed."""

from __future__ import annotations

from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from demo.tiny import _masked_rows, train_base, train_lora
from loralift.generation.model.quiet import quiet_loading
from tests.models import PAIRS, TEXTS, tiny_base

__all__ = ["tiny_base"]

SMALL = {"hidden_size": 32, "layers": 1, "heads": 2, "vocab_size": 300, "steps": 3, "block": 32}


def same(one, two):
    first, second = load_file(one), load_file(two)
    return first.keys() == second.keys() and all(first[key].equal(second[key]) for key in first)


def test_a_seed_decides_everything(tmp_path):
    folders = [train_base(TEXTS, tmp_path / name, seed=seed, **SMALL) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    first, again, other = (folder / "model.safetensors" for folder in folders)
    assert same(first, again)
    assert not same(first, other)
    loras = [
        train_lora(folders[0], PAIRS, tmp_path / f"lora{seed}{n}", steps=3, seed=seed)
        for n, seed in enumerate((1, 1, 2))
    ]
    first, again, other = (folder / "adapter_model.safetensors" for folder in loras)
    assert same(first, again)
    assert not same(first, other)


def test_the_base_is_as_large_as_asked(tmp_path):
    folder = train_base(TEXTS, tmp_path / "base", **SMALL)
    with quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(folder)
    assert (model.config.hidden_size, model.config.num_hidden_layers, model.config.vocab_size) == (32, 1, 300)


def test_the_tokenizer_writes_any_text_back(tiny_base):
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    text = "Zürich: 5 € — 中文 \n\t ok"
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_prompt_is_masked_and_what_does_not_fit_is_left_out(tiny_base):
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    rows = _masked_rows(tokenizer, [("What are stocks?", " shares."), ("long " * 200, "x")], 128)
    ((ids, labels),) = rows
    answer = tokenizer(" shares.", add_special_tokens=False)["input_ids"]
    assert ids[-len(answer) - 1 :] == [*answer, tokenizer.eos_token_id] == labels[-len(answer) - 1 :]
    assert set(labels[: -len(answer) - 1]) == {-100}
