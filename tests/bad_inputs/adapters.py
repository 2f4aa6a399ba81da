"""Adapters. `given` is a file of the adapter and how it is spoiled; the error must name the adapter besides."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from tests.bad_inputs.case import (
    DIGITS,
    GZIP,
    UTF16,
    Case,
    a_folder,
    a_link_to_itself,
    a_link_to_nothing,
    a_pipe,
    cut,
    lacking,
    nested,
    removed,
    setting,
)

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def field(**values: Any) -> tuple[str, Any]:
    """The configuration with other values."""
    return CONFIG, setting(**values)


def header(**tensors: Any) -> bytes:
    """A safetensors file of this header, with 64 bytes behind it."""
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + bytes(64)


def tensors(**changed: Any) -> Any:
    """The adapter's own tensors, changed: each by a function, or all by the name `every`."""

    def change(path: Path) -> None:
        from safetensors.torch import load_file, save_file

        every = changed.get("every", lambda tensor: tensor)
        save_file({key: every(tensor).contiguous() for key, tensor in load_file(path).items()}, path)

    return change


def renamed(old: str, new: str) -> Any:
    """The adapter's own tensors under other names."""

    def change(path: Path) -> None:
        from safetensors.torch import load_file, save_file

        save_file({key.replace(old, new): tensor for key, tensor in load_file(path).items()}, path)

    return change


def pickled(make: Any) -> Any:
    """The weights as a pickle in place of the safetensors."""

    def change(path: Path) -> None:
        import torch

        path.unlink()
        torch.save(make(), path.with_name("adapter_model.bin"))

    return change


