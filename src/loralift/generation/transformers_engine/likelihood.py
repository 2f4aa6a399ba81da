"""How likely a model finds the reference answers: teacher-forced, after the prompt."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from loralift.generation.transformers_engine.stopping import left_pad
from loralift.records import Prompt

# Logits are by far the largest tensor of a forward pass: 300 reference tokens times a vocabulary of 128k take 154 MB a
# row in float32. This many bytes of them in one batch leave room beside an 8B model on a 24 GB card.
LOGITS_BYTES = 2 << 30

# A CPU gains nothing from wide batches and loses to fresh memory and padding: 128 FiQA references on 2 cores took
# 26.5 s at 2 GiB, 6.7 s at 128 MiB, 4.6 s at 32 MiB, 4.7 s at 16 MiB; 162 of them, two batches at a time on a core
# each, 7.0 s at 32 MiB, 6.3 s at 16 MiB, 6.5 s at 8 MiB.
CPU_LOGITS_BYTES = 16 << 20

type Encode = Callable[[Sequence[str], bool], list[tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and its reference as one sequence of tokens.

    Attributes:
        id: The question's id.
        token_ids: Prompt, separator and reference.
        reference: How many of them, at the end, are the reference's (with the separator's).
    """

    id: str
    token_ids: tuple[int, ...]
    reference: int


def encode_pairs(encode: Encode, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> list[Pair]:
    """Tokenise prompts with their references, as lm-evaluation-harness's ``_encode_pair`` does.

    The whole text is tokenised and the prompt's tokens cut off its front, so that the reference is cut into tokens as
    in running text. Where a token reaches over the border, so that the prompt's ids are no prefix of the whole, the
    reference is tokenised by itself and put after the prompt's ids: every variant must see the same prompt.
    """
    continuations = [separator + reference for reference in references]
    texts = [prompt.text for prompt in prompts]
    plain = encode(texts, False)
    joined = encode([text + rest for text, rest in zip(texts, continuations, strict=True)], False)
    alone = encode(continuations, False)
    pairs = []
    for prompt, body, whole, rest in zip(prompts, plain, joined, alone, strict=True):
        ids = prompt.token_ids
        # what stands in the prompt before its text's own tokens: a BOS, or nothing
        front = len(ids) - len(body)
        ahead = ids[: max(front, 0)]
        fits = front >= 0 and ids[front:] == body and whole[: len(body)] == body
        token_ids = ahead + whole if fits else ids + rest
        pairs.append(Pair(prompt.id, token_ids, len(token_ids) - len(ids)))
    return pairs


def takes(model: Any, argument: str) -> bool:
    """Whether a model's forward pass has an argument; not all classes have logits_to_keep or position_ids."""
    return argument in inspect.signature(model.forward).parameters


def rows_that_fit(pairs: Sequence[Pair], vocabulary: int, keeps: bool, logits_bytes: int = LOGITS_BYTES) -> int:
    """How many of the next pairs may go in one batch before its logits exceed a budget; at least 1.

    Args:
        pairs: In the order of the batches, longest first.
        vocabulary: Of the model.
        keeps: Whether the model can leave out the prompt's logits.
        logits_bytes: The budget.
    """
    fitting, longest, earliest = 0, 0, len(pairs[0].token_ids)
    for rows, pair in enumerate(pairs, start=1):
        longest = max(longest, len(pair.token_ids))
        earliest = min(earliest, len(pair.token_ids) - pair.reference - 1)
        if rows * (longest - (earliest if keeps else 0)) * vocabulary * 4 > logits_bytes:
            break
        fitting = rows
    return max(fitting, 1)


def score_batch(model: Any, base: Any, pairs: Sequence[Pair], pad: int) -> list[float]:
    """Summed log-likelihood of each pair's reference, natural logarithm.

    Args:
        model: The model with the variant switched on.
        base: The transformers model inside it, whose forward pass says which arguments it takes.
        pairs: One batch; every one has a prompt before its reference.
        pad: The padding token.
    """
    ids, first = _right_pad(pairs, pad, base.device)
    # no mask: padding stands behind all that is looked at, and nothing sees what is behind it
    inputs: dict[str, Any] = {"input_ids": ids, "use_cache": False}
    kept = first if takes(base, "logits_to_keep") else 0
    if kept:
        inputs["logits_to_keep"] = ids.shape[1] - kept
    with torch.inference_mode():
        logits = model(**inputs).logits
    sums = []
    for row, pair in enumerate(pairs):
        if pair.reference == 0:
            sums.append(0.0)
            continue
        # row by row, so that the float32 copy is of one row only; position i predicts the token at i + 1
        end = len(pair.token_ids)
        begin = end - pair.reference
        own = logits[row, begin - 1 - kept : end - 1 - kept].float()
        chosen = own.gather(-1, ids[row, begin:end, None]).squeeze(-1)
        sums.append(float((chosen - own.logsumexp(-1)).cpu().double().sum()))
    return sums


def _right_pad(pairs: Sequence[Pair], pad: int, device: Any) -> tuple[torch.Tensor, int]:
    """Token ids, rows x longest, padded on the right; and the first place whose logits are wanted."""
    width = max(len(pair.token_ids) for pair in pairs)
    ids = torch.tensor([[*pair.token_ids, *[pad] * (width - len(pair.token_ids))] for pair in pairs])
    return ids.to(device), min(len(pair.token_ids) - pair.reference for pair in pairs) - 1


def next_token_batch(model: Any, base: Any, prompts: Sequence[Prompt], pad: int) -> list[NDArray[np.float64]]:
    """Log-probabilities of the token after each prompt, one row of the vocabulary each.

    Args:
        model: The model with the variant switched on.
        base: The transformers model inside it.
        prompts: One batch.
        pad: The padding token.
    """
    ids, mask = left_pad([prompt.token_ids for prompt in prompts], pad, base.device)
    with torch.inference_mode():
        logits = model(**_inputs(base, ids, mask)).logits[:, -1]
    # on the CPU, since mps has no float64; in it, so that equal logits give equal distributions to the last bit
    rows = torch.log_softmax(logits.cpu().double(), dim=-1)
    return list(rows.numpy())


def _inputs(base: Any, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
    """The arguments of a forward pass over rows padded on the left, whose last logits are wanted."""
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
    if takes(base, "position_ids"):
        # with padding on the left a row's first token is not at position 0 of the tensor
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    if takes(base, "logits_to_keep"):
        inputs["logits_to_keep"] = 1
    return inputs
