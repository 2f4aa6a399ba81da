"""Plain LoRA adapters computed beside the weights in two products, where merging would round too much of them away.

bfloat16 keeps 8 bits of a number: merged, an update that is small beside its weight loses 3 to 10 % of its norm. Beside
the weights it loses what any product in bfloat16 does. PEFT computes it in float32, in seven operations a module
with copies of inputs and outputs; here the second product is added onto the layer's own output as it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from peft.tuners import lora


def can_attach(modules: Sequence[Any], key: str) -> bool:
    """Whether all of these are linear layers to which an adapter adds ``scale * up @ down`` and nothing more.

    Args:
        modules: PEFT's, all that the adapter changes; sums of weight and update each.
        key: PEFT's name of the adapter.
    """
    return bool(modules) and all(type(module) is lora.Linear and key in module.lora_A for module in modules)


def attach(modules: Sequence[Any], key: str) -> None:
    """Make each module compute its layer and the adapter in place of PEFT's forward pass.

    Args:
        modules: Those that ``can_attach``.
        key: PEFT's name of the adapter.
    """
    for module in modules:
        module.forward = _forward(module, key)


def detach(modules: Sequence[Any]) -> None:
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
