"""Switching one loaded base between its variants: adapters are merged into its weights where that is exact enough.

Unmerged, every adapted module computes two small matrix products more: on two CPU cores 1,985 tokens/s, merged 2,714.
A merged weight is the base's plus the update, rounded once. Leaving the variant copies the base's own tensors back, bit
for bit; subtracting the update would not give them. Where merging would round too much, a plain LoRA stays unmerged, in
two products beside the weights; all else is left to PEFT's own layers.

bfloat16 keeps 8 bits of a number: merged, an update that is small beside its weight loses 3 to 10 % of its norm.
Unmerged it loses what any product in bfloat16 does. PEFT computes it in float32, in seven operations a module with
copies of inputs and outputs; here the second product is added onto the layer's own output as it is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import psutil  # type: ignore[import-untyped]
import torch
from peft.tuners import adalora, loha, lokr, lora

from loralift.generation.transformers_engine.capability import adapted
from loralift.generation.transformers_engine.load import Loaded
from loralift.records import BASE

# Of the memory that is free, the share that the copies of the base's tensors may take.
SHARE_FOR_COPIES = 0.5

_LINEAR = (lora.Linear, loha.Linear, lokr.Linear, adalora.SVDLinear)


def merges_exactly_enough(dtype: torch.dtype) -> bool:
    """Whether a merged weight of this dtype answers as the unmerged adapter does.

    float32 rounds the sum of weight and update at 6e-8 of it. bfloat16 rounds at 4e-3, often more than the update
    itself, which unmerged is computed apart.
    """
    return dtype in (torch.float32, torch.float64)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device; on a CPU, and where the device shares its memory, the system's."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # what torch has reserved and does not use
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


class Switch:
    """The variant that the model is, and what it takes to be the base again."""

    def __init__(self, loaded: Loaded, *, merge: bool = True) -> None:
        """Nothing is switched yet.

        Args:
            loaded: The model, with nothing merged into it.
            merge: Whether adapters are merged, or computed beside the weights, where that is exact enough; else they
                stay in PEFT's layers.
        """
        self._loaded = loaded
        self._merging = merge
        self._variant: str | None = None
        self._switches = 0
        self._kept: list[tuple[Any, torch.Tensor]] = []
        self._attached: list[Any] = []

    def to(self, variant: str) -> int:
        """Make the model a variant; nothing to do where it is.

        Returns:
            How many switches there have been. Where it is another number than before, the tensors by which an adapter
            acts may be others too.
        """
        if variant == self._variant:
            return self._switches
        self._switches += 1
        self._variant = None
        self._unmerge()
        loaded = self._loaded
        if loaded.adapters and variant == BASE:
            loaded.model.base_model.disable_adapter_layers()
        elif loaded.adapters:
            key = loaded.adapters[variant].key
            loaded.model.base_model.enable_adapter_layers()
            loaded.model.set_adapter(key)
            loaded.model.requires_grad_(False)  # set_adapter makes its adapter trainable
            if self._merging:
                self._act(key)
        self._variant = variant
        return self._switches

    def _act(self, key: str) -> None:
        """Make an adapter that is switched on act in fewer operations than PEFT's layers take."""
        modules = sums(self._loaded.base, key)
        how = how_they_act(modules, key)
        if how == "merged" and copies_fit(self._loaded.base, modules):
            self._merge(modules, key)
        elif how == "unmerged":
            _attach(modules, key)
            self._attached = modules

    def _merge(self, modules: Sequence[Any], key: str) -> None:
        with torch.no_grad():
            for module in modules:
                weight = module.get_base_layer().weight
                self._kept.append((module, weight.detach().clone()))
                weight += module.get_delta_weight(key).to(weight.dtype)
                module.merged_adapters.append(key)  # its forward then is the base layer's

    def _unmerge(self) -> None:
        with torch.no_grad():
            for module, kept in self._kept:
                module.get_base_layer().weight.copy_(kept)
                module.merged_adapters.clear()
        self._kept.clear()
        _detach(self._attached)
        self._attached = []


def how_they_act(modules: Sequence[Any], key: str) -> Literal["merged", "unmerged", "layers"]:
    """How a run makes an adapter act: merged into the weights, unmerged beside them, or in PEFT's layers.

    Where memory does not hold copies of the weights, what would be merged stays in PEFT's layers all the same.

    Args:
        modules: Its ``sums``.
        key: PEFT's name of the adapter.
    """
    if modules and all(merges_exactly_enough(module.weight.dtype) for module in modules):
        return "merged"
    return "unmerged" if can_stay_unmerged(modules, key) else "layers"


def copies_fit(base: Any, modules: Sequence[Any]) -> bool:
    """Whether memory holds copies of what merging into these modules changes."""
    needed = sum(int(module.weight.nbytes) for module in modules)
    return needed <= SHARE_FOR_COPIES * free_memory(base.device)


def sums(base: Any, key: str) -> list[Any]:
    """The modules that an adapter changes, if in all of them it is an update that is added to a weight; else none.

    Left out: DoRA and other variants that are more than a sum, biases, embeddings, quantised weights, and weights that
    another module shares, which the adapter must not change.
    """
    modules = adapted(base, key)
    uses = Counter(
        id(weight) for module in base.modules() for weight in module.parameters(recurse=False) if weight is not None
    )
    return modules if all(_is_a_sum(module, key, uses) for module in modules) else []


def _is_a_sum(module: Any, key: str, uses: Counter[int]) -> bool:
    weight = getattr(module.get_base_layer(), "weight", None)
    return (
        type(module) in _LINEAR
        and key not in getattr(module, "lora_variant", {})
        and not getattr(module, "lora_bias", {}).get(key, False)
        and weight is not None
        and weight.dtype.is_floating_point
        and weight.dtype.itemsize >= 2
        and uses[id(weight)] == 1
    )


def can_stay_unmerged(modules: Sequence[Any], key: str) -> bool:
    """Whether all of these are linear layers to which an adapter adds ``scale * up @ down`` and nothing more.

    Args:
        modules: PEFT's, all that the adapter changes; sums of weight and update each.
        key: PEFT's name of the adapter.
    """
    return bool(modules) and all(type(module) is lora.Linear and key in module.lora_A for module in modules)


def _attach(modules: Sequence[Any], key: str) -> None:
    """Make each module compute its layer and the adapter in place of PEFT's forward pass.

    Args:
        modules: Those that ``can_stay_unmerged``.
        key: PEFT's name of the adapter.
    """
    for module in modules:
        module.forward = _forward(module, key)


def _detach(modules: Sequence[Any]) -> None:
    """Give the modules PEFT's forward pass back."""
    for module in modules:
        module.__dict__.pop("forward", None)


def _forward(module: Any, key: str) -> Callable[..., torch.Tensor]:
    layer = module.get_base_layer()
    dtype = layer.weight.dtype
    down = module.lora_A[key].weight.to(dtype).t()
    # scaled before it is rounded: the scale then costs no operation
    up = (module.lora_B[key].weight.float() * module.scaling[key]).to(dtype).t()

    def forward(inputs: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        out: torch.Tensor = layer(inputs, *args, **kwargs)
        low = inputs.reshape(-1, inputs.shape[-1]) @ down
        return out.view(-1, out.shape[-1]).addmm_(low, up).view(out.shape)

    return forward
