"""The sentences of an error where an adapter's keys or shapes are not the base's: what is wrong, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from loralift.errors import some

type Shape = tuple[int, ...]

_LAYER = re.compile(r"\.(?:layers|layer|h|blocks)\.(\d+)\.")

# How keys are changed when something else than save_pretrained wrote the file, and the function that undoes it.
_RESPELLED: Mapping[str, Callable[[str], str]] = {
    "begin with 'module.' (of DistributedDataParallel)": lambda key: key.removeprefix("module."),
    "hold '_orig_mod.' (of torch.compile)": lambda key: key.replace("_orig_mod.", ""),
    "hold '_fsdp_wrapped_module.' (of FSDP)": lambda key: key.replace("_fsdp_wrapped_module.", ""),
    "hold the adapter's name '.default'": lambda key: key.replace(".default", ""),
    "lack the prefix 'base_model.model.'": lambda key: f"base_model.model.{key}",
    "lack one 'model.'": lambda key: key.replace("base_model.model.", "base_model.model.model.", 1),
    "have one 'model.' too many": lambda key: key.replace("base_model.model.model.", "base_model.model.", 1),
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What the adapter's file must hold, by the base and the adapter's configuration.

    Attributes:
        shapes: Shape of each tensor, by its key.
        trained_on: The base's name in the adapter's configuration.
        rank: r in the adapter's configuration; None where the type has none.
        vocabulary: Rows of the base's embeddings.
        layers: How many layers the base has; None where its configuration does not say.
    """

    shapes: Mapping[str, Shape]
    trained_on: str | None
    rank: int | None
    vocabulary: int
    layers: int | None


def explain_shapes(wrong: Mapping[str, Shape], expected: Expected, total: int) -> str:
    """Why tensors have another shape, and what to do.

    Args:
        wrong: The shapes in the file that differ, by key.
        expected: What the file should hold.
        total: How many tensors the file has.
    """
    empty = [key for key, shape in wrong.items() if 0 in shape]
    if empty:
        return (
            f"has {len(empty)} empty tensors ({some(empty, 2)}): its training saved one shard of the weights only; "
            "gather them when saving (DeepSpeed ZeRO-3: GatheredParameters; FSDP: a full state dict) and save it again"
        )
    rows = _other_vocabulary(wrong, expected)
    if rows is not None:
        return (
            f"was trained after resizing the embeddings to {rows} tokens, where the base has {expected.vocabulary}; "
            f"merge it into a copy of the base resized to {rows} (resize_token_embeddings, merge_and_unload), save "
            "that with the adapter's tokenizer, evaluate it as --model in a run of its own, and compare the runs with "
            "`loralift compare`"
        )
    examples = [f"{key} {shape} for {expected.shapes[key]}" for key, shape in sorted(wrong.items())]
    rank = _other_rank(wrong, expected)
    if rank is not None:
        return (
            f"has an adapter_config.json with r {expected.rank}, but tensors of rank {rank} ({some(examples, 1)}); put "
            "the configuration back that it was trained with: r, lora_alpha and rank_pattern"
        )
    return (
        f"does not fit the base: {len(wrong)} of {total} tensors have another shape, e.g. {some(examples, 2)}; it was "
        f"trained on {expected.trained_on!r}: give that as --model"
    )


def explain_keys(missing: list[str], unexpected: list[str], came: Collection[str], expected: Expected) -> str:
    """Why tensors are missing or have no place, and what to do.

    Args:
        missing: Keys that the file should have and lacks.
        unexpected: Keys of the file that have no place in the base.
        came: All keys of the file.
        expected: What the file should hold.
    """
    found = []
    if missing:
        found.append(f"tensors missing: {len(missing)} ({some(missing, 2)})")
    if unexpected:
        found.append(f"tensors with no place in the base: {len(unexpected)} ({some(unexpected, 2)})")
    return f"does not fit the base, {', '.join(found)}; {_what_to_do(missing, unexpected, came, expected)}"


def _what_to_do(missing: list[str], unexpected: list[str], came: Collection[str], expected: Expected) -> str:
    for spelling, repair in _RESPELLED.items():
        if {repair(key) for key in came} == expected.shapes.keys():
            return f"its keys {spelling}: save it again with save_pretrained of the unwrapped PEFT model"
    base = f"the base it was trained on ({expected.trained_on!r})"
    deepest = max((layer for key in unexpected for layer in _layers(key)), default=-1)
    if expected.layers is not None and deepest >= expected.layers:
        return f"it has tensors for layer {deepest}, and the base has {expected.layers} layers: give --model {base}"
    if missing and not unexpected:
        return f"check that the file is whole (save or fetch it again), and that --model is {base}"
    if unexpected and not missing:
        return (
            "check that its adapter_config.json is the one it was trained with (target_modules, modules_to_save, "
            f"layers_to_transform, rank_pattern), and that --model is {base}"
        )
    return f"check that --model is {base}"


def _other_vocabulary(wrong: Mapping[str, Shape], expected: Expected) -> int | None:
    """The other vocabulary size, if all wrong shapes differ only in having it in place of the base's; else None."""
    found = set()
    for key, shape in wrong.items():
        if len(shape) != len(expected.shapes[key]):
            return None
        pairs = zip(shape, expected.shapes[key], strict=True)
        found |= {(came, wanted) for came, wanted in pairs if came != wanted}
    rows = {came for came, wanted in found if wanted == expected.vocabulary}
    return rows.pop() if len(found) == 1 and rows else None


def _other_rank(wrong: Mapping[str, Shape], expected: Expected) -> int | None:
    """The rank of all wrong tensors, if they share one and differ in nothing else; else None."""
    found = set()
    for key, shape in wrong.items():
        wanted = expected.shapes[key]
        down = ".lora_A." in key or ".lora_embedding_A" in key
        up = ".lora_B." in key or ".lora_embedding_B" in key
        if down and shape[1:] == wanted[1:]:
            found.add(shape[0])
        elif up and shape[:-1] == wanted[:-1]:
            found.add(shape[-1])
        else:
            return None
    return found.pop() if len(found) == 1 and expected.rank is not None else None


def _layers(key: str) -> list[int]:
    return [int(number) for number in _LAYER.findall(key)]
