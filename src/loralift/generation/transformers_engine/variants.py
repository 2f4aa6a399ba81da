"""Switch one loaded model between its variants: merged, unmerged, or in PEFT's layers.

- ``merged``: the update is added to the weight, in float32 and float64. The base's own weights are kept and put back
  after, bit for bit; subtracting the update would leave rounding errors. It is the fastest: on two CPU cores
  2,714 tokens/s, and 1,985 unmerged, where each adapted module computes two more small matrix products.
- ``unmerged``: a plain LoRA in bfloat16 or float16 is two products added to the layer's output. bfloat16 keeps 8 bits
  of a number, so merging would lose 3 to 10 % of the norm of an update that is small against its weight. PEFT computes
  the same in float32, in seven operations a module with copies of inputs and outputs; here the second product is added
  in place.
- ``layers``: all other adapters (DoRA, quantised weights, ...) stay in PEFT's own layers.

On a processor the base's linear layers may be prepacked besides, whichever variant acts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import psutil  # type: ignore[import-untyped]
import torch
from peft.tuners import lora

from loralift.generation.transformers_engine.capability import LINEAR, adapted
from loralift.generation.transformers_engine.load import Loaded, bring
from loralift.prepacking import prepack, prepackable, unpack
from loralift.records import BASE

type How = Literal["merged", "unmerged", "layers"]

# Share of the free memory that copies of the base's weights may take while an adapter is merged.
SHARE_FOR_COPIES = 0.5

# Numbers in the weight of a linear layer from which prepacking gains anything.
LARGE = 1 << 16


def merges_exactly_enough(dtype: torch.dtype) -> bool:
    """Whether merging into weights of this dtype rounds little enough to answer as the unmerged adapter does.

    The sum of weight and update is rounded by up to 6e-8 of it in float32, by 4e-3 in bfloat16: often more than the
    update itself.
    """
    return dtype in (torch.float32, torch.float64)


def free_memory(device: torch.device) -> int:
    """Free bytes on a device; for a CPU or mps, which share it, of the system's memory."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # plus what torch has reserved and does not use
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


class Switch:
    """Switches the model between its variants, and keeps what is needed to restore the base."""

    def __init__(self, loaded: Loaded, *, merge: bool = True, prepacks: bool = False) -> None:
        """Store the arguments; nothing is switched yet.

        Args:
            loaded: The model, with nothing merged into it.
            merge: Whether adapters are merged or added unmerged, as ``how_they_act`` decides; else all stay in PEFT's
                layers.
            prepacks: Whether the base's large linear layers are prepacked with each variant's weights.
        """
        self._loaded = loaded
        self._prepacks = prepacks
        self._merging = merge
        self._variant: str | None = None
        self._switches = 0
        self._how: dict[str, How] = {}
        self._kept: list[tuple[Any, Any, torch.Tensor]] = []
        self._attached: list[Any] = []
        self._packed: list[Any] = []

    def to(self, variant: str) -> int:
        """Switch to a variant; does nothing if it is switched on already.

        Returns:
            How many switches there have been. If the number changes, the tensors of the adapter that acts may be
            others, also where the variant is the same again.
        """
        if variant == self._variant:
            return self._switches
        self._switches += 1
        self._variant = None
        self._unpack()
        self._unmerge()
        loaded = self._loaded
        if loaded.adapters and variant == BASE:
            loaded.model.base_model.disable_adapter_layers()
        elif loaded.adapters:
            adapter = loaded.adapters[variant]
            key = adapter.key
            bring(loaded.model, adapter)
            loaded.model.base_model.enable_adapter_layers()
            loaded.model.set_adapter(key)
            loaded.model.requires_grad_(False)  # set_adapter makes its adapter trainable
            self._how[variant] = self._act(key) if self._merging else "layers"
        if self._prepacks:
            self._packed = list(prepackable(loaded.base, LARGE))
            prepack(self._packed)
        self._variant = variant
        return self._switches

    def restore(self) -> None:
        """Leave the base as it was loaded: nothing merged, attached or prepacked."""
        self.to(BASE)
        self._unpack()
        self._variant = None

    def how(self, variant: str) -> How:
        """How an adapter acts when it is switched on, as `how_they_act` says; switches to it if it never was."""
        if variant not in self._how:
            self.to(variant)
        return self._how[variant]

    def _act(self, key: str) -> How:
        """Merge the adapter that is switched on, or replace PEFT's forward passes by two products, or do nothing."""
        modules = sums(self._loaded.base, key)
        how = how_they_act(modules, key)
        if how == "merged" and copies_fit(self._loaded.base, modules):
            self._merge(modules, key)
        elif how == "unmerged":
            _attach(modules, key)
            self._attached = modules
        return how

    def _merge(self, modules: Sequence[Any], key: str) -> None:
        with torch.no_grad():
            for module in modules:
                weight = module.get_base_layer().weight
                self._kept.append((module, weight, weight.data))
                # another tensor in its place: a training may hold the base's own, which nothing here may write to
                weight.data = weight.data + module.get_delta_weight(key).to(weight.dtype)
                module.merged_adapters.append(key)  # PEFT's forward pass then calls only the base layer

    def _unpack(self) -> None:
        unpack(self._packed)
        self._packed = []

    def _unmerge(self) -> None:
        with torch.no_grad():
            for module, weight, kept in self._kept:
                weight.data = kept
                module.merged_adapters.clear()
        self._kept.clear()
        _detach(self._attached)
        self._attached = []


