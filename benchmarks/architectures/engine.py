"""The engine under test: all that is asked of LoraLift stands here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from transformers import AutoTokenizer

from benchmarks.architectures.prompts import Question, text, tokenizer
from benchmarks.architectures.reference import TrueAnswer
from benchmarks.architectures.results import Compared
from benchmarks.architectures.sizes import BOS, ENDS, PAD, UNKNOWN
from loralift.generation import GenerationSettings, load_transformers
from loralift.generation.transformers_engine import capability
from loralift.records import BASE

SIDES = 2
"""Batches that the engine computes side by side, on a CPU of any size."""

NEAR_TIE = 1e-4
"""Two logits so close may change places by rounding alone."""

_UNSAID = (PAD, BOS, UNKNOWN)
"""Tokens that an answer's text leaves out."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the engine is asked in one call.

    Attributes:
        questions: All of them.
        truth: True answers by a question's id; of some or of all.
    """

    questions: Sequence[Question]
    truth: Mapping[str, TrueAnswer]


def way_of(generator: Any) -> str:
    """Which way the engine takes for this model: ``loop`` (packed too) or ``generate``."""
    return "generate" if generator.describe().numerics["decoding"] == "generate" else "loop"


def load(base: Path, variant: str, adapter: Path | None, dtype: str = "float32", device: str = "cpu") -> Any:
    """A generator of a saved model with at most one adapter, so that one adapter cannot hide another's faults."""
    chosen = {} if variant == BASE else {variant: str(adapter)}
    # for some model types transformers takes a class of tokenizer that reads no vocabulary of words, whatever was saved
    with patch.object(AutoTokenizer, "from_pretrained", lambda *_, **__: tokenizer()):
        return load_transformers(str(base), chosen, dtype=dtype, device=device)


def compare_answers(generator: Any, variant: str, asked: Asked, settings: GenerationSettings, found: Compared) -> None:
    """Let the engine answer, and count what is not the truth's."""
    prompts = [question.as_prompt() for question in asked.questions]
    given = {answer.id: answer for answer in generator.generate(variant, prompts, settings)}
    for name, true in asked.truth.items():
        answer = given[name]
        found.answers += 1
        made = tokenizer().convert_tokens_to_ids(answer.text.split())
        place = _parts(true, made, answer.finish_reason == "stop")
        if place is None:
            continue
        if true.gaps[place] < NEAR_TIE:
            found.near_ties += 1
        else:
            found.differing += 1


def _parts(true: TrueAnswer, made: Sequence[int], stopped: bool) -> int | None:
    """The truth's first token that the engine did not make; None where it made all, and ended as the truth did."""
    ended = true.tokens[-1] in ENDS
    said = [place for place, token in enumerate(true.tokens) if token not in _UNSAID]
    words = said[:-1] if ended else said
    if [true.tokens[place] for place in words] == list(made) and stopped == ended:
        return None
    last = len(true.tokens) - 1
    differs = (place for place, token in zip(words, made, strict=False) if true.tokens[place] != token)
    return next(differs, words[len(made)] if len(made) < len(words) else last)


def differences(
    generator: Any, variant: str, asked: Sequence[Question], truth: Sequence[float], one_in: int = 1
) -> list[float]:
    """How far references' log-likelihoods are from the truth, in nats a token, the smallest first.

    All are asked; the truth is known of the first and of each ``one_in``-th after it.
    """
    prompts = [question.as_prompt() for question in asked]
    references = [text(question.reference) for question in asked]
    given = {one.id: one for one in generator.reference_likelihoods(variant, prompts, references, " ")}
    found = [
        abs(given[question.id].log_likelihood - true) / len(question.reference)
        for question, true in zip(asked[::one_in], truth, strict=True)
        # None: beyond the context window, which the engine says
        if given[question.id].log_likelihood is not None
    ]
    return sorted(math.inf if math.isnan(one) else one for one in found)


class _Everything(frozenset[str]):
    """A set of model types that has all of them."""

    def __contains__(self, item: object) -> bool:
        return True

    def __or__(self, other: object) -> _Everything:
        return self


@contextmanager
def as_if_tested() -> Iterator[None]:
    """The engine as if every type of model had been tested: what then is equal may be added to its lists."""
    before = capability.TESTED, capability.PADDED
    capability.TESTED = capability.PADDED = _Everything()
    try:
        yield
    finally:
        capability.TESTED, capability.PADDED = before


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, as is quickest for models this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def side_by_side() -> Iterator[None]:
    """The engine is told of ``SIDES`` threads, of which it makes as many sides; each computes on one thread.

    Two real threads, waiting for each other in each operation on cores that are busy, took ten times as long.
    """
    with patch.object(torch, "get_num_threads", lambda: SIDES), patch.object(torch, "set_num_threads"):
        yield
