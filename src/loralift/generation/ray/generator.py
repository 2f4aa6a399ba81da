"""The generator in front of the workers: what it is asked, they answer."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loralift.errors import ModelError
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.adapter.proof import NOTHING, divergences
from loralift.generation.base import Batches, Description, GenerationSettings, OnProgress, refuse_unknown_variant
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.thinking import NO_VARIABLES
from loralift.generation.model.tokenization import Texts
from loralift.generation.ray.blocks import FULL, FULL_OF_REFERENCES, parted
from loralift.generation.ray.pool import Pool, Witness
from loralift.generation.transformers_engine.load import load_tokenizer
from loralift.records import BASE, Answer, Prompt, ReferenceLikelihood

LIKE = {"float32": NOTHING}
"""KL divergence in nats up to which two workers' next tokens count as the same, by dtype."""

LIKE_IN_16_BITS = 0.05
"""Of other dtypes, whose rounding depends on the kernels that a library chooses: two ways of computing the same on GPUs
of one kind moved 0.035 nats at most (docs/bases.md)."""


class RayGenerator:
    """A ``Generator`` over workers that each have the base and its adapters.

    Tokenizer and template are used in this process: they are the base's files, whose hash all workers have.
    """

    def __init__(self, base: BaseModel, adapters: Sequence[AdapterInfo], pool: Pool, ray: str) -> None:
        """Make sure that the workers have the very base and adapters.

        Args:
            base: As it was found here.
            adapters: Likewise.
            pool: The workers, loaded.
            ray: The version of Ray.

        Raises:
            ModelError: They have others.
        """
        self._base, self._pool, self._ray = base, pool, ray
        self._adapters = {info.name: info for info in adapters}
        weakref.finalize(self, pool.close)
        here = {"base": base.identity, "adapters": {info.name: info.sha256 for info in adapters}}
        if (there := dict(pool.loaded.description.identity)) != here:
            raise ModelError(
                f"the workers on {pool.loaded.host} have other files than this machine: {there} and not {here}; put "
                "the same models and adapters on all machines, under the same paths"
            )
        self._texts = Texts(load_tokenizer(base), ())

    @property
    def variants(self) -> tuple[str, ...]:
        """``base``, then the adapters in the order they were given."""
        return (BASE, *self._adapters)

    @property
    def base_model(self) -> BaseModel:
        """The base as it was found."""
        return self._base

    @property
    def adapters(self) -> Mapping[str, AdapterInfo]:
        """What each adapter is, by its name."""
        return self._adapters

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer, which every variant is asked with."""
        return self._texts.tokenizer

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how the model is run, one sentence each."""
        return self._pool.loaded.notes

    def describe(self) -> Description:
        """What makes the answers, as each worker says it; only the information says that there are several."""
        said, room = self._pool.loaded.description, self._pool.room
        spread = {"workers": room.workers, "worker_gpus": room.gpus, "worker_cores": room.cpus, "ray": self._ray}
        return replace(said, information={**said.information, **spread})

    def encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        """Tokenise texts; never truncates."""
        return self._texts.encode(texts, add_special_tokens)

    def render_chat(self, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        """Render messages by the model's chat template, up to where the answer begins."""
        return self._texts.render_chat(messages, variables)

    def end_at(self, token: int) -> None:
        """Let a further token end answers."""
        self._pool.end_at(token)
        self._base = replace(self._base, ends=(*self._base.ends, str(token)))

    def refuse_misfits(self, prompts: Sequence[Prompt], new_tokens: int) -> None:
        """Refuse prompts that cannot be answered: too long for the window, or of unknown tokens."""
        self._pool.one("refuse_misfits", list(prompts), new_tokens)

    def generate(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        settings: GenerationSettings,
        on_progress: OnProgress | None = None,
    ) -> Iterator[Answer]:
        """Answer every prompt; answers come a few times a second from each worker.

        A worker's own engine makes of a block what it makes of any prompts: ``settings.batch_size`` is each worker's,
        and random numbers belong to the prompt, so that it does not matter who answers.

        Raises:
            UsageError: There is no such variant.
            ModelError: As of the workers' engine; or rows kill every worker.
        """
        refuse_unknown_variant(variant, self.variants)
        self.refuse_misfits(prompts, settings.max_new_tokens)
        rows = {prompt.id: prompt for prompt in _longest_first(prompts)}
        return self._spread(
            rows,
            "generate",
            lambda some: (variant, some, settings),
            settings.batch_size or FULL[self._pool.room.device],
            lambda answer: answer.output_tokens or 0,
            on_progress,
        )

    def reference_likelihoods(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        references: Sequence[str],
        separator: str,
        on_progress: OnProgress | None = None,
        batches: Batches | None = None,
    ) -> Iterator[ReferenceLikelihood]:
        """Score each reference, teacher-forced after its prompt and the separator; as `generate`.

        A block is of whole batches, which are those of one process, so that each likelihood is the same to the bit.
        """
        refuse_unknown_variant(variant, self.variants)
        batches = batches or self.reference_batches(prompts, references, separator)
        by_id = {prompt.id: reference for prompt, reference in zip(prompts, references, strict=True)}
        rows = {prompt.id: (prompt, by_id[prompt.id]) for prompt in _longest_first(prompts)}
        together = None if batches is None else _with_single(batches, rows)

        def arguments(some: Sequence[Any]) -> Sequence[Any]:
            asked, texts = [prompt for prompt, _ in some], [reference for _, reference in some]
            own = None if batches is None else batches.of({prompt.id for prompt in asked})
            return (variant, asked, texts, separator, None, own)

        return self._spread(
            rows,
            "reference_likelihoods",
            arguments,
            FULL_OF_REFERENCES,
            lambda found: found.tokens,
            on_progress,
            together,
        )

    def reference_batches(self, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> Batches | None:
        """Which references the workers' engine scores together."""
        found: Batches | None = self._pool.one("reference_batches", list(prompts), list(references), separator)
        return found

    def next_token_log_probabilities(
        self, variant: str, prompts: Sequence[Prompt], batch_size: int | None = None
    ) -> NDArray[np.float64]:
        """Log-probabilities of the token after each prompt, prompts x vocabulary; of every worker, which must agree.

        Raises:
            UsageError: There is no such variant.
            ModelError: As of the workers' engine; or two workers compute different numbers.
        """
        refuse_unknown_variant(variant, self.variants)
        arguments = (variant, list(prompts), batch_size)
        (_, first), *others = self._pool.all("next_token_log_probabilities", *arguments)
        refuse = partial(_refuse_unlike, first, str(self._pool.loaded.description.numerics.get("dtype")))
        for number, other in others:
            refuse(number, other)
        if self._pool.witness is None:
            self._pool.witness = Witness("next_token_log_probabilities", arguments, refuse)
        return np.asarray(first)

    def _spread(
        self,
        rows: Mapping[str, Any],
        method: str,
        arguments: Callable[[Sequence[Any]], Sequence[Any]],
        full: int,
        tokens: Callable[[Any], int],
        on_progress: OnProgress | None,
        together: Sequence[Sequence[str]] | None = None,
    ) -> Iterator[Any]:
        """Each row's record as it comes."""
        blocks = parted(rows, len(self._pool), full, together)
        done, made = 0, 0
        with closing(self._pool.run(blocks, method, arguments)) as parts:
            for part in parts:
                done, made = done + len(part), made + sum(map(tokens, part))
                if on_progress is not None:
                    on_progress(done, made)
                yield from part


def _longest_first(prompts: Sequence[Prompt]) -> list[Prompt]:
    return sorted(prompts, key=lambda prompt: (-len(prompt.token_ids), prompt.id))


def _with_single(batches: Batches, rows: Mapping[str, Any]) -> list[Sequence[str]]:
    """The ids of all rows that are done together; those that are in no batch are each alone."""
    within = {key for batch in batches.ids for key in batch}
    return [*([key] for key in rows if key not in within), *batches.ids]


def _refuse_unlike(first: NDArray[np.float64], dtype: str, number: int, other: NDArray[np.float64]) -> None:
    """Refuse a worker that computes other numbers from the same weights, so that chance decided who answers what.

    Raises:
        ModelError: It does.
    """
    apart = float(divergences(other, first).max())
    if not apart <= LIKE.get(dtype, LIKE_IN_16_BITS):  # also where it is NaN
        raise ModelError(
            f"worker {number} computes other numbers than the first from the same weights and prompts (KL divergence "
            f"{apart:.1e} nats in {dtype}): give all workers machines and GPUs of one kind"
        )
