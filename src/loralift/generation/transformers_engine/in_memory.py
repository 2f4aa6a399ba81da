"""A base whose weights are in memory already, under an adapter in training: evaluated without a second copy of them.

The base is loaded from its files once, as for any run, and every tensor is compared with the one that the training
holds. Then the loaded numbers are let go, and the training's own tensors stand in their place. So what is evaluated is
what `loralift run` would load, while the modules that train, with their hooks, modes and wrappers, are neither run nor
changed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from loralift.errors import ModelError, some
from loralift.generation.model.base_model import BaseModel
from loralift.generation.transformers_engine.load import load_base

# What PEFT puts into the name of a weight that it wraps: of a layer with an adapter, or one that it trains a copy of.
_WRAPPED = re.compile(r"\.(?:base_layer|original_module|token_adapter)(?=\.)")

_DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True, slots=True)
class SharedWeights:
    """A base over tensors of a training.

    Attributes:
        model: The transformers model, which is only ever copied.
        unused: How many tensors of its files are not used.
        hashes: Of every weight, as it was when it was compared with the files.
        dtype: In which the files were loaded, as ``--dtype`` names it.
    """

    model: Any
    unused: int
    hashes: Mapping[str, int]
    dtype: str

    @property
    def device(self) -> str:
        """Where the weights are, as torch names it."""
        return str(self.model.device)

    def copy(self) -> tuple[Any, int]:
        """A model of its own over the same weights.

        Raises:
            ModelError: A weight has changed since it was compared with the files.
        """
        now = _hashes(self.model)
        if changed := [name for name, was in self.hashes.items() if now[name] != was]:
            raise ModelError(
                f"{len(changed)} weights of the base in memory ({some(changed, 2)}) have changed since the training "
                "began, so it is no longer the base: merge nothing into it, and evaluate a saved checkpoint by "
                "`loralift run`"
            )
        return _over(self.model, dict(self.model.named_parameters())), self.unused


def share(source: BaseModel, training: Any) -> BaseModel:
    """A base over the weights under an adapter in training.

    Args:
        source: The base, as it was found.
        training: The PeftModel.

    Raises:
        ModelError: The weights are on several devices, quantised, trained, or not those of the files.
    """
    inside = training.get_base_model()
    remedy = "evaluate a saved checkpoint by `loralift run` instead"
    if getattr(inside, "is_quantized", False):
        raise ModelError(f"the base is quantised, and quantised weights cannot be shared with a training: {remedy}")
    held = {_WRAPPED.sub("", name): tensor for name, tensor in inside.state_dict(keep_vars=True).items()}
    frozen = [tensor for tensor in held.values() if tensor.is_floating_point() and not tensor.requires_grad]
    if not frozen:
        raise ModelError(f"every weight of the base is trained, so that there is no base beside it: {remedy}")
    devices = {str(tensor.device) for tensor in frozen}
    if len(devices) > 1 or frozen[0].device.type not in _DEVICES:
        raise ModelError(f"the base must be on one device of {', '.join(_DEVICES)}, got {some(devices)}: {remedy}")
    largest = max(frozen, key=torch.Tensor.numel)
    # by way of the processor's memory: a GPU that holds the training may have no room for a second base
    loaded, unused = load_base(source, largest.dtype, torch.device("cpu"), None)
    _refuse_another(source.source, loaded.state_dict(), held, remedy)
    dtype = str(largest.dtype).removeprefix("torch.")
    model = _over(loaded, held).to(largest.device)  # moves its buffers, which are its own
    return replace(source, in_memory=SharedWeights(model, unused, _hashes(model), dtype))


def _refuse_another(
    source: str, loaded: Mapping[str, torch.Tensor], held: Mapping[str, torch.Tensor], remedy: str
) -> None:
    """Refuse a base in memory that is not the one of its files, or does not stay so."""
    if trained := [name for name in loaded if name in held and held[name].requires_grad]:
        raise ModelError(
            f"{len(trained)} weights of the base are trained themselves ({some(trained, 2)}), so that there is no base "
            f"beside the adapter: {remedy}"
        )
    if other := [name for name, own in loaded.items() if name not in held or not _equal(own, held[name])]:
        raise ModelError(
            f"{len(other)} of {len(loaded)} weights of the base in memory are not {source}'s ({some(other, 2)}): "
            "they were resized, replaced, cast, or changed as the adapter began (init_lora_weights); give `model` and "
            f"`revision` as the training loaded them, or {remedy}"
        )


def _equal(own: torch.Tensor, held: torch.Tensor) -> bool:
    held = held.detach()
    same_kind = (own.shape, own.dtype) == (held.shape, held.dtype)
    return same_kind and torch.equal(own.to(held.device), held)


def _over(model: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """A copy of a model, its parameters being others over the storage of ``tensors``; buffers are copied."""
    memo: dict[int, Any] = {
        id(own): torch.nn.Parameter(tensors[name].detach(), requires_grad=False)
        for name, own in model.named_parameters()
    }
    return copy.deepcopy(model, memo)


def _hashes(model: Any) -> dict[str, int]:
    named = model.named_parameters()
    return {name: int(torch.hash_tensor(weight.detach()).view(torch.int64)) for name, weight in named}
