"""Attention over packed rows: all tokens of a forward pass in one line, each row's keys where the row lies.

FlashAttention (Dao 2023, "FlashAttention-2"), which torch brings, reads from the device how long each row is. So
no row is padded, heads that share keys read them once, no mask is built, and a recorded step stays right as rows grow.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from transformers import AttentionInterface

from loralift.generation.transformers_engine.loop.block_cache import refuse_more

NAME = "loralift_packed"


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor,
    cu_seq_lens_k: torch.Tensor,
    max_length_q: int,
    max_length_k: int,
    seqused_k: torch.Tensor,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in each layer; the sizes are keywords of the model's forward pass.

    Args:
        module: The layer.
        query: 1 x heads x tokens x head dimension.
        key: The whole buffer, places x key heads x head dimension; or, where there is no cache, as the layer made them,
            1 x key heads x tokens x head dimension.
        value: Likewise.
        attention_mask: None: rows are told apart by the sizes.
        scaling: Of the scores.
        cu_seq_lens_q: Where each row's queries begin, and the end; rows + 1.
        cu_seq_lens_k: Where each row's keys begin in the buffer; rows + 1, the last of no meaning.
        max_length_q: Most queries of a row.
        max_length_k: Most keys of a row.
        seqused_k: Keys of each row, those of its queries included; rows.
        more: All else.

    Returns:
        1 x tokens x heads x head dimension, and None for the weights.
    """
    refuse_more(more)
    if key.dim() == 4:
        key, value = key[0].transpose(0, 1), value[0].transpose(0, 1)
    heads, tokens, width = query.shape[1:]
    groups = heads // key.shape[1] if max_length_q == 1 else 1
    # heads that share keys stand as queries of one row, which read them together and not each by itself
    packed = query[0].reshape(-1, groups, tokens, width).permute(2, 1, 0, 3).reshape(tokens * groups, -1, width)
    out = _flash(
        packed,
        key,
        value,
        cu_seq_lens_q * groups,
        cu_seq_lens_k,
        max_length_q * groups,
        max_length_k,
        0.0,  # dropout
        max_length_q > 1,  # causal, aligned at the end: a row's last query sees all of its keys
        False,
        scale=scaling,
        seqused_k=seqused_k,
    )[0]
    out = out.reshape(tokens, groups, -1, width).transpose(1, 2).reshape(tokens, heads, width)
    return out[None], None


AttentionInterface.register(NAME, attend)


def _flash(*tensors: Any, **settings: Any) -> Any:
    """The operation under torch's ``varlen_attn``, which itself takes ``seqused_k`` only in the newest releases."""
    return torch.ops.aten._flash_attention_forward(*tensors, **settings)


@cache
def is_there(device: torch.device, dtype: torch.dtype, heads: int, key_heads: int, width: int) -> bool:
    """Whether this device computes it, seen on a few small rows: an old torch or GPU, or a wide head, does not.

    Args:
        device: Where.
        dtype: Of keys and queries.
        heads: Of the queries.
        key_heads: Of the keys and values.
        width: Dimension of a head.
    """
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return False
    lengths, capacity = (5, 1, 9), 16
    draw = torch.Generator(device).manual_seed(0)
    keys, values = (
        torch.randn(3 * capacity, key_heads, width, device=device, dtype=dtype, generator=draw) for _ in range(2)
    )
    for counts in ((1, 1, 1), (3, 1, 4)):  # a step, and prompts that enter behind keys that are there
        queries = torch.randn(1, heads, sum(counts), width, device=device, dtype=dtype, generator=draw)
        starts = torch.tensor([2 * capacity, 0, capacity, 0], dtype=torch.int32, device=device)
        try:
            out, _ = attend(
                None,
                queries,
                keys,
                values,
                None,
                scaling=width**-0.5,
                cu_seq_lens_q=torch.tensor([0, *counts], device=device).cumsum(0).int(),
                cu_seq_lens_k=starts,
                max_length_q=max(counts),
                max_length_k=capacity,
                seqused_k=torch.tensor(lengths, dtype=torch.int32, device=device),
            )
        except (RuntimeError, ValueError, TypeError):
            return False
        wanted = plain(queries, keys, values, counts, starts.tolist(), lengths)
        if not torch.allclose(out[0].float(), wanted, atol=0.02, rtol=0.02):
            return False
    return True


def plain(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    counts: Any,
    starts: Any,
    lengths: Any,
    *,
    causal: bool = True,
) -> torch.Tensor:
    """The same in its simplest form and in float32, row by row; tokens x heads x head dimension.

    Args:
        query: 1 x heads x tokens x head dimension.
        keys: Places x key heads x head dimension.
        values: Likewise.
        counts: Queries of each row.
        starts: The place of each row's first key.
        lengths: Keys of each row.
        causal: Whether a query sees no keys behind its own, the last query's being the row's last.
    """
    rows = []
    groups = query.shape[1] // keys.shape[1]
    for own, count, start, length in zip(query[0].split(list(counts), dim=1), counts, starts, lengths, strict=False):
        key, value = (
            buffer[start : start + length].transpose(0, 1).repeat_interleave(groups, dim=0).float()
            for buffer in (keys, values)
        )
        places = torch.arange(length, device=query.device)
        seen = places[None, :] <= places[length - count :, None] if causal else None
        rows.append(torch.nn.functional.scaled_dot_product_attention(own.float(), key, value, attn_mask=seen))
    return torch.cat(rows, dim=1).transpose(0, 1)
