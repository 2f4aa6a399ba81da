"""Does the fast way answer as the plain one does? A few steps of both, on the loaded model itself, before any question.

The plain way is transformers' own forward pass, one row at a time and without a cache, with adapters in PEFT's layers.
Whatever is wrong between the two, a traceback or another number, the fast way is not taken and the run says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from loralift.errors import AdapterError, ModelError, first_line
from loralift.generation.adapter import kinds
from loralift.generation.base import Decoding, GenerationSettings
from loralift.generation.transformers_engine import fallback
from loralift.generation.transformers_engine.batching import is_out_of_memory
from loralift.generation.transformers_engine.capability import (
    Capability,
    capability_of,
    without_loop,
)
from loralift.generation.transformers_engine.likelihood import Pair, score_batch, share
from loralift.generation.transformers_engine.load import Loaded
from loralift.generation.transformers_engine.loop.block_slots import BlockSlots, attending
from loralift.generation.transformers_engine.loop.packed_likelihood import score_packed
from loralift.generation.transformers_engine.loop.packed_slots import PackedSlots
from loralift.generation.transformers_engine.rope import length_dependent, restart
from loralift.generation.transformers_engine.sampling import Sampler
from loralift.generation.transformers_engine.variants import Switch, prepacks
from loralift.records import BASE, Prompt

SHARED = 4
"""Tokens with which all rows begin."""

LENGTHS = (13, 9, 11)
"""Tokens of each row's prompt. The third row takes the place of the first when that has ended."""

STEPS = 4
"""Steps that a row takes: on a GPU the second is recorded and replayed, and so are those of the row that follows."""

# How far logits may be apart, as a share of their spread over the vocabulary. Rounding moves float32 by 1e-6 and 16
# bits by some 1e-2; a position that skips, a mask that hides too little or half an adapter by 1e-1 and more.
TOLERANCE = 1e-3
TOLERANCE_16_BITS = 0.1


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is asked.

    Attributes:
        prompts: Three, of different lengths, that begin alike.
        forced: The tokens that follow each, whatever the model would choose: both ways must see the same.
    """

    prompts: tuple[Prompt, ...]
    forced: tuple[tuple[int, ...], ...]

    @property
    def texts(self) -> list[tuple[int, ...]]:
        """Each prompt with what follows it."""
        return [prompt.token_ids + forced for prompt, forced in zip(self.prompts, self.forced, strict=True)]


def checked_capability(loaded: Loaded, decoding: Decoding = "auto") -> Capability:
    """How a loaded model is run, seen on itself.

    Args:
        loaded: The model with its adapters; as it is afterwards too.
        decoding: What was asked for.

    Raises:
        ModelError: ``loop`` was asked for, and the loop cannot take the model or does not answer as it should.
    """
    capability = capability_of(loaded.base, decoding)
    others = sorted({adapter.info.peft_type for adapter in loaded.adapters.values()} - set(kinds.LOOPED))
    if capability.loop and others:
        capability = without_loop(loaded.base, f"the loop was not tested with adapters of type {', '.join(others)}")
    rows = _rows(loaded)
    if capability.loop:
        capability = replace(capability, prepacks=prepacks(loaded.base))
        capability = _check_loop(loaded, capability, rows)
    if decoding == "loop" and not capability.loop:
        raise ModelError(f"`--decoding loop` cannot be had: {capability.obstacle}; give auto or generate instead")
    return capability if capability.loop else _check_batches(loaded, capability, rows)


def _rows(loaded: Loaded, lengths: Sequence[int] = LENGTHS) -> _Rows:
    """Rows of so many tokens from all over the vocabulary, but for those that end or pad a text."""
    size = loaded.base.config.get_text_config().vocab_size
    special = {loaded.pad, *loaded.eos}
    usual = [token for token in range(size) if token not in special] if size < 4096 else list(range(100, size - 100))
    draw = torch.Generator().manual_seed(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(usual[place] for place in torch.randint(len(usual), (count,), generator=draw).tolist())

    shared = tokens(SHARED)
    prompts = tuple(Prompt(str(row), "", shared + tokens(length - SHARED)) for row, length in enumerate(lengths))
    return _Rows(prompts, tuple(tokens(STEPS) for _ in lengths))


def _check_loop(loaded: Loaded, capability: Capability, rows: _Rows) -> Capability:
    """Compare the loop with the plain way for every variant; without the loop where they differ."""
    try:
        for variant in (BASE, *loaded.adapters):
            differs = _loop_differs(loaded, capability, variant, rows)
            if not differs <= _tolerance(loaded.base):
                why = f"for {variant} the loop's logits differ from the plain way's by {differs:.1g} of their spread"
                return without_loop(loaded.base, why)
    except AdapterError:  # brought back into the model it is not what was proved, in whichever way it is run
        raise
    except Exception as error:  # a model's own code, run in a way that is not its own, may raise anything
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        return without_loop(loaded.base, f"in the loop it raises {type(error).__name__}: {first_line(error)}")
    return capability


def _loop_differs(loaded: Loaded, capability: Capability, variant: str, rows: _Rows) -> float:
    """How far a variant's logits and reference likelihoods are from the plain way's; NaN where there are none."""
    with _switched(loaded, variant, merge=False):
        plain = [_plain_logits(loaded, text) for text in rows.texts]
    with _switched(loaded, variant, merge=True, prepacks=capability.prepacks), torch.inference_mode():
        # recording takes as long as all else: what an adapter adds to a step is recorded as the rest of it is
        fast = _loop_logits(loaded, replace(capability, records=capability.records and variant == BASE), rows)
        pairs = _pairs(rows)
        score = score_packed(loaded.base, pairs) if capability.packed else _score_after_shared(loaded, pairs)
    logits = [_apart(one, text[-STEPS - 1 : -1]) for one, text in zip(fast, plain, strict=True)]
    return max((*logits, *_sums_apart(score, plain, rows)), key=_nan_is_most)


def _plain_logits(loaded: Loaded, text: Sequence[int]) -> torch.Tensor:
    """The logits behind each token of one row, by the model's own attention; tokens x vocabulary, float32."""
    with torch.inference_mode():
        ids = torch.tensor([text], device=loaded.base.device)
        logits: torch.Tensor = loaded.model(input_ids=ids, use_cache=False).logits[0]
    return logits.float()


