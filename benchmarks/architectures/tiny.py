"""Tiny random models of every causal language model that transformers has: some 200,000 numbers each."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from benchmarks.architectures.kinds import LEFT_OUT, NEEDS, QUIETER, VARIANTS
from benchmarks.architectures.sizes import BOS, ENDS, PAD, SIZES, VOCABULARY
from loralift.generation.model.quiet import quiet_loading

LINEAR_STD = 0.25
"""Of matrices: at a width of 64 twice what keeps a vector's length, so that attention is sharp and logits spread."""

QUIET_STD = 0.12
"""Of those of ``QUIETER``."""

GENTLE = 0.3
"""A factor of both for bfloat16, which rounds at 4e-3: matrices made for spread logits make much of a small error."""

NOISE_STD = 0.1
"""Added to all that training begins with at a constant: norms, biases, sinks, decays."""

DELICATE = ("A_log", "dt_bias", "dt_proj", "conv1d", ".D", "time_", "scale", "relative_attention_bias")
"""Parts of names whose starting values are made with care: they are only disturbed a little."""


class NotBuiltError(Exception):
    """No tiny model of this architecture can be built; says why."""


def names() -> list[str]:
    """Every architecture that is tried: transformers' model types, then the variants."""
    return [*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *VARIANTS]


def build(name: str, calm: float = 1.0) -> Any:
    """A tiny model with random weights, the same for the same name and transformers, in float32.

    Args:
        name: One of ``names()``.
        calm: Its matrices are so much smaller, e.g. ``GENTLE``.

    Raises:
        NotBuiltError: There is none.
    """
    kind, extra = VARIANTS.get(name, (name, {}))
    if kind in LEFT_OUT:
        raise NotBuiltError(LEFT_OUT[kind])
    try:
        config = tiny_config(kind, extra)
        torch.manual_seed(zlib.crc32(name.encode()))
        with quiet_loading():
            model = AutoModelForCausalLM.from_config(config).float()
    except (
        StrictDataclassError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ImportError,
        RuntimeError,
    ) as cause:
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        raise NotBuiltError(f"its configuration wants more: {lines[-1].strip()}") from cause
    stir(model, calm * (QUIET_STD if kind in QUIETER else LINEAR_STD))
    model.generation_config = GenerationConfig(
        bos_token_id=BOS, pad_token_id=PAD, eos_token_id=list(ENDS), do_sample=False
    )
    return model.eval().requires_grad_(False)


def tiny_config(kind: str, extra: Mapping[str, Any]) -> Any:
    """The smallest configuration of a model type that has all its parts.

    Args:
        kind: The model type.
        extra: Settings beside those of ``NEEDS``.
    """
    return _sized(CONFIG_MAPPING[kind], {**NEEDS.get(kind, {}), **extra})


def _sized(config_class: Any, needs: Mapping[str, Any]) -> Any:
    """A configuration of the common sizes, as far as it has them, its parts likewise; needs come first."""
    known = {field.name for field in dataclasses.fields(config_class)}
    settings = {name: value for name, value in SIZES.items() if name in known}
    settings |= {name: value for name, value in needs.items() if not isinstance(value, Mapping) or "rope" in name}
    parts = [name for name in getattr(config_class, "sub_configs", {}) if name in known and name not in settings]
    if parts:
        with quiet_loading():
            default = config_class()
        for name in parts:
            if (part := getattr(default, name, None)) is not None:
                settings[name] = _sized(type(part), needs.get(name, {}))
    return config_class(**settings)


def stir(model: torch.nn.Module, std: float) -> None:
    """Give a model weights of which answers vary: matrices wide enough, and nothing left at a constant.

    The first numbers of most architectures are for wide models that are yet to be trained: at a width of 64 their
    logits would lie so close that rounding chose the tokens, and every norm would be the same.

    Args:
        model: Changed in place.
        std: Of its matrices.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not weight.is_floating_point():
                continue
            noise = torch.randn_like(weight)
            if weight.ndim < 2 or any(part in name for part in DELICATE):
                weight += NOISE_STD * noise
            elif "embed" in name and weight.shape[0] >= VOCABULARY:
                weight.copy_(noise)
            else:
                weight.copy_(std * noise)


def save(model: Any, folder: Path) -> Path:
    """Save a model and its tokenizer, as users have them."""
    from benchmarks.architectures.prompts import tokenizer

    with quiet_loading():
        model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
