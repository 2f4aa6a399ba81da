"""Plain LoRA adapters as updates of the base's weights, read from their files without PEFT's modules."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.utils.other import get_pattern_key

from loralift.errors import AdapterError, some
from loralift.generation.adapter import fit
from loralift.generation.adapter.info import WEIGHTS, AdapterInfo
from loralift.generation.model.base_model import ADAPTER_CONFIG

_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"

# Settings of adapters that are more than a scaled product B·A added to linear layers' weights. Falsy: off.
_MORE_THAN_PRODUCTS = {
    "use_dora": "DoRA",
    "modules_to_save": "modules_to_save",
    "lora_bias": "lora_bias",
    "fan_in_fan_out": "fan_in_fan_out",
    "layer_replication": "layer_replication",
    "trainable_token_indices": "trainable tokens",
    "target_parameters": "target_parameters",
    "use_qalora": "QA-LoRA",
    "alora_invocation_tokens": "activated LoRA",
}


@dataclass(frozen=True, slots=True)
class LowRank:
    """What an adapter adds to one weight: ``scale * up @ down``.

    Attributes:
        down: lora_A, rank x inputs.
        up: lora_B, outputs x rank.
        scale: lora_alpha / r, or lora_alpha / sqrt(r) for rsLoRA; with the module's own rank and alpha where
            rank_pattern or alpha_pattern names it.
    """

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs x inputs, the shape of the weight."""
        return self.up.shape[0], self.down.shape[1]

    def delta(self, device: torch.device | str = "cpu") -> torch.Tensor:
        """The product in float32, outputs x inputs, computed on a device."""
        return (self.up.to(device).float() @ self.down.to(device).float()).mul_(self.scale)


def obstacle_to_merging(info: AdapterInfo) -> str | None:
    """Why an adapter cannot be merged (it is more than products added to linear layers); None where it can."""
    if info.peft_type != "LORA":
        return f"peft_type {info.peft_type}"
    config = _config(info)
    found = [label for key, label in _MORE_THAN_PRODUCTS.items() if config.get(key)]
    if config.get("bias", "none") != "none":
        found.append("bias")
    others = [key for key in _tensors(info) if not key.startswith(_PREFIX) or not key.endswith((_DOWN, _UP))]
    if others and not found:
        found.append(f"tensors that are no lora_A or lora_B of a linear layer ({some(others, 1)})")
    return ", ".join(found) or None


def obstacle_to_request(info: AdapterInfo) -> str | None:
    """Why vLLM's own LoRA layers would not compute what PEFT does; None where they do.

    vLLM reads one rank and one alpha for all modules: those that rank_pattern or alpha_pattern names would be scaled
    wrongly.
    """
    patterns = [key for key in ("rank_pattern", "alpha_pattern") if info.peft_type == "LORA" and _config(info).get(key)]
    return obstacle_to_merging(info) or ", ".join(patterns) or None


def read_updates(info: AdapterInfo) -> dict[str, LowRank]:
    """An adapter's updates by the name of the base's module, e.g. ``model.layers.0.self_attn.q_proj``.

    Raises:
        AdapterError: It is no plain LoRA, or a lora_A of its file has no lora_B of the same rank, or the reverse.
    """
    if obstacle := obstacle_to_merging(info):
        raise AdapterError(f"`{info.argument}` cannot be merged into the base's weights: it has {obstacle}")
    config, tensors = _config(info), _tensors(info)
    names = sorted({key.removeprefix(_PREFIX).removesuffix(_DOWN).removesuffix(_UP) for key in tensors})
    updates = {}
    for name in names:
        down, up = (tensors.get(f"{_PREFIX}{name}{half}") for half in (_DOWN, _UP))
        if down is None or up is None or down.dim() != 2 or up.dim() != 2 or len(down) != up.shape[1]:
            raise AdapterError(f"`{info.argument}` has no pair of lora_A and lora_B for {name}: save it again")
        updates[name] = LowRank(down, up, scale_of(config, name))
    return updates


def scale_of(config: Mapping[str, Any], module: str) -> float:
    """The factor by which one module's product B·A is scaled, as PEFT computes it."""
    ranks, alphas = config.get("rank_pattern") or {}, config.get("alpha_pattern") or {}
    rank = ranks.get(get_pattern_key(list(ranks), module), config["r"])
    alpha = alphas.get(get_pattern_key(list(alphas), module), config["lora_alpha"])
    return float(alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))


def bytes_touched(updates: Sequence[Mapping[str, LowRank]], element: int) -> int:
    """Bytes of all weights of the base that at least one adapter changes.

    Args:
        updates: Each adapter's updates.
        element: Bytes of one number of the base's weights.
    """
    shapes = {name: update.shape for adapter in updates for name, update in adapter.items()}
    return sum(outputs * inputs for outputs, inputs in shapes.values()) * element


def _config(info: AdapterInfo) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(info.path) / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    return {"r": 8, "lora_alpha": 8} | found  # PEFT's defaults, which a file may leave out


def _tensors(info: AdapterInfo) -> dict[str, Any]:
    folder = Path(info.path)
    return fit.read_tensors(info.argument, next(folder / name for name in WEIGHTS if (folder / name).is_file()))
