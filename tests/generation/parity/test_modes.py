"""Every mode of one loaded model gives the same tokens in float32, and leaves the model as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loralift.errors import UsageError
from loralift.generation import GenerationSettings, inspect_adapter, inspect_base, load_transformers, prove
from loralift.generation.parity.modes import (
    BATCHED,
    REFERENCE,
    merges,
    merging_lost,
    opened,
    start_vllm,
    transformers_modes,
    vllm_modes,
)
from loralift.generation.parity.probe import END, Asked, ask
from loralift.generation.transformers_engine.load import Loaded, load_model
from loralift.generation.transformers_engine.self_check import checked_capability
from loralift.records import Prompt

VARIANTS = ("letters", "mlp", "base")


@pytest.fixture(scope="module")
def found(tiny_base: Path, tiny_adapter: Path, other_adapter: Path) -> Any:
    base = inspect_base(str(tiny_base))
    infos = [inspect_adapter("letters", str(tiny_adapter), base.config)]
    return base, [*infos, inspect_adapter("mlp", str(other_adapter), base.config)]


@pytest.fixture(scope="module")
def loaded(found: Any) -> Loaded:
    return load_model(*found, "float32", "cpu")


@pytest.fixture(scope="module")
def asked(prompts: list[Prompt]) -> Asked:
    references = [f"They are {len(prompt.text)} letters." for prompt in prompts]
    return Asked(prompts, references, " ", GenerationSettings(max_new_tokens=12))


def test_modes_of_transformers(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [mode.name for mode in transformers_modes(loaded, checked_capability(loaded), 20)]
    assert names[:2] == [REFERENCE.name, BATCHED.name]
    assert names[2:] == ["loop, single", "loop, batch", "loop, 5 rows", "loop, as in a run"]
    assert all(merges(loaded, checked_capability(loaded), name) for name in loaded.adapters)
    monkeypatch.setattr("loralift.generation.parity.modes.merges", lambda *of: False)
    assert [mode.name for mode in transformers_modes(loaded, checked_capability(loaded), 3)][-1] == "loop, 2 rows"


def test_without_the_loop_there_are_the_modes_of_generate(loaded: Loaded) -> None:
    names = [mode.name for mode in transformers_modes(loaded, checked_capability(loaded, "generate"), 20)]
    assert names == ["generate, single", "generate, batch", "generate, as in a run"]


def test_every_mode_gives_the_same_tokens(loaded: Loaded, asked: Asked) -> None:
    before = {name: tensor.clone() for name, tensor in loaded.base.state_dict().items()}
    given: dict[str, dict[str, Any]] = {}
    for mode in transformers_modes(loaded, checked_capability(loaded), len(asked.prompts)):
        with opened(loaded, checked_capability(loaded), mode) as generator:
            given[mode.name] = {name: ask(generator, name, asked, rows=mode.batch_size) for name in VARIANTS}
        after = loaded.base.state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    reference = given[REFERENCE.name]
    assert reference["base"].tokens != reference["letters"].tokens
    assert any(tokens[-1] == END for tokens in reference["letters"].tokens.values())
    for mode, variants in given.items():
        for variant, one in variants.items():
            assert one.tokens == reference[variant].tokens, (mode, variant)
            np.testing.assert_allclose(one.log_probabilities, reference[variant].log_probabilities, atol=1e-4)
            for key, likelihood in one.likelihoods.items():
                expected = reference[variant].likelihoods[key]
                assert likelihood.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-3)


def test_tokens_make_the_texts_of_a_run(loaded: Loaded, asked: Asked, tiny_base: Path, tiny_adapter: Path) -> None:
    settings = GenerationSettings(max_new_tokens=12, stop=(" letters", "b"))
    asked = Asked(asked.prompts, asked.references, " ", settings)
    with opened(loaded, checked_capability(loaded), REFERENCE) as generator:
        given = ask(generator, "letters", asked, rows=1)
    of_a_run = load_transformers(str(tiny_base), {"letters": str(tiny_adapter)}, device="cpu")
    texts = {answer.id: answer.text for answer in of_a_run.generate("letters", asked.prompts, settings)}
    assert {key: answer.text for key, answer in given.answers.items()} == texts
    assert any(
        len(given.tokens[key]) > answer.output_tokens for key, answer in given.answers.items() if answer.output_tokens
    )


def test_the_watched_tokens_are_the_likeliest_or_those_given(loaded: Loaded, asked: Asked) -> None:
    with opened(loaded, checked_capability(loaded), BATCHED) as generator:
        own = ask(generator, "base", asked)
        others = ask(generator, "letters", asked, watched=own.watched)
    assert (others.watched == own.watched).all()
    assert (own.log_probabilities > others.log_probabilities).any()


@pytest.mark.usefixtures("fake")
def test_modes_of_vllm(found: Any, loaded: Loaded, asked: Asked) -> None:
    modes = vllm_modes(*found, "auto", "bfloat16", "cuda")
    assert [mode.name for mode in modes] == ["vLLM, merged", "vLLM, LoRARequest"]
    assert vllm_modes(*found, "transformers", "auto", "auto") == []
    assert vllm_modes(*found, "auto", "float32", "auto") == []
    with opened(loaded, checked_capability(loaded), REFERENCE) as reference:
        expected = {name: ask(reference, name, asked, rows=1) for name in VARIANTS}
    fast = start_vllm(*found, "auto", modes[0], len(asked.prompts))
    given = {name: ask(fast, name, asked, watched=expected[name].watched) for name in VARIANTS}
    assert {name: one.tokens for name, one in given.items()} == {name: one.tokens for name, one in expected.items()}
    assert {name: one.answers for name, one in given.items()} == {name: one.answers for name, one in expected.items()}
    assert merging_lost(fast).keys() == {"letters", "mlp"}
    assert fast.describe().numerics["adapters_act"] == "merged"
    assert len(prove(fast, asked.prompts)) == 2
    beside = start_vllm(*found, "auto", modes[1], len(asked.prompts))
    assert beside.describe().numerics["adapters_act"] == "LoRARequest"
    assert merging_lost(beside) == {}


def test_vllm_that_was_asked_for_and_is_not_here(found: Any) -> None:
    with pytest.raises(UsageError, match="vllm"):
        vllm_modes(*found, "vllm", "auto", "auto")
    assert vllm_modes(*found, "auto", "auto", "auto") == []
