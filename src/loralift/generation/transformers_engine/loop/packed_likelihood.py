"""Reference log-likelihoods on a GPU with packed rows: all tokens of a batch concatenated, no padding, no mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from loralift.generation.transformers_engine.likelihood import Pair
from loralift.generation.transformers_engine.loop import packed_attention
from loralift.generation.transformers_engine.loop.block_slots import attending

# Tokens whose logits are converted to float32 at a time; each has the vocabulary's size.
ROWS_AT_A_TIME = 512


def score_packed(base: Any, pairs: Sequence[Pair]) -> list[float]:
    """Log-likelihood of each pair's reference in nats, summed over tokens; `likelihood.score_batch` without padding.

    Args:
        base: The transformers model, on a GPU that can pack rows, with the variant switched on.
        pairs: One batch; each has at least one token before its reference.
    """
    device = base.device
    counts = torch.tensor([len(pair.token_ids) for pair in pairs])
    references = torch.tensor([pair.reference for pair in pairs])
    ends = counts.cumsum(0)
    # position i predicts the token at i + 1
    asking = torch.cat([torch.arange(end - own - 1, end - 1) for end, own in zip(ends, references, strict=True)])
    tokens = torch.tensor([token for pair in pairs for token in pair.token_ids], device=device)
    starts = torch.nn.functional.pad(ends, (1, 0)).to(device, torch.int32)
    asking = asking.to(device)
    with torch.inference_mode(), attending(base, packed_attention.NAME):
        logits = base(
            input_ids=tokens[None],
            position_ids=torch.cat([torch.arange(int(count)) for count in counts]).to(device)[None],
            use_cache=False,
            logits_to_keep=asking,
            cu_seq_lens_q=starts,
            cu_seq_lens_k=starts,
            max_length_q=int(counts.max()),
            max_length_k=int(counts.max()),
            seqused_k=counts.to(device, torch.int32),
        ).logits[0]
        own = [
            part.float().gather(-1, target[:, None]).squeeze(-1) - part.float().logsumexp(-1)
            for part, target in zip(logits.split(ROWS_AT_A_TIME), tokens[asking + 1].split(ROWS_AT_A_TIME), strict=True)
        ]
    found = torch.cat([*own, logits.new_zeros(0, dtype=torch.float32)]).double().cpu()
    return [float(part.sum()) for part in found.split(references.tolist())]
