"""A whole model as a variant: whether it reads the same tokens as the base, and whether it is another model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from loralift.errors import ModelError, UsageError, some
from loralift.generation.adapter import proof
from loralift.generation.base import Generator, refuse_too_long
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.tokenization import Texts
from loralift.generation.transformers_engine.batching import release_memory
from loralift.generation.transformers_engine.generator import TransformersGenerator
from loralift.generation.transformers_engine.likelihood import encode_pairs
from loralift.generation.transformers_engine.load import context_window, load_tokenizer
from loralift.records import BASE, Prompt

FEWEST_OTHER = 0.05
"""Share of the base's tokens that another tokenizer lacks or numbers otherwise. Llama 3's and Qwen 2's, both made from
one of OpenAI's, differ in a fifth of them."""

APART = "evaluate it in a run of its own as --model, and pair both runs by `loralift compare`"


@dataclass(frozen=True, slots=True)
class Shown:
    """A base's distributions of the next token on a few prompts.

    Attributes:
        log_probabilities: Natural logarithms, prompts x vocabulary.
        noise: KL divergence by rounding alone, of the same prompts in batches of one; nats, one a prompt.
    """

    log_probabilities: NDArray[np.float64]
    noise: NDArray[np.float64]


def place_and_revision(place: str) -> tuple[str, str | None]:
    """A model's place and its revision: MODEL@REVISION on the hub; what lies on the disk is taken as it is written."""
    head, at, revision = place.rpartition("@")
    if not at or not head or not revision or Path(place).exists():
        return place, None
    return head, revision


def tokenizer_of(generator: Generator, candidate: BaseModel) -> tuple[Any, bool]:
    """A candidate's tokenizer, and whether it is another one than the base's.

    One that lacks or numbers otherwise a few of the base's tokens is taken for the base's, damaged or edited, and never
    for another.

    Args:
        generator: The base.
        candidate: A model whose weights are not loaded yet.

    Raises:
        ModelError: It cannot be loaded, or is the base's but for some tokens.
    """
    tokenizer = load_tokenizer(candidate)
    here, there = generator.tokenizer.get_vocab(), tokenizer.get_vocab()
    if sum(there.get(token) != number for token, number in here.items()) > FEWEST_OTHER * len(here):
        return tokenizer, True
    moved = [token for token, number in here.items() if there.get(token, number) != number]
    if moved:
        raise ModelError(
            f"its tokenizer numbers {len(moved)} tokens of the base's otherwise ({some(moved, 3)}), and a candidate "
            f"must read the same tokens, or have another tokenizer altogether: {APART}"
        )
    return tokenizer, False


def read_by_its_own(
    generator: Generator,
    candidate: BaseModel,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    references: Sequence[str],
    *,
    new_tokens: int,
    chat_template: bool,
) -> tuple[Prompt, ...]:
    """The same prompts as the tokens of a candidate's own tokenizer.

    Args:
        generator: The base.
        candidate: A model whose weights are not loaded yet.
        tokenizer: Its own, another than the base's.
        prompts: All that will be asked.
        references: As many, in the same order.
        new_tokens: Most tokens of an answer.
        chat_template: Whether the base's chat template rendered the prompts.

    Raises:
        ModelError: The text is not for it to read: of the base's chat template, ended by the base's tokens, or with
            characters that it has no token for; or a prompt is too long for it.
    """
    if chat_template:
        raise ModelError(
            f"it has another tokenizer than the base, and the base's chat template writes the base's tokens: {APART}, "
            "each asked by its own template"
        )
    if generator.base_model.ends:
        raise ModelError(f"it has another tokenizer than the base, and --eos-token names the base's tokens: {APART}")
    own = Texts(tokenizer, ())
    encoded = own.encode([prompt.text for prompt in prompts], True)
    unknown = tokenizer.unk_token_id
    unread = [
        prompt.id
        for prompt, *both in zip(prompts, encoded, own.encode(references, False), strict=True)
        if unknown is not None and any(unknown in ids for ids in both)
    ]
    if unread:
        raise ModelError(
            f"its tokenizer has no token for characters of {len(unread)} of {len(prompts)} prompts and references "
            f"({some(unread, 3)}), which it would not read: leave these rows out"
        )
    found = tuple(replace(prompt, token_ids=ids) for prompt, ids in zip(prompts, encoded, strict=True))
    refuse_too_long(found, new_tokens, context_window(candidate))
    return found


