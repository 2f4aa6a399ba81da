"""The protocol that every generator (engine) fulfils, with its settings and the checks that all share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from loralift.errors import ModelError, UsageError, some, wrong_argument
from loralift.generation.model.thinking import NO_VARIABLES
from loralift.records import Answer, Prompt, ReferenceLikelihood, Thinking

if TYPE_CHECKING:
    from loralift.generation.adapter.info import AdapterInfo
    from loralift.generation.model.base_model import BaseModel


type Decoding = Literal["auto", "loop", "generate"]
"""What decodes in the transformers engine: our ``loop``, transformers' ``generate``, or ``auto``: the loop where the
model's type was tested and the self-check at load agrees."""


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How answers are generated, the same for every variant.

    Attributes:
        max_new_tokens: Most tokens of an answer; positive.
        temperature: 0 is greedy decoding; above it tokens are sampled.
        top_p: Nucleus of the sampling, in (0, 1]; 1 keeps every token.
        stop: Strings at which an answer ends; they are cut off.
        seed: Of the sampling; greedy decoding uses none.
        batch_size: Most rows of a batch; None lets the generator find what fits.
        thinking: How thinking is known, whose tokens are counted; None: nobody counts.

    Raises:
        UsageError: A value is out of its range.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    batch_size: int | None = None
    thinking: Thinking | None = None

    def __post_init__(self) -> None:
        checks = (
            ("--max-new-tokens", self.max_new_tokens, self.max_new_tokens > 0, "a positive integer"),
            ("--temperature", self.temperature, 0 <= self.temperature < float("inf"), "0 (greedy) or above"),
            ("--top-p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("--stop", self.stop, all(self.stop), "strings that are not empty"),
            ("--seed", self.seed, self.seed >= 0, "0 or a positive integer"),
            (
                "--batch-size",
                self.batch_size,
                self.batch_size is None or self.batch_size > 0,
                "auto or a positive integer",
            ),
        )
        for argument, value, fine, allowed in checks:
            if not fine:
                raise UsageError(wrong_argument(argument, allowed, value))


class OnProgress(Protocol):
    """Called every few decoding steps and after every batch; it must return quickly."""

    def __call__(self, rows: int, output_tokens: int) -> None:
        """Receive the progress of the present call.

        Args:
            rows: Rows finished so far.
            output_tokens: Tokens generated so far, those of unfinished rows included. Both may fall back when a batch
                runs out of memory and is done again.
        """


OF_CHATS = "counted_of_chats"
"""The key of ``Description.numerics`` that is of prompts alone which a server's chat template renders."""


@dataclass(frozen=True, slots=True)
class Description:
    """What made the answers, in plain values for ``run.json``.

    Attributes:
        identity: Which weights answered; a resume needs it unchanged.
        numerics: What may change the last digits of logits, and so a token; a resume needs it unchanged.
        information: All else worth recording; a resume ignores it.
    """

    identity: Mapping[str, Any]
    numerics: Mapping[str, Any]
    information: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batches:
    """Which references are scored together: with others the last digits of a likelihood may be others.

    Attributes:
        ids: Those of each batch. References that are too long to be scored are in none.
        prefix: The tokens with which the prompts of all begin, which are computed once; empty: they are not.
    """

    ids: tuple[tuple[str, ...], ...]
    prefix: tuple[int, ...] = ()

    def of(self, wanted: Container[str]) -> Batches:
        """Those with at least one wanted id, whole."""
        return replace(self, ids=tuple(batch for batch in self.ids if any(key in wanted for key in batch)))


class Generator(Protocol):
    """One base model and any number of adapters; calls take many prompts at once and are synchronous."""

    @property
    def variants(self) -> tuple[str, ...]:
        """``base``, then the adapters in the order they were given."""

    @property
    def base_model(self) -> BaseModel:
        """The base as it was found."""

    @property
    def adapters(self) -> Mapping[str, AdapterInfo]:
        """What each adapter is, by its name."""

    @property
    def tokenizer(self) -> Any:
        """The base's transformers tokenizer, which every variant is asked with."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how the model is run, one sentence each."""

    def describe(self) -> Description:
        """What makes the answers: weights, engine, versions, dtype, device."""

    def encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        """Tokenise texts.

        Args:
            texts: Any number of texts.
            add_special_tokens: Whether the tokenizer adds its own (a BOS); False for a rendered chat template, which
                has them already.
        """

    def render_chat(self, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        """Render messages by the model's chat template, up to where the answer begins.

        Args:
            messages: ``{"role", "content"}``.
            variables: What the template is told besides, e.g. ``{"enable_thinking": False}``.

        Raises:
            ModelError: The model has no chat template, or its template refuses these messages.
        """

    def end_at(self, token: int) -> None:
        """Let a further token end answers, besides those that do by the model's own configuration.

        Args:
            token: The id of one of its tokens.
        """

    def refuse_misfits(self, prompts: Sequence[Prompt], new_tokens: int) -> None:
        """Refuse prompts that cannot be answered, before hours are spent on others.

        Args:
            prompts: All that will be asked.
            new_tokens: Most tokens of an answer.

        Raises:
            ModelError: One leaves no room for its answer in the context window, or has tokens that the model lacks.
        """

    def generate(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        settings: GenerationSettings,
        on_progress: OnProgress | None = None,
    ) -> Iterator[Answer]:
        """Answer every prompt; answers come as their batch completes, in any order.

        Raises:
            UsageError: There is no such variant.
            ModelError: A prompt and its answer do not fit the context window, or one row does not fit in memory.
        """

    def reference_likelihoods(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        references: Sequence[str],
        separator: str,
        on_progress: OnProgress | None = None,
        batches: Batches | None = None,
    ) -> Iterator[ReferenceLikelihood]:
        """Score each reference, teacher-forced after its prompt and the separator; in any order.

        Args:
            variant: Which one scores.
            prompts: The prompts.
            references: As many references, in the prompts' order.
            separator: Text between the two, e.g. a space; its tokens count as the reference's.
            on_progress: Called with the rows and the reference tokens scored so far.
            batches: Those of `reference_batches`, or some of them, which hold these references and no others; None: as
                `reference_batches` says of these.

        Raises:
            UsageError: There is no such variant.
            ModelError: One row does not fit in memory.
        """

    def reference_batches(self, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> Batches | None:
        """Which references `reference_likelihoods` scores together; None: the engine decides as it goes.

        So that some of them, scored later or elsewhere, get the same likelihoods to the last digit.

        Args:
            prompts: As of `reference_likelihoods`.
            references: Likewise.
            separator: Likewise.
        """

    def next_token_log_probabilities(
        self, variant: str, prompts: Sequence[Prompt], batch_size: int | None = None
    ) -> NDArray[np.float64]:
        """Log-probabilities of the token after each prompt; for few prompts, since each row has the vocabulary's size.

        Args:
            variant: ``base`` or an adapter's name.
            prompts: Not empty.
            batch_size: Most rows of a batch; None: as many as fit.

        Returns:
            Natural logarithms, prompts x vocabulary, in the prompts' order; each row's exponentials sum to 1.

        Raises:
            UsageError: There is no such variant.
            ModelError: A prompt does not fit the context window, or one row does not fit in memory.
        """


def refuse_unknown_variant(variant: str, variants: Sequence[str]) -> None:
    """Make sure that there is such a variant.

    Raises:
        UsageError: There is none.
    """
    if variant not in variants:
        raise UsageError(wrong_argument("variant", f"one of {', '.join(variants)}", variant))


class Tokens(Protocol):
    """Anything with an id and tokens: a prompt, or a prompt with its reference."""

    @property
    def id(self) -> str:
        """The question's id."""

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The tokens."""


def refuse_unknown_tokens(rows: Sequence[Tokens], vocabulary: int) -> None:
    """Refuse texts with tokens that the model has no embedding for: its tokenizer is another model's.

    Args:
        rows: All texts of the call.
        vocabulary: How many tokens the model's embeddings have a row for.

    Raises:
        ModelError: There are some.
    """
    unknown = [row.id for row in rows if max(row.token_ids, default=0) >= vocabulary]
    if unknown:
        raise ModelError(
            f"{len(unknown)} of {len(rows)} texts ({some(unknown, 3)}) have tokens beyond the {vocabulary} that the "
            "model has embeddings for: its tokenizer is not its own; fetch the model's folder again"
        )


def refuse_no_number(variant: str, found: ReferenceLikelihood) -> None:
    """Refuse a likelihood that is NaN or infinite, which would make a mean of nothing.

    Raises:
        ModelError: It is.
    """
    if found.log_likelihood is not None and not math.isfinite(found.log_likelihood):
        raise ModelError(
            f"{variant} computes {found.log_likelihood} as the log-likelihood of the reference of {found.id}: evaluate "
            "it with --dtype bfloat16 or float32, and check that its weights are whole"
        )


def refuse_too_long(prompts: Sequence[Prompt], new_tokens: int, window: int | None, remedy: str = "") -> None:
    """Refuse prompts that leave no room for the answer in the context window; neither is ever truncated.

    Args:
        prompts: All prompts of the call.
        new_tokens: Most tokens of an answer.
        window: The context window: most tokens of a prompt with its answer; None: no limit.
        remedy: Another remedy for the message; begins with a comma.

    Raises:
        ModelError: Some are too long.
    """
    too_long = [prompt for prompt in prompts if window is not None and len(prompt.token_ids) > window - new_tokens]
    if too_long:
        longest = max(len(prompt.token_ids) for prompt in too_long)
        raise ModelError(
            f"{len(too_long)} of {len(prompts)} prompts (longest {longest} tokens) leave no room for "
            f"{new_tokens} new tokens in the context window of {window}: lower --max-new-tokens{remedy} or "
            f"leave these out: {some(prompt.id for prompt in too_long)}"
        )


def sampling_seed(seed: int, key: str) -> int:
    """The seed of one row's sampling, fixed by the run's seed and the prompt's id; 63 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{key}".encode()).digest()[:8]) >> 1
