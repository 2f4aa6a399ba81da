"""Log-likelihoods of the reference answers, teacher-forced after their prompts, and next-token distributions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from loralift.generation.base import Batches
from loralift.generation.transformers_engine.stopping import left_pad
from loralift.records import Prompt

# Most bytes of logits in one batch, which are by far the largest tensor of a forward pass: 300 reference tokens times a
# vocabulary of 128k take 154 MB a row in float32. 2 GiB leave room for an 8B model on a 24 GB card.
LOGITS_BYTES = 2 << 30

# On a CPU large batches gain nothing, and cost padding and newly allocated memory: 128 FiQA references on 2 cores took
# 26.5 s at 2 GiB, 6.7 s at 128 MiB, 4.6 s at 32 MiB, 4.7 s at 16 MiB; 162 of them, two batches at a time on a core
# each, 7.0 s at 32 MiB, 6.3 s at 16 MiB, 6.5 s at 8 MiB.
CPU_LOGITS_BYTES = 16 << 20

type Encode = Callable[[Sequence[str], bool], list[tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and its reference as one sequence of tokens.

    Attributes:
        id: The question's id.
        token_ids: Prompt, what stands between, and reference.
        reference: How many of the last tokens are the reference's and the spaces' before it; these are scored.
    """

    id: str
    token_ids: tuple[int, ...]
    reference: int

    @property
    def prompt(self) -> tuple[int, ...]:
        """The tokens before its reference."""
        return self.token_ids[: len(self.token_ids) - self.reference]


@dataclass(frozen=True, slots=True)
class Shared:
    """The tokens with which all rows begin, computed once with the variant that is switched on.

    Attributes:
        tokens: How many; each row has at least one more before its reference.
        layers: Their keys and values in each layer, 1 x heads x tokens x head dimension.
    """

    tokens: int
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    def cache(self, config: Any, rows: int) -> DynamicCache:
        """A cache for a forward pass of so many rows."""
        cache = DynamicCache(config=config)
        for number, (keys, values) in enumerate(self.layers):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        return cache


def share(base: Any, tokens: Sequence[int]) -> Shared:
    """Compute the tokens with which all rows begin.

    Args:
        base: The transformers model, one that the loop takes, with the variant switched on.
        tokens: At least one.
    """
    cache = DynamicCache(config=base.config)
    with torch.inference_mode():
        base(input_ids=torch.tensor([tokens], device=base.device), past_key_values=cache, use_cache=True)
    return Shared(len(tokens), tuple((layer.keys, layer.values) for layer in cache.layers))


