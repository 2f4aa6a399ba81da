"""Base models that can be evaluated, and every way in which one cannot."""

from __future__ import annotations

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from loralift.errors import ModelError
from loralift.generation import inspect_base, load_transformers


@pytest.fixture
def copy(tiny_base, tmp_path):
    """A copy of the base to spoil."""
    return shutil.copytree(tiny_base, tmp_path / "base")


def refusal(model, act=inspect_base):
    with pytest.raises(ModelError) as caught:
        act(str(model))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_identity_is_of_the_contents_not_of_the_place(tiny_base, copy):
    first = inspect_base(str(tiny_base))
    assert first.identity.startswith("sha256:")
    assert first.revision is None
    assert inspect_base(str(copy)).identity == first.identity
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][0] += 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert inspect_base(str(copy)).identity != first.identity


def test_no_such_folder(tmp_path):
    assert "there is no folder" in refusal(tmp_path / "none")


def test_a_file(tiny_base):
    assert "is a file" in refusal(tiny_base / "config.json")


@pytest.mark.parametrize("model", ["someone/no-such-model", "no-such-model"])
def test_a_hub_id_that_is_offline(model):
    message = refusal(model)
    assert message.startswith("`--model` must be an existing folder or a hub id")
    assert "HF_HUB_OFFLINE is set: unset it, or give a local folder" in message


def test_what_cannot_even_be_a_hub_id():
    assert "it cannot be a hub id either" in refusal("no such model")


def test_a_revision_of_a_folder(tiny_base):
    with pytest.raises(ModelError, match="`--revision` must be left out for a local folder, got 'main'"):
        inspect_base(str(tiny_base), "main")


def test_a_folder_without_config(tmp_path, tiny_adapter):
    assert "must be a folder with a config.json" in refusal(tmp_path)
    assert "give it as --adapter NAME=PATH" in refusal(tiny_adapter)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "not JSON"),
        ('{"model_type": "no_such"}', "describes no model that transformers knows"),
        ('{"model_type": "t5"}', "must be a causal language model, but {folder} is of type 't5'"),
    ],
)
def test_a_config_that_is_no_causal_language_model(config, message, copy):
    (copy / "config.json").write_text(config)
    assert message.format(folder=copy) in refusal(copy)


def test_no_weights(copy):
    (copy / "model.safetensors").unlink()
    assert "must have weights" in refusal(copy)


def test_no_tokenizer(copy):
    (copy / "tokenizer.json").unlink()
    assert "must have a tokenizer" in refusal(copy)


def test_a_corrupt_tokenizer(copy):
    (copy / "tokenizer.json").write_text("{}")
    assert "tokenizer" in refusal(copy, load_transformers)


def test_corrupt_weights(copy):
    (copy / "model.safetensors").write_bytes(b"junk")
    assert "it is cut off, or no safetensors file" in refusal(copy)


def test_missing_weights_are_refused_where_transformers_draws_random_ones(copy):
    weights = load_file(copy / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert "missing: 1 (model.norm.weight)" in refusal(copy, load_transformers)


def test_weights_of_another_size(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"intermediate_size": 32}))
    assert "do not fit its config.json" in refusal(copy, load_transformers)


def test_a_merged_model_with_its_adapter_left_beside_it(copy, tiny_adapter):
    # transformers would attach the adapter by itself, and so apply it twice
    shutil.copy(tiny_adapter / "adapter_config.json", copy)
    message = refusal(copy)
    assert "transformers would apply that adapter too" in message
    assert "remove adapter_config.json from that folder" in message
