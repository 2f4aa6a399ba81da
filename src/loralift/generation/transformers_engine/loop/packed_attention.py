"""Attention over packed rows on a GPU: the tokens of all rows are concatenated, without padding.

It is FlashAttention (Dao 2023, "FlashAttention-2") as torch has it, which reads the length of each row from a tensor on
the device. So no mask is built, query heads that share a key head read its keys once, and a CUDA graph of a step stays
valid as rows grow.
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
    """The attention that transformers calls in each layer; the lengths are keyword arguments of the model's forward.

    Args:
        module: The attention layer.
        query: 1 x heads x tokens x head dimension.
        key: The whole cache, places x key heads x head dimension; without a cache the layer's own keys, 1 x key heads x
            tokens x head dimension.
        value: Likewise.
        attention_mask: None; the lengths below separate the rows.
        scaling: Factor of the scores.
        cu_seq_lens_q: Index of each row's first query, then the number of tokens; rows + 1.
        cu_seq_lens_k: Index of each row's first key in the cache; rows + 1, of which the last is ignored.
        max_length_q: Most queries of a row.
        max_length_k: Most keys of a row.
        seqused_k: How many keys each row has, those of its queries included; rows.
        more: Further arguments of transformers' attention interface.

    Returns:
        1 x tokens x heads x head dimension, and None for the attention weights.

    Raises:
        NotImplementedError: ``more`` asks for what ``refuse_more`` refuses.
    """
    refuse_more(more)
    if key.dim() == 4:
        key, value = key[0].transpose(0, 1), value[0].transpose(0, 1)
    heads, tokens, width = query.shape[1:]
    groups = heads // key.shape[1] if max_length_q == 1 else 1
    # query heads that share a key head become queries of one row, so that its keys are read once
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
        max_length_q > 1,  # causal, aligned at the end: a row's last query attends to all of its keys
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
    """Whether ``attend`` works on a device, tried on three small rows and compared with ``plain``.

    It does not with an old torch or GPU, or with wide heads.

    Args:
        device: The model's device; false unless CUDA.
        dtype: Of queries, keys and values; false unless bfloat16 or float16.
        heads: Number of query heads.
        key_heads: Number of key and value heads.
        width: Head dimension.
    """
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return False
    lengths, capacity = (5, 1, 9), 16
    draw = torch.Generator(device).manual_seed(0)
    keys, values = (
        torch.randn(3 * capacity, key_heads, width, device=device, dtype=dtype, generator=draw) for _ in range(2)
    )
    for counts in ((1, 1, 1), (3, 1, 4)):  # a decode step, and a prefill after a shared prefix
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
    """The same attention in its simplest form: in float32, row by row; tokens x heads x head dimension.

    Args:
        query: 1 x heads x tokens x head dimension.
        keys: The cache, places x key heads x head dimension.
        values: Likewise.
        counts: How many queries each row has.
        starts: Index of each row's first key in the cache.
        lengths: How many keys each row has.
        causal: Whether a query attends to no later keys; a row's last query is at its last key.
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
