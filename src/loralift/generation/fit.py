"""The proof that an adapter fits its base and acts on it: on files before loading, on memory after."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from loralift.errors import AdapterError, some
from loralift.generation.quiet import quiet_loading

_PROOF = "loralift_proof"

# what torch.load raises on the way through bytes that are no pickle of tensors
_CORRUPT_PICKLE = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, struct.error)

type Tensors = Mapping[str, torch.Tensor]


def read_tensors(argument: str, weights: Path) -> dict[str, torch.Tensor]:
    """An adapter's tensors, on the CPU.

    Raises:
        AdapterError: The file is corrupt, empty, or more than tensors.
    """
    try:
        if weights.suffix == ".safetensors":
            tensors = load_file(weights)
        else:
            tensors = torch.load(weights, map_location="cpu", weights_only=True)
    except (SafetensorError, *_CORRUPT_PICKLE) as cause:
        reason = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        raise AdapterError(f"`{argument}` has a corrupt {weights.name}, fetch or save it again: {reason}") from cause
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise AdapterError(f"`{argument}` has a {weights.name} that holds more than named tensors")
    if not tensors:
        raise AdapterError(f"`{argument}` has an empty {weights.name}")
    return tensors


def check_fit(argument: str, config: Any, base_config: Any, tensors: Tensors) -> tuple[str, ...]:
    """Compare an adapter's keys and shapes with those that PEFT makes for the base.

    Args:
        argument: For the messages.
        config: The adapter's PEFT configuration.
        base_config: The base's transformers configuration.
        tensors: The adapter's file.

    Returns:
        The keys that are weights of the base itself: PEFT saves embeddings beside an adapter that targets them.

    Raises:
        AdapterError: A key is missing or unexpected, or a shape differs.
    """
    model = _inject_on_meta(argument, config, base_config)
    expected = _adapter_state(model, _PROOF)
    wrong = [
        f"{key} {tuple(tensors[key].shape)} for {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & tensors.keys())
        if tensors[key].shape != expected[key].shape
    ]
    if wrong:
        raise AdapterError(
            f"`{argument}` does not fit the base: {len(wrong)} of {len(tensors)} tensors have another shape, e.g. "
            f"{some(wrong, 2)}; it was trained on {config.base_model_name_or_path!r}: give that as --model"
        )
    own_weights = model.state_dict()
    base_weights = tuple(sorted(key for key in tensors.keys() - expected.keys() if key in own_weights))
    missing = sorted(expected.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - expected.keys() - set(base_weights))
    if (missing or unexpected) and not _peft_converts(model, tensors):
        raise AdapterError(_mismatch(argument, config, missing, unexpected))
    return base_weights


def check_values(argument: str, tensors: Tensors) -> None:
    """Refuse weights that are not finite, and adapters whose update is zero.

    Raises:
        AdapterError: A tensor holds NaN or infinity, or every lora_B is zero and nothing else is there to act.
    """
    broken = sorted(key for key, tensor in tensors.items() if not torch.isfinite(tensor).all())
    if broken:
        raise AdapterError(
            f"`{argument}` has NaN or infinity in {len(broken)} of {len(tensors)} tensors: {some(broken, 2)}"
        )
    # the update is B·A, so zero B is no update; what is neither A nor B (a saved module, a magnitude) acts by itself
    ups = [tensor for key, tensor in tensors.items() if ".lora_B" in key or ".lora_embedding_B" in key]
    others = [key for key in tensors if ".lora_A" not in key and ".lora_B" not in key and ".lora_embedding_" not in key]
    if ups and not others and not any(tensor.any() for tensor in ups):
        raise AdapterError(
            f"`{argument}` acts on nothing: all {len(ups)} lora_B tensors are zero, as before any training step"
        )


def verify_loaded(argument: str, model: Any, adapter_name: str, tensors: Tensors, skip: Iterable[str]) -> None:
    """Check that every adapter tensor in memory equals the file's, after the cast to memory's dtype.

    Raises:
        AdapterError: One differs.
    """
    loaded = _adapter_state(model, adapter_name)
    shared = (loaded.keys() & tensors.keys()) - set(skip)
    differ = sorted(
        key for key in shared if not torch.equal(loaded[key], tensors[key].to(loaded[key].device, loaded[key].dtype))
    )
    if differ:
        raise AdapterError(
            f"`{argument}` was not loaded as it is: {len(differ)} of {len(tensors)} tensors differ ({some(differ, 2)})"
        )


def verify_base_weights(argument: str, state: Tensors, tensors: Tensors, keys: Iterable[str]) -> None:
    """Check that the weights of the base that an adapter's file carries are the base's own.

    PEFT would copy them over the base's, and the base would no longer be the base.

    Args:
        argument: For the message.
        state: The base's weights, under the names that the adapter's file uses.
        tensors: The adapter's file.
        keys: Which of its keys are weights of the base.

    Raises:
        AdapterError: One differs.
    """
    for key in keys:
        own = state[_plain_name(key)]
        if not torch.equal(own, tensors[key].to(own.device, own.dtype)):
            raise AdapterError(
                f"`{argument}` carries other weights of the base itself ({key}), e.g. embeddings that were trained or "
                "resized; merge it into a copy of its base and evaluate that as --model"
            )


def _plain_name(key: str) -> str:
    """The base's own name of a weight that an adapter's file carries."""
    return key.removeprefix("base_model.model.").replace(".base_layer.", ".")


def _inject_on_meta(argument: str, config: Any, base_config: Any) -> Any:
    """The base with the adapter in it, without any weights."""
    with quiet_loading(), torch.device("meta"):
        base = AutoModelForCausalLM.from_config(base_config)
        try:
            return PeftModel(base, config, adapter_name=_PROOF, low_cpu_mem_usage=True)
        except ValueError as cause:
            reason = str(cause).splitlines()[0]
            kind = base_config.model_type
            raise AdapterError(
                f"`{argument}` does not fit the base, a {kind}; it was trained on {config.base_model_name_or_path!r}: "
                f"give that as --model ({reason})"
            ) from cause


def _adapter_state(model: Any, adapter_name: str) -> dict[str, torch.Tensor]:
    """An adapter's tensors under the names that its file uses, embeddings of the base left out."""
    state: dict[str, torch.Tensor] = get_peft_model_state_dict(
        model, adapter_name=adapter_name, save_embedding_layers=False
    )
    return state


def _peft_converts(model: Any, tensors: Tensors) -> bool:
    """Whether PEFT's own conversion of keys (fused experts, renamed modules) takes the whole file."""
    empty = {key: tensor.to("meta") for key, tensor in tensors.items()}
    try:
        result = set_peft_model_state_dict(model, empty, adapter_name=_PROOF)
    except (KeyError, RuntimeError, ValueError):
        return False
    return not result.unexpected_keys and not any(_PROOF in key for key in result.missing_keys)


def _mismatch(argument: str, config: Any, missing: list[str], unexpected: list[str]) -> str:
    found = []
    if missing:
        found.append(f"tensors missing: {len(missing)} ({some(missing, 2)})")
    if unexpected:
        found.append(f"tensors with no place in the base: {len(unexpected)} ({some(unexpected, 2)})")
    return (
        f"`{argument}` does not fit the base, {', '.join(found)}; "
        f"check that --model is the base it was trained on ({config.base_model_name_or_path!r})"
    )
