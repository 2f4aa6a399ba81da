"""One loaded generator for the whole folder; tests that change a model load their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from loralift.generation import load_transformers
from loralift.records import Prompt
from tests.generation.vllm.fake import fake
from tests.models import PROMPTS

__all__ = ["fake"]


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores make a model this small fifty times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def generator(tiny_base: Path, tiny_adapter: Path, other_adapter: Path) -> Any:
    # "mlp" is a part of the names of the base's own weights
    return load_transformers(str(tiny_base), {"letters": str(tiny_adapter), "mlp": str(other_adapter)})


@pytest.fixture(scope="session")
def render() -> Callable[[Any, list[str]], list[Prompt]]:
    def prompts(generator: Any, texts: list[str]) -> list[Prompt]:
        encoded = generator.encode(texts, True)
        return [Prompt(f"q{n}", text, ids) for n, (text, ids) in enumerate(zip(texts, encoded, strict=True))]

    return prompts


@pytest.fixture(scope="session")
def prompts(generator: Any, render: Any) -> list[Prompt]:
    """Of different lengths, so that batches are padded."""
    return render(generator, [*PROMPTS, "gold", PROMPTS[0] + " " + PROMPTS[1], "Question: What are\nAnswer:"])
