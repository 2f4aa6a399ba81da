"""One model, many variants: adapters merged into a vLLM model's weights in place, and taken out again exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from loralift.errors import AdapterError, some
from loralift.generation.adapter.low_rank import LowRank


class SwitchedWeights:
    """The weights of a model, of which one variant's are in place.

    What an adapter changes is copied aside before, and copied back after: subtracting the update again would leave
    rounding behind. The tensors stay where they are, since CUDA graphs have recorded their addresses.

    Attributes:
        rounding: Adapter, as the user wrote it, to what the weights' dtype took from its update: the norm of the
            rounding over the update's.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._modules: dict[str, Any] = dict(model.named_modules())
        self._places: dict[str, torch.Tensor] = {}
        self._kept: dict[str, torch.Tensor] = {}
        self._merged: tuple[str, ...] = ()
        self.rounding: dict[str, float] = {}

    def locate(self, argument: str, updates: Mapping[str, LowRank]) -> None:
        """Find the place of every update, and keep the base's numbers there; the base's must be in place.

        Args:
            argument: The adapter, for the messages.
            updates: By the names of transformers' modules.

        Raises:
            AdapterError: A module has no place in the model, or another shape.
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
        """Put an adapter's weights in place of the base's; each sum is made in float32 and rounded once.

        Args:
            argument: The adapter, as the user wrote it.
            updates: Those that were located.

        Raises:
            AdapterError: Not one number of the weights changed.
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
        """Put the base's weights back, bit by bit."""
        for name in self._merged:
            self._places[name].copy_(self._kept[name])
        self._merged = ()
        _wait(self._places.values())

    def _measure(self, argument: str, updates: Mapping[str, LowRank]) -> float:
        """What rounding took from a merged update: its norm over the update's."""
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
        """The weight of transformers' module, which may be some rows of a fused one; None where there is none."""
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
    """A linear layer's weight, outputs x inputs; None where it is quantised, an embedding, or no single matrix."""
    weight = getattr(module, "weight", None)
    embedding = hasattr(module, "num_embeddings") or hasattr(module, "org_vocab_size")
    if weight is None or weight.dim() != 2 or not weight.is_floating_point() or weight.element_size() < 2 or embedding:
        return None
    data: torch.Tensor = weight.data
    return data


def _renamed(model: Any, name: str) -> str:
    """VLLM's name of transformers' module, before any fusion."""
    mapper = getattr(model, "hf_to_vllm_mapper", None)
    if mapper is None or not hasattr(mapper, "get_unstacked_mapper"):
        return name
    mapped: str | None = mapper.get_unstacked_mapper()._map_name(f"{name}.weight")
    return name if mapped is None else mapped.removesuffix(".weight")


def _wait(places: Iterable[torch.Tensor]) -> None:
    """Until the copies are done: whoever computes next may do so on another stream."""
    if any(place.is_cuda for place in places):
        torch.cuda.synchronize()
