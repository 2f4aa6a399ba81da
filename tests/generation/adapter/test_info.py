"""Adapters that fit, and every way in which one does not."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, GPT2Config, LlamaConfig

from demo.tiny import train_lora
from loralift.errors import AdapterError, UsageError
from loralift.generation import inspect_adapter, load_transformers
from loralift.generation.adapter.proof import _checkpoints_note
from tests.models import PAIRS


@pytest.fixture(scope="module")
def config(tiny_base):
    return AutoConfig.from_pretrained(tiny_base)


@pytest.fixture
def copy(tiny_adapter, tmp_path):
    """A copy of the adapter to spoil."""
    return shutil.copytree(tiny_adapter, tmp_path / "adapter")


def change_config(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_tensors(folder, change):
    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)


def refusal(folder, config):
    with pytest.raises(AdapterError) as caught:
        inspect_adapter("mine", str(folder), config)
    message = str(caught.value)
    assert message.startswith(f"`--adapter mine={folder}` ")
    assert "\n" not in message
    return message


def test_an_adapter_that_fits(tiny_adapter, tiny_base, config):
    info = inspect_adapter("mine", str(tiny_adapter), config)
    assert (info.name, info.path, info.revision) == ("mine", str(tiny_adapter), None)
    assert (info.peft_type, info.rank, info.alpha) == ("LORA", 8, 16)
    assert info.target_modules == ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
    assert info.base_model == str(tiny_base)
    tensors = load_file(tiny_adapter / "adapter_model.safetensors")
    assert info.parameters == sum(tensor.numel() for tensor in tensors.values())
    assert not info.use_dora
    assert not info.base_weights


def test_the_hash_is_of_settings_and_weights(tiny_adapter, copy, config):
    first = inspect_adapter("mine", str(tiny_adapter), config).sha256
    assert inspect_adapter("mine", str(copy), config).sha256 == first
    change_config(copy, lora_alpha=4)
    second = inspect_adapter("mine", str(copy), config).sha256
    change_tensors(copy, lambda tensors: {key: tensor * 2 for key, tensor in tensors.items()})
    assert len({first, second, inspect_adapter("mine", str(copy), config).sha256}) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"use_dora": True},
        {"use_rslora": True, "target_modules": ["q_proj"]},
        {"modules_to_save": ["lm_head"], "ensure_weight_tying": False},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"rank_pattern": {"q_proj": 2}},
        {"layers_to_transform": [1]},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.filterwarnings("ignore:.*tie_word_embeddings.*:UserWarning")  # peft, on saving such an adapter
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")  # peft, on saving such an adapter
def test_every_kind_of_lora_fits_and_acts(options, tiny_base, tmp_path):
    folder = train_lora(tiny_base, PAIRS, tmp_path / "kind", rank=4, steps=3, **options)
    generator = load_transformers(str(tiny_base), {"kind": str(folder)})
    assert generator.variants == ("base", "kind")


def test_a_pickled_adapter_fits(copy, config):
    torch.save(load_file(copy / "adapter_model.safetensors"), copy / "adapter_model.bin")
    (copy / "adapter_model.safetensors").unlink()
    assert inspect_adapter("mine", str(copy), config).rank == 8
    (copy / "adapter_model.bin").write_bytes(b"junk")
    assert "corrupt adapter_model.bin" in refusal(copy, config)


@pytest.mark.parametrize("name", ["base", "", "a b", "../x", "a/b", ".hidden"])
def test_names_that_cannot_be_a_variant(name, tiny_adapter, config):
    with pytest.raises(UsageError, match=r"`--adapter` must be NAME=PATH"):
        inspect_adapter(name, str(tiny_adapter), config)


def test_no_such_folder(tmp_path, config):
    assert "there is no folder" in refusal(tmp_path / "none", config)


def test_a_hub_id_that_is_offline(config):
    assert "HF_HUB_OFFLINE is set" in refusal("someone/some-lora", config)


def test_a_folder_without_adapter_config(tiny_base, tmp_path, config):
    assert "must be a folder with an adapter_config.json, as save_pretrained writes it" in refusal(tmp_path, config)
    assert "give it as --model" in refusal(tiny_base, config)


def test_a_corrupt_adapter_config(copy, config):
    (copy / "adapter_config.json").write_text("{")
    assert "adapter_config.json that is not JSON" in refusal(copy, config)
    (copy / "adapter_config.json").write_text("[1]")
    assert "got peft_type None" in refusal(copy, config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "got peft_type 'PREFIX_TUNING': it prepends virtual tokens"),
        ({"peft_type": "NO_SUCH"}, "got peft_type 'NO_SUCH'"),
        ({"task_type": "SEQ_CLS"}, "must be trained for CAUSAL_LM, got task_type 'SEQ_CLS'"),
        ({"bias": "all"}, "must have bias 'none', got 'all'"),
        ({"init_lora_weights": "pissa_niter_4"}, "which changes the base's weights"),
        ({"target_modules": ["query_key_value"]}, "does not fit the base, a llama; it was trained on"),
        ({"target_modules": ["q_proj"]}, "tensors with no place in the base: 24 (base_model.model.model.layers.0."),
        ({"r": 4}, "with r 4, but tensors of rank 8 (base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"),
        ({"layers_to_transform": [0, 9]}, "tensors with no place in the base: 14 (base"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_evaluated(changes, message, copy, config):
    change_config(copy, **changes)
    assert message in refusal(copy, config)


def test_no_weights(copy, config):
    (copy / "adapter_model.safetensors").unlink()
    assert "adapter_model.safetensors or adapter_model.bin, but there is none" in refusal(copy, config)


def test_corrupt_weights(copy, config):
    path = copy / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "corrupt adapter_model.safetensors, fetch or save it again" in refusal(copy, config)
    save_file({}, path)
    assert "empty adapter_model.safetensors" in refusal(copy, config)


def test_another_architecture_and_another_size(tiny_adapter, config):
    assert "does not fit the base, a gpt2" in refusal(tiny_adapter, GPT2Config(n_layer=1, n_embd=32, n_head=2))
    wide = LlamaConfig(**{**config.to_dict(), "hidden_size": 128})
    assert "tensors have another shape" in refusal(tiny_adapter, wide)
    deep = LlamaConfig(**{**config.to_dict(), "num_hidden_layers": 3})
    assert "tensors missing: 14 (base_model.model.model.layers.2." in refusal(tiny_adapter, deep)


def test_renamed_keys_are_refused_where_peft_only_warns(copy, config):
    change_tensors(copy, lambda tensors: {key.replace("model.model.", "model."): t for key, t in tensors.items()})
    message = refusal(copy, config)
    assert "tensors missing: 28 (" in message
    assert "tensors with no place in the base: 28 (" in message


def test_values_that_are_not_finite(copy, config):
    change_tensors(copy, lambda tensors: {key: tensor * float("nan") for key, tensor in tensors.items()})
    assert "has NaN or infinity in 28 of 28 tensors" in refusal(copy, config)


def test_an_adapter_that_acts_on_nothing(tiny_base, copy, tmp_path, config):
    untrained = train_lora(tiny_base, PAIRS, tmp_path / "untrained", steps=0)
    assert "acts on nothing: all 14 lora_B tensors are zero" in refusal(untrained, config)
    change_config(copy, lora_alpha=1e-9)  # nothing in the weights tells
    with pytest.raises(AdapterError, match="acts on nothing: with it the model computes exactly"):
        load_transformers(str(tiny_base), {"mine": str(copy)})


def test_an_adapter_that_carries_other_embeddings_of_the_base(copy, tiny_base, config):
    own = load_file(tiny_base / "model.safetensors")["model.embed_tokens.weight"]
    key = "base_model.model.model.embed_tokens.weight"
    change_tensors(copy, lambda tensors: tensors | {key: own.clone()})
    assert inspect_adapter("mine", str(copy), config).base_weights == (key,)
    assert load_transformers(str(tiny_base), {"mine": str(copy)}).variants == ("base", "mine")
    change_tensors(copy, lambda tensors: tensors | {key: own + 1})
    with pytest.raises(AdapterError, match="carries other weights of the base itself"):
        load_transformers(str(tiny_base), {"mine": str(copy)})


def test_settings_of_a_newer_peft_are_told_once(copy, config, caplog):
    change_config(copy, new_trick="on", other_trick=None)
    assert inspect_adapter("mine", str(copy), config).ignored_settings == ("new_trick",)
    assert caplog.text == ""  # the proof says it, escaped


def test_a_trainings_output_folder_says_how_to_ask_for_its_checkpoints(config, tiny_adapter, tmp_path):
    out = tmp_path / "out"
    for step in (100, 90):
        shutil.copytree(tiny_adapter, out / f"checkpoint-{step}")
    with pytest.raises(AdapterError) as caught:
        inspect_adapter("mine", str(out), config)
    assert f"give one, --adapter mine={out}/checkpoint-100, or all of them, '{out}/checkpoint-*'" in str(caught.value)
    shutil.copytree(tiny_adapter, out, dirs_exist_ok=True)
    (out / "optimizer.pt").write_bytes(b"not read")
    top = inspect_adapter("mine", str(out), config)
    (note,) = _checkpoints_note(top)
    assert "The adapter beside its checkpoints was evaluated, not they (checkpoint-90, checkpoint-100)" in note
    inside = inspect_adapter("mine", f"{out}:checkpoint-90", config)
    assert (inside.path, inside.numbers["step"], inside.numbers["r"]) == (str(out / "checkpoint-90"), 90, 8)
    assert _checkpoints_note(inside) == ()
