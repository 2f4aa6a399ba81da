"""Merge adapters into a vLLM model's weights in place, and restore the base's weights exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from loralift.errors import AdapterError, some
from loralift.generation.adapter.low_rank import LowRank


class SwitchedWeights:
    """Switches a vLLM model between its base and merged adapters.

    Weights that an adapter changes are copied before and copied back after; subtracting the update would leave rounding
    errors. The tensors are changed in place, since CUDA graphs have recorded their addresses.

    Attributes:
        rounding: What merging lost by rounding to the weights' dtype, by adapter (as the user wrote it): norm of the
            rounding error over the norm of the update.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._modules: dict[str, Any] = dict(model.named_modules())
        self._places: dict[str, torch.Tensor] = {}
        self._kept: dict[str, torch.Tensor] = {}
        self._merged: tuple[str, ...] = ()
        self.rounding: dict[str, float] = {}

    def locate(self, argument: str, updates: Mapping[str, LowRank]) -> None:
        """Find the weight of every update and copy its values; nothing may be merged at this time.

        Args:
            argument: The adapter, as the user wrote it, for the messages.
            updates: By the names of transformers' modules.

        Raises:
            AdapterError: A module has no weight in vLLM's model, or one of another shape.
        """
        places = {name: self._place(name) for name in updates}
        found = {name: place for name, place in places.items() if place is not None}
        if lost := sorted(places.keys() - found.keys()):
            raise AdapterError(
                f"`{argument}` adapts {len(lost)} of {len(places)} modules that vLLM's model has not as plain weights "
                f"({some(lost, 2)}): evaluate it with --engine transformers"
            )
        for name, place in found.items():
            if tuple(place.shape) != updates[name].shape:
                raise AdapterError(
                    f"`{argument}` has an update of {updates[name].shape} for {name}, and vLLM's model has weights of "
                    f"{tuple(place.shape)} there: evaluate it with --engine transformers"
                )
        for name, place in found.items():
            if name not in self._places:
                self._places[name], self._kept[name] = place, place.clone()

    def merge(self, argument: str, updates: Mapping[str, LowRank]) -> None:
        """Merge an adapter: each sum of weight and update is computed in float32 and rounded once.

        Args:
            argument: The adapter, as the user wrote it.
            updates: Its updates, for which ``locate`` was called.

        Raises:
            AdapterError: No number of any weight changed.
        """
        self.restore()
        self._merged = tuple(updates)
        for name, update in updates.items():
            place = self._places[name]
            place.copy_(update.delta(place.device).add_(self._kept[name]))
        _wait(self._places.values())
        if argument not in self.rounding:
            self.rounding[argument] = self._measure(argument, updates)

    def restore(self) -> None:
        """Copy the base's weights back, so that they are as before bit by bit."""
        for name in self._merged:
            self._places[name].copy_(self._kept[name])
        self._merged = ()
        _wait(self._places.values())

    def _measure(self, argument: str, updates: Mapping[str, LowRank]) -> float:
        """The norm of the rounding error of a merged adapter over the norm of its update."""
        lost, wanted, changed = [], [], []
        for name, update in updates.items():
            place = self._places[name]
            delta = update.delta(place.device)
            came = place.float() - self._kept[name]
            changed.append(came.any())
            wanted.append(delta.square().sum())
            lost.append(came.sub_(delta).square_().sum())
        if not torch.stack(changed).any():
            raise AdapterError(
                f"`{argument}` acts on nothing: merged into the base's weights it changes not one of their numbers; "
                "evaluate a checkpoint that was trained, with the lora_alpha of its training"
            )
        return float((torch.stack(lost).double().sum() / torch.stack(wanted).double().sum()).sqrt())

    def _place(self, name: str) -> torch.Tensor | None:
        """A module's weight by transformers' name, maybe rows of a fused one (qkv_proj); None where there is none."""
        name = _renamed(self._model, name)
        parent, _, last = name.rpartition(".")
        module = self._modules.get(name)
        if module is not None:
            return _weight(module)
        for fused, parts in getattr(self._model, "packed_modules_mapping", {}).items():
            module = self._modules.get(f"{parent}.{fused}")
            sizes = getattr(module, "output_sizes", None)
            if last not in parts or sizes is None or len(sizes) != len(parts):
                continue
            weight, number = _weight(module), list(parts).index(last)
            if weight is not None and weight.shape[0] == sum(sizes):
                return weight.narrow(0, sum(sizes[:number]), sizes[number])
        return None


def _weight(module: Any) -> torch.Tensor | None:
    """A linear layer's weight, outputs x inputs; None for an embedding, and where it is quantised or not one matrix."""
    weight = getattr(module, "weight", None)
    embedding = hasattr(module, "num_embeddings") or hasattr(module, "org_vocab_size")
    if weight is None or weight.dim() != 2 or not weight.is_floating_point() or weight.element_size() < 2 or embedding:
        return None
    data: torch.Tensor = weight.data
    return data


def _renamed(model: Any, name: str) -> str:
    """VLLM's name of a module of transformers, before fused modules are looked up."""
    mapper = getattr(model, "hf_to_vllm_mapper", None)
    if mapper is None or not hasattr(mapper, "get_unstacked_mapper"):
        return name
    mapped: str | None = mapper.get_unstacked_mapper()._map_name(f"{name}.weight")
    return name if mapped is None else mapped.removesuffix(".weight")


def _wait(places: Iterable[torch.Tensor]) -> None:
    """Wait until copies on a GPU are done, since the engine may compute on another CUDA stream."""
    if any(place.is_cuda for place in places):
        torch.cuda.synchronize()
