"""Broken adapters, each made for the purpose from one that works, and the words that its message must have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
EMBEDDINGS = "base_model.model.model.embed_tokens.weight"


class Broken(NamedTuple):
    """What is done to the adapter's folder; why it is refused; what its owner is told to do."""

    spoil: Callable[[Path], object]
    why: str
    what_to_do: str


def settings(**changes):
    """Other settings in the configuration."""

    def spoil(folder):
        path = folder / CONFIG
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def tensors(change):
    """Other tensors in the file; `change` takes and gives a dict."""
    return lambda folder: save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)


def each(change, part=""):
    """Every tensor changed whose key has a part."""
    return tensors(lambda old: {key: change(tensor) if part in key else tensor for key, tensor in old.items()})


def first(change):
    """The first tensor changed."""
    return tensors(lambda old: old | {min(old): change(old[min(old)])})


def keys(rename):
    """Every key renamed."""
    return tensors(lambda old: {rename(key): tensor for key, tensor in old.items()})


def without(part):
    """The tensors left out whose key has a part."""
    return tensors(lambda old: {key: tensor for key, tensor in old.items() if part not in key})


def copied(part, to):
    """The tensors of a part there once more, under another name."""
    return tensors(lambda old: old | {key.replace(part, to): t.clone() for key, t in old.items() if part in key})


def one_of(place, value):
    """A tensor with one number replaced."""

    def change(tensor):
        tensor.view(-1)[place] = value
        return tensor

    return change


def doubled(tensor, dim):
    """A tensor as of a base twice as wide."""
    return torch.cat([tensor, tensor], dim)


