"""Run requests through a vLLM engine, end them at stop strings, and yield them as they finish."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from loralift.generation.base import OnProgress
from loralift.generation.transformers_engine.stopping import Decode, stop_tail

type Request = tuple[str, tuple[int, ...], Any]
"""An id, the prompt's token ids, and vLLM's sampling parameters."""


@dataclass
class Finished:
    """A request and its results, while it runs and when it has finished.

    Attributes:
        key: The request's id.
        tokens: Token ids generated so far, with the end-of-sequence token if there was one.
        stopped_after: Tokens up to the one that completed a stop string, if one did.
        logprobs: vLLM's flat list of the first token's distribution, where it was asked for.
        prompt_logprobs: Log-probabilities of the prompt's tokens but the first, where they were asked for.
        seconds: Its share of the engine's time: that since the last request finished, divided by the number that
            finished together.
    """

    key: str
    tokens: list[int] = field(default_factory=list)
    stopped_after: int | None = None
    logprobs: Any = None
    prompt_logprobs: Sequence[float] = ()
    seconds: float = 0.0

    def take(self, output: Any) -> None:
        """Add the new tokens and log-probabilities of one output of vLLM."""
        (made,) = output.outputs
        self.tokens.extend(made.token_ids)
        if made.logprobs is not None:
            self.logprobs = made.logprobs
        if output.prompt_logprobs is not None and len(output.prompt_logprobs):
            self.prompt_logprobs = output.prompt_logprobs.logprobs


class Requests:
    """The requests of one call; the engine must have no others.

    Attributes:
        engine: vLLM's ``LLMEngine``.
        stop: The stop strings, searched in the decoded answer as the transformers engine does.
        decode: Tokens to text.
        lora: vLLM's ``LoRARequest`` of the variant; None for the base and for merged adapters.
    """

    def __init__(self, engine: Any, stop: Sequence[str], decode: Decode, lora: Any = None) -> None:
        self.engine = engine
        self.stop = tuple(stop)
        self.decode = decode
        self.lora = lora
        self._tail = stop_tail(stop)
        self._running: dict[str, Finished] = {}
        self._done = [0, 0]

    def run(
        self, requests: Sequence[Request], at_once: int | None, on_progress: OnProgress | None = None
    ) -> Generator[list[Finished], None, None]:
        """Yield the requests that finished, one list for each step of the engine.

        Args:
            requests: In the order in which they begin.
            at_once: Most requests that the engine has at a time; None: all.
            on_progress: Called with the rows finished and the tokens generated so far.
        """
        waiting = deque(requests)
        busy = 0.0
        try:
            while waiting or self._running:
                began = time.perf_counter()
                self._begin(waiting, at_once)
                outputs = self.engine.step()
                finished = [one for output in outputs if (one := self._watch(output)) is not None]
                busy += time.perf_counter() - began
                if outputs and on_progress is not None:
                    self._report(finished, on_progress)
                if finished:
                    for one in finished:
                        one.seconds = busy / len(finished)
                    busy = 0.0
                    yield finished
        finally:
            if self._running:
                self.engine.abort_request(list(self._running))

    def _begin(self, waiting: deque[Request], at_once: int | None) -> None:
        while waiting and (at_once is None or len(self._running) < at_once):
            key, token_ids, params = waiting.popleft()
            self._running[key] = Finished(key)
            prompt = {"type": "token", "prompt_token_ids": list(token_ids)}
            self.engine.add_request(key, prompt, params, lora_request=self.lora)

    def _watch(self, output: Any) -> Finished | None:
        """Add an output to its request; returns the request if it has finished with it, else None."""
        one = self._running.get(output.request_id)
        if one is None:
            return None  # a late output of a request that was aborted at a stop string
        before = len(one.tokens)
        one.take(output)
        one.stopped_after = self._stopped(one.tokens, before) if self.stop else None
        if one.stopped_after is not None and not output.finished:
            self.engine.abort_request([one.key])
        elif not output.finished:
            return None
        return self._running.pop(one.key)

    def _stopped(self, tokens: Sequence[int], before: int) -> int | None:
        """The number of tokens up to the one that completed a stop string, if one of the new tokens did; else None."""
        for end in range(before + 1, len(tokens) + 1):
            tail = self.decode(tokens[max(end - self._tail, 0) : end])
            if any(text in tail for text in self.stop):
                return end
        return None

    def _report(self, finished: Sequence[Finished], on_progress: OnProgress) -> None:
        self._done[0] += len(finished)
        self._done[1] += sum(len(one.tokens) for one in finished)
        on_progress(self._done[0], self._done[1] + sum(len(one.tokens) for one in self._running.values()))