def how_they_act(modules: Sequence[Any], key: str) -> How:
    """How a run applies an adapter: merged into the weights, unmerged in two added products, or in PEFT's layers.

    Where memory does not suffice for copies of the weights (``copies_fit``), ``merged`` becomes ``layers``.

    Args:
        modules: The adapter's ``sums``.
        key: PEFT's name of the adapter.
    """
    if modules and all(merges_exactly_enough(module.weight.dtype) for module in modules):
        return "merged"
    return "unmerged" if can_stay_unmerged(modules, key) else "layers"


def copies_fit(base: Any, modules: Sequence[Any]) -> bool:
    """Whether the free memory suffices for copies of these modules' weights."""
    needed = sum(int(module.weight.nbytes) for module in modules)
    return needed <= SHARE_FOR_COPIES * free_memory(base.device)


def prepacks(base: Any) -> bool:
    """Whether a base has large linear layers that can be prepacked, and the free memory suffices for the copies."""
    needed = sum(int(layer.weight.nbytes) for layer in prepackable(base, LARGE))
    return 0 < needed <= SHARE_FOR_COPIES * free_memory(base.device)


def sums(base: Any, key: str) -> list[Any]:
    """The modules that an adapter changes, if each is a linear layer whose weight gets an update added; else none.

    None for an adapter with DoRA or another variant that is more than a sum, with biases, on embeddings or quantised
    weights, or on a weight that another module shares (the adapter would change that module too).
    """
    modules = adapted(base, key)
    uses = Counter(
        id(weight) for module in base.modules() for weight in module.parameters(recurse=False) if weight is not None
    )
    return modules if all(_is_a_sum(module, key, uses) for module in modules) else []


def _is_a_sum(module: Any, key: str, uses: Counter[int]) -> bool:
    weight = getattr(module.get_base_layer(), "weight", None)
    return (
        type(module) in LINEAR
        and key not in getattr(module, "lora_variant", {})
        and not getattr(module, "lora_bias", {}).get(key, False)
        and weight is not None
        and weight.dtype.is_floating_point
        and weight.dtype.itemsize >= 2
        and uses[id(weight)] == 1
    )


def can_stay_unmerged(modules: Sequence[Any], key: str) -> bool:
    """Whether all these modules are linear layers to which a plain LoRA adds ``scale * up @ down``.

    Args:
        modules: The adapter's ``sums``.
        key: PEFT's name of the adapter.
    """
    return bool(modules) and all(type(module) is lora.Linear and key in module.lora_A for module in modules)


def _attach(modules: Sequence[Any], key: str) -> None:
    """Replace PEFT's forward pass of each module by the base layer plus the adapter's two products.

    Args:
        modules: PEFT's modules, for which ``can_stay_unmerged``.
        key: PEFT's name of the adapter.
    """
    for module in modules:
        module.forward = _forward(module, key)


def _detach(modules: Sequence[Any]) -> None:
    """Restore PEFT's forward pass of the modules."""
    for module in modules:
        module.__dict__.pop("forward", None)


def _forward(module: Any, key: str) -> Callable[..., torch.Tensor]:
    layer = module.get_base_layer()
    dtype = layer.weight.dtype
    down = module.lora_A[key].weight.to(dtype).t()
    # scaled in float32 before it is rounded, so that no step has to scale
    up = (module.lora_B[key].weight.float() * module.scaling[key]).to(dtype).t()

    def forward(inputs: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        out: torch.Tensor = layer(inputs, *args, **kwargs)
        low = inputs.reshape(-1, inputs.shape[-1]) @ down
        return out.view(-1, out.shape[-1]).addmm_(low, up).view(out.shape)

    return forward