def truncated(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def both(*spoils):
    return lambda folder: [spoil(folder) for spoil in spoils]


def with_embeddings(more):
    """Embeddings in the file, of as many tokens as the base has and some more."""

    def spoil(folder):
        base = Path(json.loads((folder / CONFIG).read_text())["base_model_name_or_path"])
        rows = json.loads((base / "config.json").read_text())["vocab_size"] + more
        tensors(lambda old: old | {EMBEDDINGS: torch.ones(rows, 64)})(folder)

    return spoil


TRAINED = "evaluate a checkpoint that was trained"
AGAIN = "save it again with save_pretrained"
ITS_BASE = "the base it was trained on"

BROKEN = {
    # acts on nothing
    "lora_b_all_zero": Broken(each(torch.zeros_like, "lora_B"), "all 14 lora_B tensors are zero, as before", TRAINED),
    "lora_a_all_zero": Broken(each(torch.zeros_like, "lora_A"), "all 14 lora_A tensors are zero", TRAINED),
    "lora_alpha_0": Broken(
        settings(lora_alpha=0), "a lora_alpha that is a number above 0, got 0", "put back the value"
    ),
    "lora_alpha_nan": Broken(settings(lora_alpha=float("nan")), "a number above 0, got nan", "put back the value"),
    "lora_alpha_a_text": Broken(settings(lora_alpha="16"), "a number above 0, got '16'", "put back the value"),
    "lora_alpha_all_but_0": Broken(settings(lora_alpha=1e-5), "acts on nothing: on 13 prompts it shifts the", TRAINED),
    "lora_b_underflows": Broken(
        each(lambda tensor: tensor * 1e-30, "lora_B"),
        "with it the model computes exactly what the base does (rank 8, alpha 16, largest lora_B value 1",
        TRAINED,
    ),
    # numbers that are none
    "nan_in_one_tensor": Broken(
        first(one_of(3, float("nan"))),
        "has NaN or infinity in 1 of 28 tensors",
        "its training diverged: take an earlier checkpoint",
    ),
    "infinity_in_one_tensor": Broken(
        first(one_of(0, float("-inf"))), "has NaN or infinity in 1 of 28 tensors", "an earlier checkpoint"
    ),
    "int8_weights": Broken(
        each(lambda tensor: (tensor * 100).to(torch.int8)), "has int8 numbers in 28 of 28", "save it again in float32"
    ),
    "float8_weights": Broken(
        each(lambda tensor: tensor.to(torch.float8_e4m3fn)),
        "has float8_e4m3fn numbers in 28",
        "save it again in float32",
    ),
    # tensors without their place
    "a_layer_missing": Broken(
        without(".layers.1."),
        "tensors missing: 14 (base_model.model.model.layers.1.",
        "check that the file is whole (save or fetch it again)",
    ),
    "a_tensor_missing": Broken(
        without("layers.0.mlp.up_proj.lora_B"), "tensors missing: 1 (base", "check that the file is whole"
    ),
    "a_module_too_many": Broken(
        copied("q_proj", "z_proj"),
        "tensors with no place in the base: 4 (base",
        "check that its adapter_config.json is the one it was trained with",
    ),
    "a_layer_too_deep": Broken(
        copied(".layers.1.", ".layers.7."),
        "no place in the base: 14 (base",
        "tensors for layer 7, and the base has 2 layers: give --model the base",
    ),
    "saved_from_ddp": Broken(
        keys(lambda key: f"module.{key}"), "its keys begin with 'module.' (of DistributedDataParallel)", AGAIN
    ),
    "saved_from_torch_compile": Broken(
        keys(lambda key: key.replace("model.model.", "model._orig_mod.model.")),
        "its keys hold '_orig_mod.' (of torch.compile)",
        AGAIN,
    ),
    "saved_by_its_state_dict": Broken(
        keys(lambda key: key.replace(".weight", ".default.weight")),
        "its keys hold the adapter's name '.default'",
        AGAIN,
    ),
    "saved_without_prefix": Broken(
        keys(lambda key: key.removeprefix("base_model.model.")), "its keys lack the prefix 'base_model.model.'", AGAIN
    ),
    "saved_from_the_inner_model": Broken(
        keys(lambda key: key.replace("model.model.", "model.", 1)), "its keys lack one 'model.'", AGAIN
    ),
    "saved_from_a_zero_3_shard": Broken(
        each(lambda tensor: tensor[:0], "lora_A"), "has 14 empty tensors", "gather them when saving (DeepSpeed ZeRO-3"
    ),
    # another base, another configuration
    "of_a_wider_base": Broken(
        both(each(lambda t: doubled(t, 1), "lora_A"), each(lambda t: doubled(t, 0), "lora_B")),
        "28 of 28 tensors have another shape",
        "give that as --model",
    ),
    "of_another_architecture": Broken(
        settings(target_modules=["query_key_value"]),
        "does not fit the base, a llama; it was trained on",
        "give that as --model",
    ),
    "of_another_class": Broken(
        settings(auto_mapping={"base_model_class": "MistralForCausalLM"}),
        "was trained on a MistralForCausalLM",
        f"give --model {ITS_BASE}",
    ),
    "another_rank": Broken(
        settings(r=4), "has an adapter_config.json with r 4, but tensors of rank 8", "put the configuration back"
    ),
    "fewer_targets": Broken(
        settings(target_modules=["q_proj"]), "tensors with no place in the base: 24", "target_modules"
    ),
    "resized_saved_embeddings": Broken(
        both(settings(modules_to_save=["embed_tokens"]), with_embeddings(3)),
        "after resizing the embeddings to",
        "resize_token_embeddings, merge_and_unload",
    ),
    "resized_carried_embeddings": Broken(with_embeddings(3), "after resizing the embeddings to ", "`loralift compare`"),
    "trained_carried_embeddings": Broken(
        with_embeddings(0),
        "carries other weights of the base itself",
        "merge it into a copy of its base",
    ),
    # files
    "no_configuration": Broken(
        lambda folder: (folder / CONFIG).unlink(), "but there is none", "as save_pretrained writes it"
    ),
    "no_weights": Broken(lambda folder: (folder / WEIGHTS).unlink(), "adapter_model.bin, but there is none", AGAIN),
    "corrupt_configuration": Broken(
        lambda folder: (folder / CONFIG).write_text("{"), "that is not JSON", "fetch or save it again"
    ),
    "truncated_weights": Broken(truncated, "has a corrupt adapter_model.safetensors", "fetch or save it again"),
    "no_bytes": Broken(
        lambda folder: (folder / WEIGHTS).write_bytes(b""), "has a corrupt adapter_model", "fetch or save it again"
    ),
    "no_tensors": Broken(tensors(lambda old: {}), "has an empty adapter_model.safetensors", AGAIN),
    "a_git_lfs_pointer": Broken(
        lambda folder: (folder / WEIGHTS).write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        ),
        "has a Git LFS pointer for its adapter_model.safetensors",
        "run `git lfs pull` there",
    ),
    # kinds that cannot stand beside their base
    "prompt_tuning": Broken(
        settings(peft_type="PROMPT_TUNING"), "got peft_type 'PROMPT_TUNING'", "give its answers to `loralift compare`"
    ),
    "a_classifier": Broken(
        settings(task_type="SEQ_CLS"), "trained for CAUSAL_LM, got task_type 'SEQ_CLS'", "must be trained for CAUSAL_LM"
    ),
    "pissa_unconverted": Broken(
        settings(init_lora_weights="pissa"),
        "which changes the base's weights",
        "path_initial_model_for_weight_conversion",
    ),
    "trained_biases": Broken(
        settings(bias="all"), "must have bias 'none', got 'all'", "merge it into a copy of the base"
    ),
    "repeated_layers": Broken(
        settings(layer_replication=[[0, 2], [1, 2]]), "must have no layer_replication", "merge it"
    ),
}