def refuse_other_tokens(
    generator: Generator,
    candidate: BaseModel,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    references: Sequence[str],
    separator: str,
    *,
    new_tokens: int,
    chat_template: bool,
) -> Iterator[str]:
    """Make sure that a candidate reads prompts and references as the base does, and has room for its answers.

    Args:
        generator: The base.
        candidate: A model whose weights are not loaded yet.
        tokenizer: Its own, as `tokenizer_of` found it.
        prompts: All that will be asked.
        references: As many, in the same order.
        separator: Between a prompt and its reference.
        new_tokens: Most tokens of an answer.
        chat_template: Whether the base's chat template rendered the prompts.

    Returns:
        Notes, one sentence each.

    Raises:
        ModelError: Its tokenizer makes other tokens of a text, or a prompt is too long for it.
    """
    own = Texts(tokenizer, ())
    encoded = own.encode([prompt.text for prompt in prompts], not chat_template)
    other = [prompt.id for prompt, ids in zip(prompts, encoded, strict=True) if ids != prompt.token_ids]
    if not other:
        pairs = [encode_pairs(encode, prompts, references, separator) for encode in (generator.encode, own.encode)]
        other = [one.id for one, two in zip(*pairs, strict=True) if one != two]
    if other:
        raise ModelError(
            f"its tokenizer makes other tokens than the base's of {len(other)} of {len(prompts)} prompts with their "
            f"references ({some(other, 3)}), and a candidate must read the same tokens: {APART}"
        )
    refuse_too_long(prompts, new_tokens, context_window(candidate))
    return _other_template(generator, tokenizer.chat_template) if chat_template else iter(())


def _other_template(generator: Generator, template: object) -> Iterator[str]:
    if template != generator.tokenizer.chat_template:
        yield (
            "Its tokenizer has another chat template than the base's, or none; it is asked through the base's. To ask "
            "it by its own, evaluate it in a run of its own as --model, and pair both by `loralift compare`."
        )


def shown_by(generator: Generator, prompts: Sequence[Prompt]) -> Shown:
    """What a base shows of itself on a few prompts, for `refuse_same_model`."""
    whole = generator.next_token_log_probabilities(BASE, prompts)
    return Shown(whole, proof.divergences(generator.next_token_log_probabilities(BASE, prompts, batch_size=1), whole))


def refuse_same_model(generator: Generator, prompts: Sequence[Prompt], base: Shown) -> float:
    """Make sure that a candidate computes numbers, and others than the base.

    Args:
        generator: The candidate.
        prompts: Those of ``base``.
        base: What the base showed.

    Returns:
        The mean KL divergence of the next token's distribution from the base's, over the tokens of both; nats.

    Raises:
        ModelError: It computes NaN, or differs from the base by no more than rounding.
    """
    found = numbers_of(generator, prompts)
    common = min(found.shape[1], base.log_probabilities.shape[1])
    shift = proof.divergences(_over(found, common), _over(base.log_probabilities, common))
    if shift.max() <= max(proof.NOTHING, float(base.noise.max())):
        raise ModelError(
            f"is the base: on {len(prompts)} prompts its next token's distribution differs by no more than rounding "
            f"(KL divergence {shift.max():.3g} nats at most): give the model that was trained, or leave it out"
        )
    return float(shift.mean())


def numbers_of(generator: Generator, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
    """A candidate's distributions of the next token, natural logarithms, prompts x vocabulary.

    Raises:
        ModelError: It computes NaN.
    """
    found = generator.next_token_log_probabilities(BASE, prompts)
    if broken := [prompt.id for prompt, row in zip(prompts, found, strict=True) if np.isnan(row).any()]:
        raise ModelError(
            f"computes NaN on {len(broken)} of {len(prompts)} prompts ({some(broken, 3)}): evaluate it with --dtype "
            "bfloat16 or float32, and check that its weights are whole"
        )
    return found


def _over(rows: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Log-probabilities over the first columns alone, which sum to 1 again."""
    if rows.shape[1] == columns:
        return rows
    kept = rows[:, :columns]
    return np.asarray(kept - np.logaddexp.reduce(kept, axis=1, keepdims=True), dtype=np.float64)


def weights_of(generator: Generator) -> ref[Any]:
    """A weak reference to a generator's model, by which its release is seen.

    Raises:
        UsageError: vLLM holds it.
    """
    if not isinstance(generator, TransformersGenerator):
        raise UsageError("`--engine` must be transformers for --candidate, got vllm")
    return generator.weights


def refuse_held(weights: ref[Any]) -> None:
    """Return a model's memory to the device, and make sure that it is gone: two whole models may not fit.

    Raises:
        ModelError: Somebody holds it.
    """
    release_memory()
    if weights() is not None:
        raise ModelError(
            "the model before the candidate is still in memory, which is a defect of LoraLift: evaluate the candidate "
            "in a run of its own as --model, and pair both by `loralift compare`"
        )
