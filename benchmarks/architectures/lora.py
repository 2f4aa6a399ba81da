"""LoRA adapters of a tiny model, saved as PEFT's users have them: of every linear layer, and of experts as well."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from loralift.generation.model.quiet import quiet_loading

RANK = 4
B_STD = 0.15
"""Of lora_B: the update is then a third of the weight, and most answers change."""


MAMBA_LEAVES_OUT = ("out_proj", "conv1d")
"""What PEFT refuses to adapt in models of Mamba's kind, also for ``all-linear``: their kernels read these weights."""


LEAVES_OUT: Mapping[str, tuple[str, ...]] = {
    "deepseek_v4": ("o_a_proj",),
    "llama4": ("router",),
    "llama4_text": ("router",),
    "phimoe": ("router",),
}
"""nn.Linear by class only: they compute something else, and PEFT's layer around them fails in its own forward pass."""


class NotAdaptedError(Exception):
    """PEFT makes no such adapter of this model; says why."""


def expert_parameters(model: Any) -> list[str]:
    """The parameters that hold all experts of a layer at once, as PEFT's ``target_parameters`` names them.

    PEFT adapts nn.Linear modules; experts that transformers keeps as one tensor a layer are none.
    """
    found = {
        f"{name.rsplit('.', 1)[-1]}.{parameter}"
        for name, module in model.named_modules()
        if "experts" in name
        for parameter, weight in module.named_parameters(recurse=False)
        if weight.ndim == 3
    }
    return sorted(found)


def adapts_experts(folder: Path) -> bool:
    """Whether a saved adapter has experts: for some architectures PEFT's ``all-linear`` means these too."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return bool(config.get("target_parameters"))


def save_adapter(model: Any, folder: Path, experts: Sequence[str] = (), *, calm: float = 1.0, seed: int = 1) -> Path:
    """Save a LoRA of all linear layers, that changes most answers; the model stays as it is.

    Args:
        model: A tiny model.
        folder: Where.
        experts: Parameters to adapt as well, of ``expert_parameters``.
        calm: Its lora_B is so much smaller.
        seed: Of its numbers.

    Raises:
        NotAdaptedError: PEFT refuses.
    """
    try:
        with quiet_loading():
            options: dict[str, Any] = {"target_parameters": list(experts)} if experts else {}
            if left_out := LEAVES_OUT.get(model.config.model_type):
                options["exclude_modules"] = list(left_out)
            adapted = _adapted(model, options, calm * B_STD, seed)
            adapted.save_pretrained(str(folder))
    except (ValueError, TypeError, AttributeError, LookupError, NotImplementedError, RuntimeError) as cause:
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        raise NotAdaptedError(f"PEFT makes no such adapter: {lines[0]}") from cause
    return folder


def _adapted(model: Any, options: dict[str, Any], std: float, seed: int) -> Any:
    """A copy of a model with a LoRA whose lora_B is not 0."""
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM", **options)
    torch.manual_seed(seed)
    try:
        adapted = get_peft_model(copy.deepcopy(model), config)
    except ValueError as cause:
        if "Mamba" not in str(cause) or "exclude_modules" in options:
            raise
        return _adapted(model, {**options, "exclude_modules": list(MAMBA_LEAVES_OUT)}, std, seed)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if ".lora_B." in name or ".lora_embedding_B." in name:
                weight.copy_(std * torch.randn_like(weight))
    return adapted
