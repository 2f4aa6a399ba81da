"""A served model, as the tests ask it."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loralift.generation import GenerationSettings, load_endpoint, served_base
from loralift.generation.endpoint.generator import EndpointGenerator
from loralift.generation.endpoint.server import Given
from loralift.records import Prompt
from tests.generation.endpoint.served import Served, serving

GREEDY = GenerationSettings(max_new_tokens=12)
TEXTS = [f"Question: What are thing{number}?\nAnswer:" for number in range(20)]


def connect(served: Served, *, base: str = "base-1", patience: float = 0.0, **more: Any) -> EndpointGenerator:
    """The served model, asked without long waits."""
    adapters = more.pop("adapters", {"mine": "good"})
    found = load_endpoint(served_base(base), adapters, Given(served.url, wait=0.0, **more))
    found.server = hasty(found.server, patience)
    return found


def hasty(server: Any, patience: float = 0.0) -> Any:
    quick = dataclasses.replace(server.address, wait=0.01, longest_wait=0.05, patience=patience)
    return dataclasses.replace(server, address=quick)


def asked(generator: EndpointGenerator, texts: list[str] = TEXTS) -> list[Prompt]:
    encoded = generator.encode(texts, True)
    return [Prompt(f"q{n}", text, ids) for n, (text, ids) in enumerate(zip(texts, encoded, strict=True))]


@contextmanager
def connected(**behaviour: Any) -> Iterator[tuple[Served, EndpointGenerator]]:
    with serving(Served(**behaviour)) as served:
        yield served, connect(served)


class Noisy:
    """Answers and log-probabilities that are the base's for every name, and move by chance.

    The chance is of how often the very same was asked, so that requests side by side in any order draw the same.
    """

    def __init__(self, *, share: float) -> None:
        self.share, self.times = share, Counter[str]()

    def tokens(self, text: Any) -> list[str]:
        return str(text).split()

    def _chance(self, *asked: Any) -> float:
        self.times[key := repr(asked)] += 1
        return random.Random(f"{key} {self.times[key]}").random()

    def answer(self, model: str, text: Any, most: int, stop: Any) -> tuple[str, str, int]:
        return ("otherwise" if self._chance(model, text) < self.share else "plainly"), "stop", 1

    def top(self, model: str, text: Any, most: int) -> dict[str, float]:
        return {"a": -1.0 - 0.01 * self._chance(model, text), "b": -2.0}

    def echo(self, model: str, text: Any) -> list[float | None]:
        return [None, *(-1.0 - 0.01 * self._chance(model, text) for _ in self.tokens(text)[1:])]