def encode_pairs(encode: Encode, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> list[Pair]:
    """Tokenise prompts with their references, as lm-evaluation-harness's ``_encode_pair`` does.

    Prompt and reference are tokenised as one text, and the prompt's tokens cut off its front, so that the reference's
    tokens are those of running text. Where a token spans the end of the prompt, so that the prompt's ids are no prefix
    of the whole, the reference is tokenised alone and appended to the prompt's ids, which are thus never changed.

    What a template writes in between is no part of the reference, and goes to the prompt; only spaces before the
    reference are scored with it, since tokenizers put them at the front of its first word.
    """
    asked = [prompt.text for prompt in prompts]
    apart = [between(prompt, separator) for prompt in prompts]
    leads = [lead for lead, _ in apart]
    scored = [spaces + reference for (_, spaces), reference in zip(apart, references, strict=True)]
    behind = list(map(str.__add__, leads, scored))
    bare, rest, joined = (encode(texts, False) for texts in (asked, behind, list(map(str.__add__, asked, behind))))
    given, alone, lead_alone = bare, rest, [tuple[int, ...]()] * len(asked)
    if any(leads):
        given, alone, lead_alone = (
            encode(texts, False) for texts in (list(map(str.__add__, asked, leads)), scored, leads)
        )
    pairs = []
    for number, prompt in enumerate(prompts):
        ids, own = prompt.token_ids, bare[number]
        # special tokens before the text's own in the prompt: a BOS, or none
        front = len(ids) - len(own)
        fits = front >= 0 and all(of[number][: len(own)] == ids[front:] == own for of in (given, joined))
        start, known, whole = ids, lead_alone[number], rest[number]
        if fits:
            start, known, whole = ids[:front], given[number], joined[number]
        if whole[: len(known)] != known:
            whole = known + alone[number]
        pairs.append(Pair(prompt.id, start + whole, len(whole) - len(known)))
    return pairs


def between(prompt: Prompt, separator: str) -> tuple[str, str]:
    r"""What stands before a reference and is given, as the prompt is; and the spaces that are scored with it.

    >>> between(Prompt("1", "Q: Why?\nA:", ()), " "), between(Prompt("1", "?", (), "<think>\n"), "")
    (('', ' '), ('<think>\n', ''))
    """
    whole = (prompt.ahead or "") + separator
    lead = whole.rstrip(" ")
    return lead, whole[len(lead) :]


def in_batches(pairs: Sequence[Pair], batches: Batches) -> list[Pair]:
    """Some pairs in the order of their batches.

    Args:
        pairs: Without those that are too long.
        batches: All of theirs.

    Raises:
        RuntimeError: A batch would be scored without some of its pairs or its prefix, or a pair not at all.
    """
    by_id = {pair.id: pair for pair in pairs}
    ids = [key for batch in batches.ids for key in batch]
    if sorted(ids) != sorted(by_id):
        raise RuntimeError(f"{len(ids)} references are in batches, and {len(by_id)} others are to be scored")
    begun = len(batches.prefix)
    if any(pair.prompt[:begun] != batches.prefix or len(pair.prompt) <= begun for pair in pairs):
        raise RuntimeError(f"a prompt does not begin with the {begun} tokens that are computed once for all")
    return [by_id[key] for key in ids]


def takes(model: Any, argument: str) -> bool:
    """Whether a model's ``forward`` has an argument; not all classes have ``logits_to_keep`` or ``position_ids``."""
    return argument in inspect.signature(model.forward).parameters


def rows_that_fit(pairs: Sequence[Pair], vocabulary: int, keeps: bool, logits_bytes: int = LOGITS_BYTES) -> int:
    """How many of the next pairs may go in one batch before its logits exceed a budget; at least 1.

    Args:
        pairs: In the order of the batches, longest first.
        vocabulary: Size of the model's vocabulary.
        keeps: Whether the model can omit the prompt's logits (``logits_to_keep``).
        logits_bytes: Most bytes of logits, in float32.
    """
    fitting, longest, earliest = 0, 0, len(pairs[0].token_ids)
    for rows, pair in enumerate(pairs, start=1):
        longest = max(longest, len(pair.token_ids))
        earliest = min(earliest, len(pair.token_ids) - pair.reference - 1)
        if rows * (longest - (earliest if keeps else 0)) * vocabulary * 4 > logits_bytes:
            break
        fitting = rows
    return max(fitting, 1)


def score_batch(model: Any, base: Any, pairs: Sequence[Pair], pad: int, shared: Shared | None = None) -> list[float]:
    """Log-likelihood of each pair's reference in nats, summed over its tokens; the batch is padded on the right.

    Args:
        model: The model with the variant switched on.
        base: The transformers model inside it, whose ``forward`` tells which arguments exist.
        pairs: One batch; each has at least one token before its reference.
        pad: The padding token's id.
        shared: What all rows begin with; None: each row is computed whole.
    """
    ids, first = _right_pad(pairs, pad, base.device)
    # no attention mask: padding is on the right, where causal attention does not look
    inputs: dict[str, Any] = {"input_ids": ids, "use_cache": False}
    kept = 0 if shared is None else shared.tokens
    if first and takes(base, "logits_to_keep"):
        kept = first
        inputs["logits_to_keep"] = ids.shape[1] - kept
    if shared is not None:
        cache = shared.cache(base.config, len(pairs))
        inputs |= {"input_ids": ids[:, shared.tokens :], "past_key_values": cache, "use_cache": True}
    with torch.inference_mode():
        logits = model(**inputs).logits
    sums = []
    for row, pair in enumerate(pairs):
        if pair.reference == 0:
            sums.append(0.0)
            continue
        # row by row, so that only one row is copied to float32; position i predicts the token at i + 1
        end = len(pair.token_ids)
        begin = end - pair.reference
        own = logits[row, begin - 1 - kept : end - 1 - kept].float()
        chosen = own.gather(-1, ids[row, begin:end, None]).squeeze(-1)
        sums.append(float((chosen - own.logsumexp(-1)).cpu().double().sum()))
    return sums


def _right_pad(pairs: Sequence[Pair], pad: int, device: Any) -> tuple[torch.Tensor, int]:
    """Token ids padded on the right, rows x longest; and the first position whose logits are needed."""
    width = max(len(pair.token_ids) for pair in pairs)
    ids = torch.tensor([[*pair.token_ids, *[pad] * (width - len(pair.token_ids))] for pair in pairs])
    return ids.to(device), min(len(pair.token_ids) - pair.reference for pair in pairs) - 1


def next_token_batch(model: Any, base: Any, prompts: Sequence[Prompt], pad: int) -> list[NDArray[np.float64]]:
    """Log-probabilities of the token after each prompt: for each, a float64 array of the vocabulary's size.

    Args:
        model: The model with the variant switched on.
        base: The transformers model inside it.
        prompts: One batch.
        pad: The padding token's id.
    """
    ids, mask = left_pad([prompt.token_ids for prompt in prompts], pad, base.device)
    with torch.inference_mode():
        logits = model(**_inputs(base, ids, mask)).logits[:, -1]
    # float64, so that equal logits give equal distributions to the last bit; on the CPU, since mps has no float64
    rows = torch.log_softmax(logits.cpu().double(), dim=-1)
    return list(rows.numpy())


def _inputs(base: Any, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
    """The arguments of ``forward`` for rows padded on the left, of which only the last logits are needed."""
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
    if takes(base, "position_ids"):
        # position 0 is a row's first token, which left padding moves to a later column
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    if takes(base, "logits_to_keep"):
        inputs["logits_to_keep"] = 1
    return inputs
