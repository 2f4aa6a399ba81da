"""The proof that an adapter acts: on real prompts it shifts the next token's distribution by more than rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from loralift.errors import AdapterError, ModelError, about_adapter, some
from loralift.generation.adapter import origin, tokenizer_match
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.adapter.place import checkpoints_in
from loralift.generation.adapter.precision import compare_precision
from loralift.generation.model.base_model import BaseModel
from loralift.records import BASE, AdapterProof, Prompt

MOST_PROMPTS = 16
"""How many prompts are evaluated: enough to see any adapter that acts, few enough to take seconds."""

# KL divergence in nats up to which an adapter counts as dead, whatever the precision. By Pinsker's inequality 1e-9 nats
# change the probability of no set of tokens by more than 2.3e-5: one token in 45,000 would be sampled otherwise.
NOTHING = 1e-9

# Below so many times the rounding noise an adapter acts, but its answers may differ from the base's by rounding too.
WEAK = 10.0

type Floats = NDArray[np.float64]


class Asked(Protocol):
    """The part of ``generation.base.Generator`` that a proof needs.

    A protocol of its own, since this package may not import ``generation.base``, which is above it.
    """

    @property
    def base_model(self) -> BaseModel:
        """The base as it was found."""

    @property
    def adapters(self) -> Mapping[str, AdapterInfo]:
        """What each adapter is, by its name."""

    @property
    def tokenizer(self) -> Any:
        """The base's transformers tokenizer."""

    def next_token_log_probabilities(
        self, variant: str, prompts: Sequence[Prompt], batch_size: int | None = None
    ) -> Floats:
        """Log-probabilities (natural logarithm) of the token after each prompt, prompts x vocabulary."""


def prove(generator: Asked, prompts: Sequence[Prompt], *, chat_template: bool = False) -> tuple[AdapterProof, ...]:
    """Prove on real prompts that the base computes numbers, that every adapter acts, and what of its training differs.

    For up to ``MOST_PROMPTS`` evenly spaced prompts, the adapter's next-token distribution is compared with the base's
    in the same batch, by KL divergence. The noise of rounding is measured: the base is evaluated again with batch size
    1. An adapter is dead if its largest divergence on any prompt is not above the largest divergence of that noise.

    Args:
        generator: A base with its adapters.
        prompts: All prompts of the run; not empty.
        chat_template: Whether the base's chat template rendered them.

    Returns:
        One proof for each adapter, in their order.

    Raises:
        ModelError: The prompts begin with two BOS tokens or end with an EOS, or the base computes NaN.
        AdapterError: An adapter is dead, or makes the model compute NaN; the message says why and what to do.
    """
    tokenizer_match.refuse_misread(generator.tokenizer, prompts, chat_template=chat_template)
    few = spread(prompts)
    base = generator.next_token_log_probabilities(BASE, few)
    if broken := _not_numbers(base, few):
        raise ModelError(
            f"the base computes NaN on {len(broken)} of {len(few)} prompts ({some(broken, 3)}): evaluate it with "
            "--dtype bfloat16 or float32, and check that its weights are whole"
        )
    if not generator.adapters:
        return ()
    noise = divergences(generator.next_token_log_probabilities(BASE, few, batch_size=1), base)
    proofs = []
    for name, info in generator.adapters.items():
        adapted = generator.next_token_log_probabilities(name, few)
        shift = divergences(adapted, base)
        with about_adapter(name):
            _refuse_nan(info, adapted, few)
            _refuse_dead(info, shift, noise)
        notes = (
            *origin.compare_base(info.base_model, info.base_revision, generator.base_model),
            *compare_precision(Path(info.path), info.base_model, generator.base_model),
            *_settings_notes(info),
            *_drawn_note(info),
            *_checkpoints_note(info),
            *tokenizer_match.compare_tokenizers(Path(info.path), generator.tokenizer, prompts, chat_template),
            *_weakness(shift, noise),
        )
        changed = float((adapted.argmax(axis=1) != base.argmax(axis=1)).mean())
        proofs.append(AdapterProof(name, len(few), float(shift.mean()), float(shift.max()), changed, notes))
    return tuple(proofs)


def spread(prompts: Sequence[Prompt], most: int = MOST_PROMPTS) -> list[Prompt]:
    """At most ``most`` prompts, evenly spaced, the first included."""
    count = min(most, len(prompts))
    return [prompts[place * len(prompts) // count] for place in range(count)]


def divergences(one: Floats, other: Floats) -> Floats:
    """KL(one || other) of each row, in nats; never below 0.

    Args:
        one: Log-probabilities, rows x vocabulary.
        other: Likewise.
    """
    likely = np.exp(one)
    with np.errstate(invalid="ignore"):  # -inf minus -inf where the probability is 0, and so is the term
        terms = np.where(likely > 0, likely * (one - other), 0.0)
    rows: Floats = np.maximum(terms.sum(axis=1), 0.0)
    return rows


def _refuse_nan(info: AdapterInfo, adapted: Floats, prompts: Sequence[Prompt]) -> None:
    if broken := _not_numbers(adapted, prompts):
        raise AdapterError(
            f"`{info.argument}` makes the model compute NaN on {len(broken)} of {len(prompts)} prompts: its update is "
            f"too large for the dtype ({info.strength}): check its lora_alpha, or evaluate with --dtype float32"
        )


def _refuse_dead(info: AdapterInfo, shift: Floats, noise: Floats) -> None:
    if shift.max() > max(NOTHING, noise.max()):
        return
    found = (
        f"on {len(shift)} prompts it shifts the next token's distribution by at most {shift.max():.1e} nats, and "
        f"rounding alone shifts the base's by {noise.max():.1e} ({info.strength})"
    )
    raise AdapterError(
        f"`{info.argument}` acts on nothing: {found}; evaluate a checkpoint that was trained, with the lora_alpha of "
        "its training; if it is meant to be that weak, evaluate with --dtype float32"
    )


def _weakness(shift: Floats, noise: Floats) -> tuple[str, ...]:
    if shift.mean() >= WEAK * noise.mean():
        return ()
    return (
        f"It shifts the next token's distribution by {shift.mean():.1e} nats, rounding alone by {noise.mean():.1e}: "
        "answers may differ by rounding too; --dtype float32 rounds less.",
    )


def _settings_notes(info: AdapterInfo) -> tuple[str, ...]:
    if not info.ignored_settings:
        return ()
    return (f"A newer PEFT saved it, with settings that this one ignores: {some(info.ignored_settings)}.",)


def _drawn_note(info: AdapterInfo) -> tuple[str, ...]:
    if not info.drawn:
        return ()
    return (
        "Its file lacks its projections (save_projection false): PEFT draws them from a seed, and with another seed or "
        "another random number generator than its training's they are others.",
    )


def _checkpoints_note(info: AdapterInfo) -> tuple[str, ...]:
    inside = checkpoints_in(Path(info.path)) if info.revision is None else []
    if not inside:
        return ()
    return (
        f"The adapter beside its checkpoints was evaluated, not they ({some(inside)}): --adapter "
        f"'{info.source}/checkpoint-*' evaluates each.",
    )


def _not_numbers(rows: Floats, prompts: Sequence[Prompt]) -> list[str]:
    """Ids of the prompts whose distribution has NaN."""
    return [prompt.id for prompt, bad in zip(prompts, np.isnan(rows).any(axis=1), strict=True) if bad]
