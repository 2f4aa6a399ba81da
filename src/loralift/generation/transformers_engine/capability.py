"""Which models the loop takes, which of them packed, whose steps are recorded, and how many rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from loralift.generation.base import GenerationSettings
from loralift.generation.transformers_engine.likelihood import takes
from loralift.generation.transformers_engine.loop import packed_attention
from loralift.generation.transformers_engine.loop.block_cache import BLOCK
from loralift.generation.transformers_engine.loop.scheduler import cache_columns
from loralift.records import Prompt

# Of the memory that is free, the share for the rows' caches; the rest is for activations, prompts' above all.
SHARE_FOR_ROWS = 0.6

# Most running rows. Two CPU cores with a 7M-parameter model made 2,790, 3,180 and 3,620 tokens/s in steps of 256, 384
# and 648 rows; a large GPU is bound by arithmetic beyond.
MOST_ROWS = 1024


def can_loop(base: Any) -> bool:
    """Whether a transformers model is an ordinary decoder: every layer attends over all tokens before its own."""
    config = base.config
    layers = DynamicCache(config=config).layers
    return (
        not config.is_encoder_decoder
        and not getattr(base, "_is_stateful", False)
        and getattr(base, "_supports_attention_backend", False)
        and config._attn_implementation in ("sdpa", "eager")  # these take any mask
        and len(layers) == config.get_text_config().num_hidden_layers
        and all(type(layer) is DynamicLayer for layer in layers)
        and all(takes(base, name) for name in ("position_ids", "past_key_values", "logits_to_keep"))
    )


def can_pack(base: Any) -> bool:
    """Whether a model's rows can be packed: an ordinary decoder on a GPU that has the attention for it."""
    config = base.config.get_text_config()
    heads = config.num_attention_heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return (
        can_loop(base)
        and not getattr(config, "v_head_dim", None)
        and packed_attention.is_there(base.device, base.dtype, heads, key_heads, width)
    )


def can_record(base: object, device: torch.device) -> bool:
    """Whether a model's steps can be recorded: its code asks nothing of the numbers that it computes.

    Args:
        base: The transformers model, which says so of itself.
        device: Where it lies.
    """
    config = base.config.get_text_config()  # type: ignore[attr-defined]
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    # these look at the longest row to choose their frequencies
    looks = str(scaling.get("rope_type", "default")) in ("dynamic", "longrope")
    return device.type == "cuda" and not looks and bool(getattr(base, "_can_compile_fullgraph", False))


def rows_at_once(model: Any, prompts: Sequence[Prompt], settings: GenerationSettings, free: int) -> int:
    """How many rows may run at once: as many as were asked for, as gain anything, and as the memory holds.

    Args:
        model: The transformers model itself, which ``can_loop``.
        prompts: Longest first.
        settings: How they are answered.
        free: Bytes that are free.
    """
    # the first and the last block are not full
    span = cache_columns(prompts, settings) + 2 * BLOCK
    return min(settings.batch_size or MOST_ROWS, rows_in_memory(model, span, free))


def rows_in_memory(base: Any, span: int, free: int) -> int:
    """How many rows the free memory holds; at least 1.

    Args:
        base: The transformers model.
        span: Columns of the cache a row: prompt, answer, and what is kept for rows that follow.
        free: Bytes that are free.
    """
    config = base.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    number = torch.finfo(base.dtype).bits // 8
    cache = 2 * config.num_hidden_layers * heads * width * number * span
    # float64 logits are what sampling makes of them
    logits = 3 * 8 * config.vocab_size
    return max(int(SHARE_FOR_ROWS * free / (cache + logits)), 1)
