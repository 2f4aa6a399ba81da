"""The base after hundreds of switches is the base, to the bit; answers depend on neither batch, order nor company."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from loralift.generation import GenerationSettings, load_transformers
from loralift.records import BASE

ADAPTERS, SWITCHES = 8, 100


@pytest.fixture(scope="module")
def folders(tiny_adapter, other_adapter, tmp_path_factory):
    """Eight adapters of two kinds, each with other weights."""
    found = {}
    for number in range(ADAPTERS):
        source = (tiny_adapter, other_adapter)[number % 2]
        folder = shutil.copytree(source, tmp_path_factory.mktemp("many") / str(number))
        path = folder / "adapter_model.safetensors"
        save_file({key: tensor * (1 + number / 10) for key, tensor in load_file(path).items()}, path)
        found[f"a{number}"] = str(folder)
    return found


@pytest.fixture(scope="module")
def many(tiny_base, folders):
    return load_transformers(str(tiny_base), folders)


def answers(generator, variant, prompts, **settings):
    found = generator.generate(variant, prompts, GenerationSettings(max_new_tokens=12, **settings))
    return {answer.id: answer.text for answer in found}


def test_a_hundred_switches_leave_the_base_as_it_was(many, prompts):
    base = many._loaded.base
    many._switch.to(BASE)
    # adapters come and go: the last ones are not those of the beginning
    weights = {name: tensor.clone() for name, tensor in base.state_dict().items() if ".lora_" not in name}
    logits, said = many.next_token_log_probabilities(BASE, prompts), answers(many, BASE, prompts)
    order = random.Random(0)
    for _ in range(SWITCHES):
        many._switch.to(order.choice(many.variants))
    many._switch.to(BASE)
    now = base.state_dict()
    assert {name for name, tensor in weights.items() if not torch.equal(tensor, now[name])} == set()
    assert np.array_equal(many.next_token_log_probabilities(BASE, prompts), logits)
    assert answers(many, BASE, prompts) == said


@pytest.mark.parametrize("variant", [BASE, "a0", "a1"])
def test_greedy_answers_depend_on_neither_batch_nor_order_nor_company(variant, many, folders, tiny_base, prompts):
    expected = answers(many, variant, prompts)
    assert len(set(expected.values())) > 1
    for size in (1, 2, 5):
        assert answers(many, variant, prompts, batch_size=size) == expected
    shuffled = random.Random(1).sample(prompts, len(prompts))
    assert answers(many, variant, shuffled) == expected
    few = {name: folder for name, folder in folders.items() if name == variant}
    assert answers(load_transformers(str(tiny_base), few), variant, prompts) == expected
