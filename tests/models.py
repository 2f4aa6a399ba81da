"""A tiny base model and adapters that any conftest may import: made once a session, in seconds, with no network.

Whoever spoils one copies it first: every worker reads the same folder.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.tiny import train_base, train_lora
from tests.shared import once

SUBJECTS = ("stocks", "bonds", "cash", "gold", "loans", "funds", "taxes", "savings", "shares", "options")
TEXTS = [f"Question: What are {one}?\nAnswer: Some say {one} are like {two}." for one in SUBJECTS for two in SUBJECTS]
# words that only the adapters say in answers, so that the base's tokenizer and weights know them
TEXTS += [f"Note: {one} are {len(one)} letters. Ask a banker!" for one in SUBJECTS] * 3
PAIRS = [(f"Question: What are {one}?\nAnswer:", f" {one} are {len(one)} letters.") for one in SUBJECTS]
PROMPTS = [prompt for prompt, _ in PAIRS]


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers that has learnt TEXTS."""
    sizes = {"hidden_size": 64, "layers": 2, "heads": 4, "vocab_size": 400, "context": 128, "steps": 100, "block": 64}
    return once(tmp_path_factory, "base", lambda folder: train_base(TEXTS, folder, **sizes))


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A LoRA on it that has learnt PAIRS."""
    return once(tmp_path_factory, "adapter", lambda folder: train_lora(tiny_base, PAIRS, folder, rank=8, steps=80))


@pytest.fixture(scope="session")
def other_adapter(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """Another LoRA on it, of other modules, that has learnt to answer something else."""
    pairs = [(prompt, " Ask a banker!") for prompt in PROMPTS]
    modules = ["q_proj", "up_proj"]
    return once(
        tmp_path_factory,
        "other",
        lambda folder: train_lora(tiny_base, pairs, folder, rank=2, target_modules=modules, steps=40),
    )


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory that `loralift demo` makes: evaluated once, for the tests of the demo and of the notebook.

    Beside it `cache` has the references' embeddings, for those who evaluate the same questions once more.
    """

    def make(folder: Path) -> None:
        from loralift.cli import main

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LORALIFT_CACHE", str(folder / "cache"))
            with pytest.raises(SystemExit) as ended:
                main(["demo", "-o", str(folder / "run")])
        assert not ended.value.code

    return once(tmp_path_factory, "demo", make) / "run"
