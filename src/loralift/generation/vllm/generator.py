"""The generator on vLLM: base and adapters in one engine; an adapter is merged into its weights while it answers."""

from __future__ import annotations

import math
import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loralift.errors import UsageError, about_adapter, wrong_argument
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.base import (
    Batches,
    Description,
    GenerationSettings,
    OnProgress,
    refuse_no_number,
    refuse_too_long,
    refuse_unknown_variant,
    sampling_seed,
)
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.thinking import NO_VARIABLES
from loralift.generation.transformers_engine import likelihood
from loralift.generation.transformers_engine.stopping import finish_row
from loralift.generation.vllm import start
from loralift.generation.vllm.load import Engine, release
from loralift.generation.vllm.requests import Finished, Requests
from loralift.records import BASE, Answer, Prompt, ReferenceLikelihood

# Temperatures that vLLM accepts. It would silently raise smaller ones to 0.01.
_TEMPERATURES = (0.01, 2.0)


class VllmGenerator:
    """A ``Generator`` over one vLLM engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # vLLM would hold the GPU's memory until the process ends; the metrics need it after the last answer
        weakref.finalize(self, release, engine.llm)

    @property
    def variants(self) -> tuple[str, ...]:
        """``base``, then the adapters in the order they were given."""
        return (BASE, *self._engine.adapters)

    @property
    def base_model(self) -> BaseModel:
        """The base as it was found."""
        return self._engine.source

    @property
    def adapters(self) -> Mapping[str, AdapterInfo]:
        """What each adapter is, by its name."""
        return self._engine.adapters

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer, which every variant is asked with."""
        return self._engine.tokenizer

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how prompts are tokenised, one sentence each."""
        return (*self._engine.source.notes, *self._engine.text.notes)

    def describe(self) -> Description:
        """What makes the answers: weights, engine, versions, dtype, attention, how adapters act."""
        return self._engine.describe()

    def encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        """Tokenise texts; never truncates."""
        return self._engine.text.encode(texts, add_special_tokens)

    def render_chat(self, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        """Render messages by the model's chat template, up to where the answer begins."""
        return self._engine.text.render_chat(messages, variables)

    def end_at(self, token: int) -> None:
        """Let a further token end answers."""
        engine = self._engine
        engine.source = replace(engine.source, ends=(*engine.source.ends, str(token)))
        engine.text = replace(engine.text, eos=tuple(sorted({*engine.text.eos, token})))

    def refuse_misfits(self, prompts: Sequence[Prompt], new_tokens: int) -> None:
        """Refuse prompts that cannot be answered: too long for the window, or of unknown tokens."""
        remedy = ", use --engine transformers" if self._engine.window == start.LONGEST else ""
        refuse_too_long(prompts, new_tokens, self._engine.window, remedy)

    def generate(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        settings: GenerationSettings,
        on_progress: OnProgress | None = None,
    ) -> Iterator[Answer]:
        """Answer every prompt; each answer is yielded when it is complete.

        vLLM starts new rows as others finish; ``settings.batch_size`` is the most that it runs at once. Each row is
        sampled with a seed of its own, fixed by the run's seed and the prompt's id, so other rows do not matter.

        Raises:
            UsageError: There is no such variant, or vLLM does not take the temperature.
            ModelError: A prompt and its answer do not fit the engine's window.
        """
        refuse_unknown_variant(variant, self.variants)
        self.refuse_misfits(prompts, settings.max_new_tokens)
        low, high = _TEMPERATURES
        if settings.temperature and not low <= settings.temperature <= high:
            allowed = f"0, or from {low} to {high:g} with the vllm engine"
            raise UsageError(wrong_argument("--temperature", allowed, settings.temperature))
        return self._generate(variant, prompts, settings, on_progress)

    def reference_likelihoods(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        references: Sequence[str],
        separator: str,
        on_progress: OnProgress | None = None,
        batches: Batches | None = None,
    ) -> Iterator[ReferenceLikelihood]:
        """Score each reference, teacher-forced after its prompt and the separator.

        Texts longer than the engine's window are yielded first, with likelihood None.
        """
        refuse_unknown_variant(variant, self.variants)
        pairs = likelihood.encode_pairs(self.encode, prompts, references, separator)
        return self._score(variant, pairs, on_progress)

    def reference_batches(self, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> None:
        """None: vLLM decides which rows it computes together."""

    def next_token_log_probabilities(
        self, variant: str, prompts: Sequence[Prompt], batch_size: int | None = None
    ) -> NDArray[np.float64]:
        """Log-probabilities of the token after each prompt, prompts x vocabulary, in the prompts' order."""
        refuse_unknown_variant(variant, self.variants)
        self.refuse_misfits(prompts, 1)
        params = self._engine.params(max_tokens=1, logprobs=-1, flat_logprobs=True)
        requests = [(str(number), prompt.token_ids, params) for number, prompt in enumerate(prompts)]
        rows: dict[str, NDArray[np.float64]] = {}
        for finished in self._run(variant, requests, batch_size):
            rows.update({one.key: _distribution(one.logprobs) for one in finished})
        return np.stack([rows[key] for key, _, _ in requests])

    def _generate(
        self, variant: str, prompts: Sequence[Prompt], settings: GenerationSettings, on_progress: OnProgress | None
    ) -> Iterator[Answer]:
        engine = self._engine
        by_id = {prompt.id: prompt for prompt in prompts}
        requests = [
            (
                prompt.id,
                prompt.token_ids,
                engine.params(
                    max_tokens=settings.max_new_tokens,
                    temperature=settings.temperature,
                    top_p=settings.top_p,
                    seed=sampling_seed(settings.seed, prompt.id) if settings.temperature else None,
                    stop_token_ids=list(engine.text.eos),
                ),
            )
            for prompt in sorted(prompts, key=lambda prompt: (-len(prompt.token_ids), prompt.id))
        ]
        # closing: when the caller stops early, the end of the inner generator aborts the requests left in the engine
        with closing(self._run(variant, requests, settings.batch_size, settings.stop, on_progress)) as steps:
            for one in chain.from_iterable(steps):
                row = finish_row(one.tokens, one.stopped_after, engine.text.eos, settings, engine.text.decode)
                asked = len(by_id[one.key].token_ids)
                yield row.answer(one.key, asked, one.seconds)

    def _score(
        self, variant: str, pairs: Sequence[likelihood.Pair], on_progress: OnProgress | None
    ) -> Iterator[ReferenceLikelihood]:
        # < and not <=: vLLM must generate one token to compute the others' likelihoods
        fitting = {pair.id: pair for pair in pairs if len(pair.token_ids) < self._engine.window}
        for pair in pairs:
            if pair.id not in fitting:
                yield ReferenceLikelihood(pair.id, None, pair.reference)
        params = self._engine.params(max_tokens=1, prompt_logprobs=0, flat_logprobs=True)
        ordered = sorted(fitting.values(), key=lambda pair: (-len(pair.token_ids), pair.id))
        requests = [(pair.id, pair.token_ids, params) for pair in ordered]
        rows, tokens = len(pairs) - len(fitting), 0
        with closing(self._run(variant, requests, None)) as steps:
            for finished in steps:
                rows += len(finished)
                tokens += sum(fitting[one.key].reference for one in finished)
                if on_progress is not None:
                    on_progress(rows, tokens)
                for one in finished:
                    reference = fitting[one.key].reference
                    own = one.prompt_logprobs[-reference:] if reference else ()
                    found = ReferenceLikelihood(one.key, math.fsum(own), reference)
                    refuse_no_number(variant, found)
                    yield found

    def _run(
        self,
        variant: str,
        requests: Sequence[tuple[str, tuple[int, ...], Any]],
        batch_size: int | None,
        stop: Sequence[str] = (),
        on_progress: OnProgress | None = None,
    ) -> Generator[list[Finished], None, None]:
        """Switch to a variant and run all requests; yields those that finish, one list for each step of the engine."""
        if self._engine.llm.llm_engine.has_unfinished_requests():
            raise RuntimeError("the answers of an earlier call must be taken, or given up, before the next is asked")
        with about_adapter(variant):
            lora = self._engine.switch(variant)
        running = Requests(self._engine.llm.llm_engine, stop, self._engine.text.decode, lora)
        return running.run(requests, batch_size, on_progress)


def _distribution(flat: Any) -> NDArray[np.float64]:
    """Log-probabilities by token id, from vLLM's flat list: the chosen token first, then all sorted by probability."""
    ids = np.asarray(flat.token_ids, dtype=np.int64)
    row = np.full(len(ids) - 1, -np.inf)
    row[ids] = flat.logprobs
    # vLLM rounded each to float32; normalised again in float64, so that the probabilities sum to 1
    largest = row.max()
    normalised: NDArray[np.float64] = row - (largest + np.log(np.exp(row - largest).sum()))
    return normalised