class _Recorder(Sampler):
    """Chooses the tokens that it was told, and keeps the logits that it was given.

    Attributes:
        entered: Those behind the prompts that entered last.
        stepped: Those of the last step; of a recorded one the tensor that every replay fills anew.
    """

    def __init__(self, slots: int, rows: _Rows, device: torch.device) -> None:
        super().__init__(GenerationSettings(max_new_tokens=STEPS), slots, device)
        self._told = {prompt.id: forced for prompt, forced in zip(rows.prompts, rows.forced, strict=True)}
        self._forced = torch.zeros(slots, STEPS, dtype=torch.long, device=device)
        self.entered = self.stepped = torch.zeros(0)
        self._entering = False

    def first(self, logits: torch.Tensor, places: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        told = torch.tensor([self._told[prompt.id] for prompt in prompts])
        self._forced[places] = told.to(self._forced)
        self.entered, self._entering = logits, True
        tokens = super().first(logits, places, prompts)
        self._entering = False
        return tokens

    def _pick(self, logits: torch.Tensor, rows: Any) -> torch.Tensor:
        if not self._entering:
            self.stepped = logits
        steps = self._steps[rows].clamp(max=STEPS - 1)
        return self._forced[rows].gather(1, steps[:, None]).squeeze(1)


def _loop_logits(loaded: Loaded, capability: Capability, rows: _Rows) -> list[torch.Tensor]:
    """The logits behind each row's prompt and forced tokens but the last, steps x vocabulary, by the loop."""
    base = loaded.base
    recorder = _Recorder(2, rows, base.device)
    shared = rows.prompts[0].token_ids[:SHARED]
    slots: BlockSlots | PackedSlots = (
        PackedSlots(base, 2, max(LENGTHS) + STEPS, recorder, shared, records=capability.records)
        if capability.packed
        else BlockSlots(base, 2, recorder, loaded.pad, shared)
    )
    first, second, third = rows.prompts
    kept: list[list[torch.Tensor]] = [[], [], []]

    def keep(logits: torch.Tensor, present: Sequence[int]) -> None:
        for place, row in enumerate(present):
            kept[row].append(logits[place].float().clone())

    def go_on(free: Sequence[int], prompts: Sequence[Prompt], present: Sequence[int]) -> None:
        slots.enter(free, prompts)
        keep(recorder.entered, present)
        for _ in range(STEPS - 1):
            slots.step()
            keep(recorder.stepped, present)

    with attending(base, slots.attention):
        go_on([0, 1], [first, second], [0, 1])
        # the first has ended: the third takes its place while the second is computed on
        slots.trim([1])
        go_on([0], [third], [2])
    return [torch.stack(logits) for logits in kept]


def _pairs(rows: _Rows) -> list[Pair]:
    """The rows as references: what follows a prompt is scored."""
    return [Pair(prompt.id, text, STEPS) for prompt, text in zip(rows.prompts, rows.texts, strict=True)]


def _score(loaded: Loaded, pairs: Sequence[Pair]) -> list[float]:
    restart(loaded.base)
    return score_batch(loaded.model, loaded.base, pairs, loaded.pad)


def _score_after_shared(loaded: Loaded, pairs: Sequence[Pair]) -> list[float]:
    shared = share(loaded.base, pairs[0].token_ids[:SHARED])
    return score_batch(loaded.model, loaded.base, pairs, loaded.pad, shared)


def _sums_apart(scores: Sequence[float], plain: Sequence[torch.Tensor], rows: _Rows) -> Iterator[float]:
    """How far reference likelihoods, in nats a token, are from those of the plain logits, over the logits' spread."""
    for score, logits, forced in zip(scores, plain, rows.forced, strict=True):
        own = logits[-STEPS - 1 : -1]
        wanted = own.log_softmax(-1).gather(1, torch.tensor(forced, device=own.device)[:, None]).sum()
        yield abs(score - float(wanted)) / STEPS / max(float(own.std()), 1e-6)


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest distance of two rows of logits over the second's spread; the means are left out, as softmax does."""
    centred = other - other.mean(-1, keepdim=True)
    distance = (one - one.mean(-1, keepdim=True) - centred).norm(dim=-1)
    return float((distance / centred.norm(dim=-1).clamp(min=1e-6)).max())


def _nan_is_most(far: float) -> float:
    return math.inf if math.isnan(far) else far


def _tolerance(base: Any) -> float:
    return TOLERANCE if base.dtype in (torch.float32, torch.float64) else TOLERANCE_16_BITS


def _check_batches(loaded: Loaded, capability: Capability, rows: _Rows) -> Capability:
    """Whether rows of different lengths may be padded and adapters merged where ``generate`` answers."""
    if length_dependent(loaded.base.config):
        note = "Rows meet only others on their side of the length at which the rotary embedding changes."
        capability = replace(capability, notes=(*capability.notes, note))
    if capability.merges and not all(_agrees(loaded, _merging_differs, name, rows) for name in loaded.adapters):
        note = "Adapters stay in PEFT's layers: merged, the model does not answer as it does with them."
        capability = replace(capability, merges=False, notes=(*capability.notes, note))
    variants = (BASE, *loaded.adapters)
    if loaded.source.quantization is not None and loaded.source.quantization.follows_the_batch:
        return replace(capability, batches="single rows")
    if capability.batches == "padded" and not all(_agrees(loaded, _batch_differs, name, rows) for name in variants):
        note = "Batches hold rows of one length only: padded, the model does not answer as it does alone."
        capability = replace(capability, batches="equal lengths", notes=(*capability.notes, note))
    if capability.batches == "equal lengths":
        rows = _rows(loaded, (max(LENGTHS),) * len(LENGTHS))
        if not all(_agrees(loaded, _batch_differs, name, rows) for name in variants):
            note = "Rows are asked one at a time: even with rows as long as it, the model does not answer as alone."
            capability = replace(capability, batches="single rows", notes=(*capability.notes, note))
    return capability


def _agrees(loaded: Loaded, differs: Callable[[Loaded, str, _Rows], float], variant: str, rows: _Rows) -> bool:
    """Whether two ways agree for a variant; whatever a model's own code raises is no agreement."""
    try:
        return differs(loaded, variant, rows) <= _tolerance(loaded.base)
    except AdapterError:  # as above
        raise
    except Exception as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        return False


def _merging_differs(loaded: Loaded, variant: str, rows: _Rows) -> float:
    """How far logits with an adapter that is merged, or beside the weights, are from those in PEFT's layers."""
    found = []
    for merge in (True, False):
        with _switched(loaded, variant, merge=merge):
            restart(loaded.base)
            found.append([_plain_logits(loaded, text) for text in rows.texts])
    return max((_apart(one, other) for one, other in zip(*found, strict=True)), key=_nan_is_most)


def _batch_differs(loaded: Loaded, variant: str, rows: _Rows) -> float:
    """How far logits of ``generate`` and likelihoods of a batch are from those of rows alone."""
    with _switched(loaded, variant, merge=False):
        restart(loaded.base)
        tokens, logits = fallback.step_logits(loaded, rows.prompts, STEPS)
        far = []
        for row, prompt in enumerate(rows.prompts):
            restart(loaded.base)
            (alone,), (wanted,) = fallback.step_logits(loaded, [prompt], STEPS)
            # where one chooses another token both go on from other texts; a row alone may end before the others
            made = len(alone)
            same = 1 + int((tokens[row, : made - 1] == alone[: made - 1]).long().cumprod(0).sum())
            far.append(_apart(logits[row, :same], wanted[:same]))
        pairs, spread = _pairs(rows), max(float(logits.std()), 1e-6)
        for pair, together in zip(pairs, _score(loaded, pairs), strict=True):
            far.append(abs(together - _score(loaded, [pair])[0]) / STEPS / spread)
    return max(far, key=_nan_is_most)


@contextmanager
def _switched(loaded: Loaded, variant: str, *, merge: bool, prepacks: bool = False) -> Iterator[None]:
    """The model as a variant for a while; as it was loaded afterwards."""
    switch = Switch(loaded, merge=merge, prepacks=prepacks)
    switch.to(variant)
    try:
        yield
    finally:
        switch.restore()
