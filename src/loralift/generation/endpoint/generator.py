"""The generator on a server: many requests at a time, each answer checked against what was asked."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from typing import Any

from loralift.endpoints import OF_THIS_REQUEST, Pause, Refused, replies
from loralift.errors import MixedError, ModelError, UsageError, shown
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.base import (
    Batches,
    Description,
    GenerationSettings,
    OnProgress,
    refuse_too_long,
    refuse_unknown_variant,
    sampling_seed,
)
from loralift.generation.endpoint import likelihood, said
from loralift.generation.endpoint.ability import Ability
from loralift.generation.endpoint.alike import Alike
from loralift.generation.endpoint.reply import Reply, cut, ended_by, refuse_unlike
from loralift.generation.endpoint.server import COMPLETIONS, Server
from loralift.generation.endpoint.text import Writing
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.thinking import NO_VARIABLES
from loralift.records import BASE, Answer, Prompt, ReferenceLikelihood


class EndpointGenerator:
    """A ``Generator`` over one server, which has the base and the adapters as models of their own names.

    Attributes:
        server: Who is asked.
        ability: What it can do.
        writing: How prompts are written for it.
        names: Variant to its model's name there.
        concurrency: Most requests under way.
    """

    def __init__(
        self,
        base: BaseModel,
        names: Mapping[str, str],
        server: Server,
        ability: Ability,
        writing: Writing,
        concurrency: int,
    ) -> None:
        self.server, self.ability, self.writing = server, ability, writing
        self.names, self.concurrency = dict(names), concurrency
        self._base = base
        self._ends: tuple[int, ...] = ()
        self._alike = Alike({(ability.path, model): said for model, said in ability.answers_as.items()})
        self._proved: int | None = None  # how many tokens the server counts of the proof's prompts
        # when it was last seen that the server lists the same models, on the clock of Pause
        self._listed, self._listing = 0.0, threading.Lock()

    @property
    def variants(self) -> tuple[str, ...]:
        """``base``, then the adapters in the order they were given."""
        return tuple(self.names)

    @property
    def base_model(self) -> BaseModel:
        """The base: its name, and nothing of its files."""
        return self._base

    @property
    def adapters(self) -> Mapping[str, AdapterInfo]:
        """Each adapter by its name, of which only its name there is known."""
        return {name: said.adapter_info(name, model) for name, model in self.names.items() if name != BASE}

    @property
    def tokenizer(self) -> Any:
        """The served base's tokenizer as the user gave it, else one that knows no token."""
        return self.writing.tokenizer

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of a served model, one sentence each."""
        return said.notes_of(self.ability, self.writing, vllm=bool(self.server.neutral))

    def describe(self) -> Description:
        """What is known of what makes the answers: names, and what the server says of itself."""
        notes = self.notes
        return said.describe(self.names, self.server, self.ability, self.writing, self._ends, self._proved, notes)

    def encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        """Tokenise texts; without a tokenizer their bytes stand in for ids."""
        return self.writing.encode(texts, add_special_tokens)

    def render_chat(self, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        """Render messages by the given tokenizer's template, or as the JSON that the server is sent."""
        return self.writing.render_chat(messages, variables)

    def end_at(self, token: int) -> None:
        """Let a further token end answers, which vLLM alone can be told.

        Raises:
            ModelError: The server is another one.
        """
        if not self.server.neutral:
            raise ModelError(
                f"the chat template ends a turn with token {token}, which the served model may not end at, and only "
                "vLLM can be told so: leave out --endpoint-tokenizer, and the server renders the chat"
            )
        self._ends = tuple(sorted({*self._ends, token}))

    def refuse_misfits(self, prompts: Sequence[Prompt], new_tokens: int) -> None:
        """Refuse prompts that leave no room for the answer, as far as tokenizer and window are known."""
        if self.writing.texts is not None:
            refuse_too_long(prompts, new_tokens, said.window_of(self.ability))

    def generate(
        self,
        variant: str,
        prompts: Sequence[Prompt],
        settings: GenerationSettings,
        on_progress: OnProgress | None = None,
    ) -> Iterator[Answer]:
        """Answer every prompt; each answer is yielded as it comes.

        ``settings.batch_size`` bounds the requests under way below ``concurrency``. A sampled row has a seed of its
        own, fixed by the run's seed and the prompt's id.

        Raises:
            UsageError: There is no such variant.
            ModelError: The server refuses a prompt, is another one than before, or does not answer in time.
            MixedError: It became another one meanwhile, so that what was yielded may be of either.
        """
        refuse_unknown_variant(variant, self.variants)
        self.refuse_misfits(prompts, settings.max_new_tokens)
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
        """Score each reference after its prompt and the separator, where the server gives log-probabilities of prompts.

        The likelihood is None where it does not, after messages that its chat template renders, and where its tokens'
        texts are not exactly prompt and reference, or one spans the prompt's end.

        Raises:
            UsageError: There is no such variant.
            ModelError: As of `generate`; or it gives a probability above 1.
        """
        refuse_unknown_variant(variant, self.variants)
        echoed = {prompt.id for prompt in prompts if self._is_echoed(prompt)}
        nulls = (ReferenceLikelihood(prompt.id, None, 0) for prompt in prompts if prompt.id not in echoed)
        if not echoed:
            return nulls
        pairs = [pair for pair in zip(prompts, references, strict=True) if pair[0].id in echoed]
        wanted = likelihood.wanted(self.writing, [one for one, _ in pairs], [one for _, one in pairs], separator)
        return chain(nulls, self._score(variant, wanted, on_progress))

    def _is_echoed(self, prompt: Prompt) -> bool:
        """Whether the server gives the log-probabilities of what answers it; of messages it would be their JSON's."""
        return self.ability.echoes and self.writing.request(prompt)[0] == COMPLETIONS

    def reference_batches(self, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> None:
        """None: the server decides which rows it computes together."""

    def next_token_log_probabilities(
        self, variant: str, prompts: Sequence[Prompt], batch_size: int | None = None
    ) -> Any:
        """No server gives a whole vocabulary's.

        Raises:
            UsageError: Always.
        """
        del variant, prompts, batch_size
        raise UsageError("`--engine` must be transformers or vllm where the whole next token's distribution is needed")

    def ask(self, variant: str, prompts: Sequence[Prompt], body: Mapping[str, Any], at_a_time: int) -> dict[str, Reply]:
        """Every prompt's reply by its id, for the proof's prompts.

        Args:
            variant: ``base`` or an adapter's name.
            prompts: What is asked.
            body: What is said besides prompt and model.
            at_a_time: Most requests under way.
        """
        asked = replies(lambda prompt, pause: self._reply(variant, prompt, body, pause), prompts, at_a_time=at_a_time)
        found = {prompt.id: reply for prompt, reply in asked}
        counts = [reply.prompt_tokens for reply in found.values() if reply.prompt_tokens is not None]
        if self._proved is None and len(counts) == len(prompts):
            self._proved = sum(counts)
        return found

    def _generate(
        self, variant: str, prompts: Sequence[Prompt], settings: GenerationSettings, on_progress: OnProgress | None
    ) -> Iterator[Answer]:
        self._refuse_another_server()
        at_a_time = min(settings.batch_size or self.concurrency, self.concurrency)
        ask = partial(self._answer, variant, settings)
        rows, tokens, before = 0, 0, time.perf_counter()
        with closing(replies(ask, prompts, at_a_time=at_a_time)) as answers:
            for prompt, reply in answers:
                now = time.perf_counter()
                rows, tokens = rows + 1, tokens + (reply.output_tokens or 0)
                if on_progress is not None:
                    on_progress(rows, tokens)
                yield self._read(prompt, reply, settings, now - before)
                before = time.perf_counter()
        self._refuse_another_server(MixedError)

    def _answer(self, variant: str, settings: GenerationSettings, prompt: Prompt, pause: Pause) -> Reply:
        body: dict[str, Any] = {"max_tokens": settings.max_new_tokens, "temperature": settings.temperature}
        if settings.temperature:
            seed = sampling_seed(settings.seed, prompt.id) >> 32  # some servers hold 32 bits
            body |= {"top_p": settings.top_p, "seed": seed}
        if settings.stop:
            body["stop"] = list(settings.stop)
        reply = self._reply(variant, prompt, body, pause)
        refuse_unlike(reply, prompt.id, settings)
        return reply

    def _reply(self, variant: str, prompt: Prompt, body: Mapping[str, Any], pause: Pause) -> Reply:
        """The checked reply to one prompt.

        Raises:
            ModelError: The server refuses it, read another prompt, or is another one than before.
        """
        path, asked = self.writing.request(prompt)
        model = self.names[variant]
        ends = {"stop_token_ids": list(self._ends)} if self._ends and path == COMPLETIONS else {}
        sent = {"model": model, **asked, **ends, **body}
        must_end = self.ability.says_end
        reply = self.server.complete(path, sent, pause, refusals=OF_THIS_REQUEST, must_end=must_end)
        self._refuse_restarted(pause)
        if isinstance(reply, Refused):
            raise ModelError(
                f"the server refuses to let {variant} answer {prompt.id}: {reply.why}; change what it names, e.g. "
                "lower --max-new-tokens, or leave that question out; what was answered so far is kept"
            )
        tokens = len(prompt.token_ids) if self.writing.texts is not None and path == COMPLETIONS else None
        self._alike.refuse(reply, path, model, prompt.id, prompt.text, tokens)
        if (key := self.server.address.key) and key in reply.text:
            raise ModelError(
                f"the answer of {variant} to {prompt.id} holds the key in the variable of --endpoint-key-env, which is "
                "never written: give the server another key, or leave the flag out where it wants none"
            )
        return reply

    def _read(self, prompt: Prompt, reply: Reply, settings: GenerationSettings, seconds: float) -> Answer:
        """A reply as an answer: cut at a stop string that the server left in it, or did not look for."""
        text = cut(reply.text, settings.stop)
        ended = "stop" if text != reply.text else ended_by(reply, prompt.id)
        known = len(prompt.token_ids) if self.writing.texts is not None else None
        return Answer(prompt.id, text.strip(), ended, known, reply.output_tokens, seconds)

    def _score(
        self, variant: str, wanted: Sequence[likelihood.Wanted], on_progress: OnProgress | None
    ) -> Iterator[ReferenceLikelihood]:
        self._refuse_another_server()
        ask = partial(self._echo, self.names[variant])
        rows, tokens = 0, 0
        with closing(replies(ask, wanted, at_a_time=self.concurrency)) as found:
            for one, reply in found:
                scored = likelihood.read(one, reply, self.ability, self.writing)
                if scored.log_likelihood is not None and not (math.isfinite(scored.log_likelihood)):
                    raise ModelError(f"the server gives {variant} a log-probability of {one.id} that is no number")
                rows, tokens = rows + 1, tokens + scored.tokens
                if on_progress is not None:
                    on_progress(rows, tokens)
                yield scored
        self._refuse_another_server(MixedError)

    def _echo(self, model: str, one: likelihood.Wanted, pause: Pause) -> Reply | None:
        """The checked echo of a prompt with its reference; None where the server refuses it, as too long.

        Raises:
            ModelError: As of `_reply`.
        """
        reply = likelihood.ask(self.server, model, self.ability, one, pause)
        self._refuse_restarted(pause)
        if reply is not None:
            self._alike.refuse(reply, COMPLETIONS, model, one.id, one.text, len(one.token_ids) or None)
        return reply

    def _refuse_restarted(self, pause: Pause) -> None:
        """Before a reply after a failed request is believed: a server that was restarted may be another.

        Raises:
            MixedError: It is.
        """
        with self._listing:
            if pause.broke > self._listed:
                self._refuse_another_server(MixedError, Pause(pause.stop))

    def _refuse_another_server(self, error: type[ModelError] = ModelError, pause: Pause | None = None) -> None:
        """Refuse to go on where the server lists other facts of its models than at first, as after a restart.

        Args:
            error: What is raised.
            pause: Shared by requests at the same time; None: it is alone.

        Raises:
            ModelError: It does.
        """
        if self.ability.models is None:
            return
        begun = time.monotonic()
        listed = self.server.models(pause=pause) or {}
        now = {name: listed[name] for name in self.ability.models if name in listed}
        if now != self.ability.models:
            raise error(
                f"the server lists {shown(now)} now, and listed {shown(dict(self.ability.models))} at first: others "
                "answer there; serve what it served before and go on with --resume"
            )
        self._listed = begun