class Marks:
    """What a pickle runs when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, ("touch loralift-was-here",)


def _meta() -> dict[str, Any]:
    import torch

    return {"a": torch.empty(2, device="meta")}


def _sparse() -> dict[str, Any]:
    import torch

    return {"base_model.model.x.lora_A.weight": torch.eye(3).to_sparse()}


CONFIGS = (
    Case("removed", (CONFIG, removed), CONFIG),
    Case("a folder", (CONFIG, a_folder), CONFIG),
    Case("a link to nothing", (CONFIG, a_link_to_nothing), CONFIG),
    Case("a link to itself", (CONFIG, a_link_to_itself), CONFIG),
    Case("a pipe that nobody fills", (CONFIG, a_pipe), CONFIG),
    Case("empty", (CONFIG, ""), CONFIG),
    Case("broken", (CONFIG, cut(-2)), CONFIG),
    Case("UTF-16", (CONFIG, "{}".encode(UTF16)), CONFIG),
    Case("compressed", (CONFIG, GZIP), CONFIG),
    Case("Latin-1", (CONFIG, b'{"peft_type": "caf\xe9"}'), CONFIG),
    Case("a list", (CONFIG, "[]"), "peft_type"),
    Case("null", (CONFIG, "null"), "peft_type"),
    Case("an empty map", (CONFIG, "{}"), "peft_type"),
    Case("too deep", (CONFIG, nested('{"a":', "}")), CONFIG),
    Case("5,000 digits", (CONFIG, f'{{"r": {DIGITS}}}'), CONFIG),
    Case("a key twice", (CONFIG, '{"peft_type": "LORA", "r": 8, "r": 16}'), "twice"),
    Case("a kind that is unknown", field(peft_type="MAGIC"), "MAGIC"),
    Case("a kind that is a list", field(peft_type=["LORA"]), "peft_type"),
    Case("a kind that is a map", field(peft_type={"a": 1}), "peft_type"),
    Case("prompt tuning", field(peft_type="PROMPT_TUNING"), "PROMPT_TUNING"),
    Case("another task", field(task_type="SEQ_CLS"), "SEQ_CLS"),
    Case("a task that is a number", field(task_type=7), "task_type"),
    Case("r a text", field(r="8"), "stranger"),
    Case("r null", field(r=None), "stranger"),
    Case("r a list", field(r=[8]), "stranger"),
    Case("r zero", field(r=0), "stranger"),
    Case("r negative", field(r=-8), "stranger"),
    Case("r beyond memory", field(r=10**12), "stranger"),
    Case("r another one", field(r=4), "stranger"),
    Case("alpha a text", field(lora_alpha="16"), "lora_alpha"),
    Case("alpha null", field(lora_alpha=None), "lora_alpha"),
    Case("alpha NaN", field(lora_alpha=float("nan")), "lora_alpha"),
    Case("alpha infinite", field(lora_alpha=float("inf")), "lora_alpha"),
    Case("alpha zero", field(lora_alpha=0), "lora_alpha"),
    Case("alpha beyond a float", field(lora_alpha=10**400), "lora_alpha"),
    Case("dropout a text", field(lora_dropout="much"), "stranger"),
    Case("dropout above one", field(lora_dropout=7.0), "stranger"),
    Case("target modules null", field(target_modules=None), "stranger"),
    Case("target modules empty", field(target_modules=[]), "stranger"),
    Case("target modules a number", field(target_modules=7), "target_modules"),
    Case("target modules of numbers", field(target_modules=[7]), "target_modules"),
    Case("target modules of maps", field(target_modules=[{}]), "target_modules"),
    Case("target modules that are not there", field(target_modules=["warp_drive"]), "warp_drive"),
    Case("target modules a bad pattern", field(target_modules="(q_proj"), "stranger"),
    Case("target modules a pattern without end", field(target_modules="(([a-z._0-9]+)+)+#"), "stranger"),
    Case("target modules fewer than the weights", field(target_modules=["q_proj"]), "stranger"),
    Case("rank pattern a list", field(rank_pattern=[1]), "stranger"),
    Case("rank pattern of texts", field(rank_pattern={"q_proj": "x"}), "stranger"),
    Case("rank pattern a bad pattern", field(rank_pattern={"(q": 4}), "stranger"),
    Case("alpha pattern of texts", field(alpha_pattern={"q_proj": "x"}), "stranger"),
    Case("layers a text", field(layers_to_transform="all"), "stranger"),
    Case("layers beyond the base", field(layers_to_transform=[99]), "stranger"),
    Case("layers pattern without layers", field(layers_pattern="layers"), "stranger"),
    Case("modules to save a number", field(modules_to_save=7), "modules_to_save"),
    Case("bias", field(bias="all"), "bias"),
    Case("layer replication", field(layer_replication=[[0, 2]]), "layer_replication"),
    Case("a start that changes the base", field(init_lora_weights="pissa"), "pissa"),
    Case("a start that is unknown", field(init_lora_weights="magic"), "stranger"),
    Case("DoRA switched on without its weights", field(use_dora=True), "stranger"),
    Case("a base that is a number", field(base_model_name_or_path=7), "base_model_name_or_path"),
    Case("code of its own", field(auto_mapping={"base_model_class": "Evil", "parent_library": "os"}), "stranger", 0),
    Case("without target modules", (CONFIG, lacking("target_modules")), "stranger"),
)

FILES = (
    Case("removed", (WEIGHTS, removed), WEIGHTS),
    Case("a folder", (WEIGHTS, a_folder), WEIGHTS),
    Case("a link to nothing", (WEIGHTS, a_link_to_nothing), WEIGHTS),
    Case("a pipe that nobody fills", (WEIGHTS, a_pipe), WEIGHTS),
    Case("empty", (WEIGHTS, b""), WEIGHTS),
    Case("a Git LFS pointer", (WEIGHTS, b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    Case("torn", (WEIGHTS, cut(-100)), WEIGHTS),
    Case("a torn header", (WEIGHTS, cut(40)), WEIGHTS),
    Case("seven bytes", (WEIGHTS, b"\x10\0\0\0\0\0\0"), WEIGHTS),
    Case("a header of 2^60 bytes", (WEIGHTS, struct.pack("<Q", 2**60) + b"{}"), WEIGHTS),
    Case("a header that is no JSON", (WEIGHTS, struct.pack("<Q", 4) + b"{oh}"), WEIGHTS),
    Case("a header that is a list", (WEIGHTS, struct.pack("<Q", 2) + b"[]"), WEIGHTS),
    Case("an empty header", (WEIGHTS, struct.pack("<Q", 2) + b"{}"), WEIGHTS),
    Case("a header that is too deep", (WEIGHTS, struct.pack("<Q", 200_000) + b"[" * 200_000), WEIGHTS),
    Case("an unknown number type", (WEIGHTS, header(a={"dtype": "F33", "shape": [1], "data_offsets": [0, 4]})),
         WEIGHTS),
    Case("offsets beyond the file", (WEIGHTS, header(a={"dtype": "F32", "shape": [99], "data_offsets": [0, 396]})),
         WEIGHTS),
    Case("offsets that overlap", (WEIGHTS, header(
        a={"dtype": "F32", "shape": [8], "data_offsets": [0, 32]},
        b={"dtype": "F32", "shape": [8], "data_offsets": [16, 48]},
    )), WEIGHTS),
    Case("a shape beyond its bytes", (WEIGHTS, header(a={"dtype": "F32", "shape": [2**40, 2**40],
                                                        "data_offsets": [0, 64]})), WEIGHTS),
    Case("a negative shape", (WEIGHTS, header(a={"dtype": "F32", "shape": [-1], "data_offsets": [0, 64]})), WEIGHTS),
    Case("keys of another model", (WEIGHTS, renamed("layers", "blocks")), "blocks"),
    Case("keys of more layers", (WEIGHTS, renamed("layers.1", "layers.7")), "layers.7"),
    Case("keys without a prefix", (WEIGHTS, renamed("base_model.model.", "")), "stranger"),
    Case("all zero", (WEIGHTS, tensors(every=lambda tensor: tensor * 0)), "zero"),
    Case("NaN", (WEIGHTS, tensors(every=lambda tensor: tensor / 0 * 0)), "NaN"),
    Case("infinite", (WEIGHTS, tensors(every=lambda tensor: tensor.abs() / 0)), "inf"),
    Case("integers", (WEIGHTS, tensors(every=lambda tensor: tensor.int())), "int"),
    Case("complex", (WEIGHTS, tensors(every=lambda tensor: tensor.to(dtype=__import__("torch").complex64))), "complex"),
    Case("another rank", (WEIGHTS, tensors(every=lambda tensor: tensor[:4])), "shape"),
    Case("one dimension", (WEIGHTS, tensors(every=lambda tensor: tensor.flatten())), "stranger"),
    Case("a pickle of code", (WEIGHTS, pickled(Marks)), "adapter_model.bin"),
    Case("a pickle of a list", (WEIGHTS, pickled(list)), "adapter_model.bin"),
    Case("a pickle of nothing", (WEIGHTS, pickled(dict)), "adapter_model.bin"),
    Case("a pickle of texts", (WEIGHTS, pickled(lambda: {"a": "b"})), "adapter_model.bin"),
    Case("a pickle without numbers", (WEIGHTS, pickled(_meta)), "stranger"),
    Case("a pickle of sparse numbers", (WEIGHTS, pickled(_sparse)), "stranger"),
)  # fmt: skip
