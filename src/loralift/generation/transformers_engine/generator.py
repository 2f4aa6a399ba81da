"""The generator on transformers and PEFT: one loaded base model, any number of adapters switched on and off."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from loralift.cores import side_by_side, sides
from loralift.errors import ModelError, some
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.base import (
    Batches,
    Decoding,
    Description,
    GenerationSettings,
    OnProgress,
    refuse_no_number,
    refuse_too_long,
    refuse_unknown_tokens,
    refuse_unknown_variant,
)
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.thinking import NO_VARIABLES
from loralift.generation.transformers_engine import fallback, likelihood
from loralift.generation.transformers_engine.batching import RowLimit, cut, release_memory, run_in_batches
from loralift.generation.transformers_engine.capability import (
    KEEPS_STATE,
    Capability,
    rows_at_once,
    threads_may_share,
)
from loralift.generation.transformers_engine.describe import describe
from loralift.generation.transformers_engine.load import Loaded, context_window, load_model, vocabulary
from loralift.generation.transformers_engine.loop.packed_likelihood import score_packed
from loralift.generation.transformers_engine.loop.scheduler import ContinuousBatch, Scheduler
from loralift.generation.transformers_engine.plain import PlainModel
from loralift.generation.transformers_engine.prefix import shared_tokens
from loralift.generation.transformers_engine.rope import meeting, restart
from loralift.generation.transformers_engine.self_check import checked_capability
from loralift.generation.transformers_engine.variants import Switch, free_memory
from loralift.records import BASE, Answer, Prompt, ReferenceLikelihood

# Batches of references per CPU thread that run before results are yielded; more, since the last ones leave cores idle.
BATCHES_A_SIDE = 4


def load(
    base: BaseModel,
    adapters: Sequence[AdapterInfo] = (),
    *,
    dtype: str = "auto",
    device: str = "auto",
    device_map: str | None = None,
    decoding: Decoding = "auto",
) -> TransformersGenerator:
    """Load a base model and its adapters, and check that each adapter was loaded as it is and acts.

    Args:
        base: As ``inspect_base`` found it.
        adapters: As ``inspect_adapter`` proved them.
        dtype: ``auto`` (bfloat16 on an accelerator, float32 on a CPU), ``bfloat16``, ``float16`` or ``float32``.
        device: ``auto`` (cuda, else mps, else cpu), or a torch device such as ``cuda:1``.
        device_map: ``auto``: the base's layers are spread over all GPUs; None: all are on one device.
        decoding: ``auto`` (our loop where it was tested and its self-check agrees), ``loop`` or ``generate``.

    Raises:
        ModelError: The base cannot be loaded, or the loop was asked for and does not answer as ``generate`` does.
        AdapterError: An adapter was not loaded as it is, or does not act on the base.
        UsageError: There is no such ``dtype`` or ``device``, or two adapters share a name.
    """
    loaded = load_model(base, adapters, dtype, device, device_map)
    return TransformersGenerator(loaded, checked_capability(loaded, decoding))


@dataclass
class _Tally:
    """Finished rows and generated tokens of one call, for its progress."""

    on_progress: OnProgress | None
    rows: int = 0
    tokens: int = 0

    def running(self, tokens: int) -> None:
        """Report progress with so many tokens of unfinished rows."""
        if self.on_progress is not None:
            self.on_progress(self.rows, self.tokens + tokens)

    def finished(self, rows: int, tokens: int, running: int = 0) -> None:
        """Count finished rows and their tokens, and report progress with ``running`` tokens of unfinished rows."""
        self.rows += rows
        self.tokens += tokens
        self.running(running)


class TransformersGenerator:
    """A ``Generator`` over a transformers model and its PEFT adapters."""

    def __init__(self, loaded: Loaded, capability: Capability, *, switch: Switch | None = None) -> None:
        """Store the arguments; nothing is computed yet.

        Args:
            loaded: The model.
            capability: How it is run.
            switch: Switches between its variants; None: a new one, which merges if ``capability`` allows.
        """
        self._loaded = loaded
        self._capability = capability
        self._switch = switch or Switch(loaded, merge=capability.merges, prepacks=capability.prepacks)
        self._batch_key = meeting(loaded.base.config, capability.batches)
        self._limits: dict[int | None, RowLimit] = {}
        self._scoring_limit = RowLimit()

    @property
    def variants(self) -> tuple[str, ...]:
        """``base``, then the adapters in the order they were given."""
        return (BASE, *self._loaded.adapters)

    @property
    def base_model(self) -> BaseModel:
        """The base as it was found."""
        return self._loaded.source

    @property
    def adapters(self) -> Mapping[str, AdapterInfo]:
        """What each adapter is, by its name."""
        return {name: adapter.info for name, adapter in self._loaded.adapters.items()}

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer, which every variant is asked with."""
        return self._loaded.tokenizer

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how the model is run, one sentence each."""
        return (*self._loaded.notes, *self._capability.notes)

    @property
    def weights(self) -> ref[Any]:
        """A weak reference to the base, by which its release is seen."""
        return ref(self._loaded.base)

    def describe(self) -> Description:
        """What makes the answers: weights, engine, versions, dtype, device."""
        return describe(self._loaded, self._capability, self._switch)

    def encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        """Tokenise texts; never truncates."""
        return self._loaded.text.encode(texts, add_special_tokens)

    def render_chat(self, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        """Render messages by the model's chat template, up to where the answer begins."""
        return self._loaded.text.render_chat(messages, variables)

    def end_at(self, token: int) -> None:
        """Let a further token end answers."""
        loaded = self._loaded
        source = replace(loaded.source, ends=(*loaded.source.ends, str(token)))
        self._loaded = replace(loaded, source=source, eos=tuple(sorted({*loaded.eos, token})))

    def refuse_misfits(self, prompts: Sequence[Prompt], new_tokens: int) -> None:
        """Refuse prompts that cannot be answered: too long for the window, or of unknown tokens."""
        refuse_too_long(prompts, new_tokens, context_window(self._loaded.base))
        refuse_unknown_tokens(prompts, vocabulary(self._loaded.base))
        single = [prompt.id for prompt in prompts if len(prompt.token_ids) == 1]
        if single and self._loaded.base.config.model_type in KEEPS_STATE:
            raise ModelError(
                f"{len(single)} prompts have a single token ({some(single, 3)}), which this model takes for the next "
                "token of the text before it, since it keeps its state: leave them out"
            )

    def generate(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        settings: GenerationSettings,
        on_progress: OnProgress | None = None,
    ) -> Iterator[Answer]:
        """Answer every prompt, longest first; each answer is yielded when it is complete.

        When memory runs out the batch size is halved and a warning logged, also where ``settings.batch_size`` was
        given: a finished evaluation is worth more than the batch size that was asked for.
        """
        refuse_unknown_variant(variant, self.variants)
        self.refuse_misfits(prompts, settings.max_new_tokens)
        rows = sorted(prompts, key=lambda prompt: (-len(prompt.token_ids), prompt.id))
        tally = _Tally(on_progress)
        answer = self._answer_in_loop if self._capability.loop else self._answer_in_batches
        return answer(variant, rows, settings, tally)

    def _answer_in_loop(
        self, variant: str, prompts: Sequence[Prompt], settings: GenerationSettings, tally: _Tally
    ) -> Iterator[Answer]:
        """Answer by our own decoding loop."""
        loaded, capability = self._loaded, self._capability

        def begin(rows: Sequence[Prompt], slots: int) -> ContinuousBatch:
            return ContinuousBatch(
                loaded.base,
                rows,
                settings,
                slots,
                loaded.eos,
                loaded.pad,
                loaded.text.decode,
                packed=capability.packed,
                records=capability.records,
            )

        waiting = list(prompts)
        while waiting:
            limit = self._limit(settings, waiting)
            scheduler = Scheduler(loaded.base, waiting, limit.rows, begin, threads=self._threads(variant))
            ran_out, switched = False, 0
            while not scheduler.done and not ran_out:
                try:
                    # again before each call: meanwhile the caller may have used another variant
                    if (switches := self._switch.to(variant)) != switched:
                        scheduler.forget_steps()
                        switched = switches
                    answers = scheduler.advance()
                except RuntimeError as error:
                    limit.halve(error, scheduler.slots)
                    ran_out, answers = True, []
                tally.finished(len(answers), sum(answer.output_tokens or 0 for answer in answers), scheduler.tokens)
                yield from answers
            waiting = scheduler.unanswered()
            if ran_out:
                del scheduler
                release_memory()

    def _limit(self, settings: GenerationSettings, prompts: Sequence[Prompt]) -> RowLimit:
        """Most running rows. The limit is kept for all variants, so that the next begins with what fitted the last."""
        base = self._loaded.base
        if settings.batch_size not in self._limits:
            rows = rows_at_once(base, prompts, settings, free_memory(base.device))
            self._limits[settings.batch_size] = RowLimit(rows)
        return self._limits[settings.batch_size]

    def _answer_in_batches(
        self, variant: str, prompts: Sequence[Prompt], settings: GenerationSettings, tally: _Tally
    ) -> Iterator[Answer]:
        """Answer by transformers' ``generate``."""

        def run(batch: Sequence[Prompt]) -> list[Answer]:
            restart(self._loaded.base)
            answers = fallback.answer_batch(self._loaded, batch, settings, tally.running)
            tally.finished(len(answers), sum(answer.output_tokens or 0 for answer in answers))
            return answers

        # one limit for all variants, so that their batches are the same
        limit = self._limits.setdefault(
            settings.batch_size, RowLimit() if settings.batch_size is None else RowLimit(settings.batch_size)
        )
        fits = self._together(settings.max_new_tokens)
        return run_in_batches(prompts, limit, run, fits, before=lambda: self._switch.to(variant))

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

        Texts longer than the context window are yielded first, with likelihood None; then the others, longest first.
        On a CPU each batch has the same share of the threads, whichever are scored beside it.
        """
        refuse_unknown_variant(variant, self.variants)
        pairs = likelihood.encode_pairs(self.encode, prompts, references, separator)
        refuse_unknown_tokens(pairs, vocabulary(self._loaded.base))
        return self._score_pairs(variant, pairs, _Tally(on_progress), batches)

    def reference_batches(self, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> Batches:
        """Which references are scored together, as long as memory suffices; what it did before makes no difference."""
        rows = self._fitting(likelihood.encode_pairs(self.encode, prompts, references, separator))
        return self._batches(rows, RowLimit())

    def next_token_log_probabilities(
        self, variant: str, prompts: Sequence[Prompt], batch_size: int | None = None
    ) -> NDArray[np.float64]:
        """Log-probabilities of the token after each prompt, prompts x vocabulary, in the prompts' order."""
        refuse_unknown_variant(variant, self.variants)
        self.refuse_misfits(prompts, 1)
        loaded = self._loaded

        def run(batch: Sequence[Prompt]) -> list[NDArray[np.float64]]:
            restart(loaded.base)
            return likelihood.next_token_batch(loaded.model, loaded.base, batch, loaded.pad)

        limit = RowLimit() if batch_size is None else RowLimit(batch_size)
        batches = run_in_batches(prompts, limit, run, self._together(), before=lambda: self._switch.to(variant))
        return np.stack(list(batches))

    @contextmanager
    def plainly(self, variant: str) -> Iterator[PlainModel]:
        """The model as any other tool would load it, with one variant switched on, until the context ends."""
        refuse_unknown_variant(variant, self.variants)
        self._switch.restore()
        switch = Switch(self._loaded, merge=False)
        try:
            switch.to(variant)
            yield PlainModel(self._loaded)
        finally:
            switch.restore()

    def _fitting(self, pairs: Sequence[likelihood.Pair]) -> list[likelihood.Pair]:
        """Those that fit the context window, longest first."""
        window = context_window(self._loaded.base)
        fitting = [pair for pair in pairs if window is None or len(pair.token_ids) <= window]
        return sorted(fitting, key=lambda pair: (-len(pair.token_ids), pair.id))

    def _batches(self, rows: Sequence[likelihood.Pair], limit: RowLimit) -> Batches:
        """Which rows are scored together, longest first."""
        base, together = self._loaded.base, self._together()
        columns = base.config.get_text_config().vocab_size
        keeps = likelihood.takes(base, "logits_to_keep")
        budget = likelihood.CPU_LOGITS_BYTES if base.device.type == "cpu" else likelihood.LOGITS_BYTES

        def fits(rest: Sequence[likelihood.Pair]) -> int:
            return likelihood.rows_that_fit(rest[: together(rest)], columns, keeps, budget)

        plain = self._capability.loop and not self._capability.packed
        prefix = shared_tokens([pair.prompt for pair in rows]) if plain else ()
        return Batches(tuple(tuple(pair.id for pair in batch) for batch in cut(rows, limit, fits)), prefix)

    def _score_pairs(
        self, variant: str, pairs: Sequence[likelihood.Pair], tally: _Tally, batches: Batches | None
    ) -> Iterator[ReferenceLikelihood]:
        rows = self._fitting(pairs)
        left_out = {pair.id for pair in pairs} - {pair.id for pair in rows}
        tally.finished(len(left_out), 0)
        yield from (ReferenceLikelihood(pair.id, None, pair.reference) for pair in pairs if pair.id in left_out)

        batches = batches or self._batches(rows, self._scoring_limit)
        rows = likelihood.in_batches(rows, batches)
        number = {key: number for number, batch in enumerate(batches.ids) for key in batch}
        parallel = self._loaded.base.device.type == "cpu" and self._threads(variant)
        shared: list[likelihood.Shared] = []

        def begin() -> None:
            self._switch.to(variant)
            if batches.prefix and not shared:
                share = partial(likelihood.share, self._loaded.base)
                shared.extend(side_by_side(share, [batches.prefix], same_share=parallel))

        def fits(rest: Sequence[likelihood.Pair]) -> int:
            return sum(1 for _ in takewhile(lambda pair: number[pair.id] == number[rest[0].id], rest))

        found = run_in_batches(
            rows,
            self._scoring_limit,
            lambda batch: self._score_batch(batch, shared[0] if shared else None),
            fits,
            before=begin,
            at_once=BATCHES_A_SIDE * sides() if parallel else 1,
        )
        for one in found:
            refuse_no_number(variant, one)
            tally.finished(1, one.tokens)
            yield one

    def _score_batch(
        self, batch: Sequence[likelihood.Pair], shared: likelihood.Shared | None
    ) -> list[ReferenceLikelihood]:
        """Score one batch of references with the variant that is switched on."""
        loaded = self._loaded
        if self._capability.packed:
            sums = score_packed(loaded.base, batch)
        else:
            restart(loaded.base)
            sums = likelihood.score_batch(loaded.model, loaded.base, batch, loaded.pad, shared)
        return [ReferenceLikelihood(pair.id, total, pair.reference) for pair, total in zip(batch, sums, strict=True)]

    def _threads(self, variant: str) -> bool:
        """Whether several threads may run a variant's forward passes at the same time."""
        self._switch.to(variant)  # so that the adapter is in the model
        key = None if variant == BASE else self._loaded.adapters[variant].key
        return threads_may_share(self._loaded.base, self._capability, key)

    def _together(self, new_tokens: int = 0) -> Callable[[Sequence[Prompt | likelihood.Pair]], int]:
        """How many of the next rows may be in one batch by their lengths; at least 1."""

        def key(row: Prompt | likelihood.Pair) -> Hashable:
            return self._batch_key(len(row.token_ids), len(row.token_ids) + new_tokens)

        return lambda rest: max(sum(1 for _ in takewhile(lambda row: key(row) == key(rest[0]), rest)), 1)
