"""Adapters whose settings reach into the layers of others: each computes what it does alone, or is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from demo.tiny import train_lora
from loralift.errors import AdapterError
from loralift.generation import inspect_adapter, inspect_base, load_transformers
from loralift.generation.adapter import kinds
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.transformers_engine import load, self_check
from loralift.records import Prompt
from tests.models import PAIRS
from tests.shared import once

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "head": {"target_modules": ["q_proj", "lm_head"]},
    "tied": {"target_modules": ["q_proj", "lm_head"], "ensure_weight_tying": True},
    "tied_whole": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    "untied": {"ensure_weight_tying": True},  # of none of the tied layers
    "tokens": {"trainable_token_indices": [20, 21, 22]},
    "more_tokens": {"trainable_token_indices": [30, 31]},
    "parameters": {"target_modules": [], "target_parameters": ["self_attn.q_proj.weight"]},
    "bias": {"lora_bias": True},
}
ALONE = r"evaluate each in a run of its own, the second with --base-from the first, and pair them by `loralift compare`"

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*tie_word_embeddings.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning"),
    pytest.mark.filterwarnings("ignore:You have requested `ensure_weight_tying`:UserWarning"),
]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """An adapter of each of SETTINGS."""

    def make(folder: Path) -> None:
        for seed, (name, options) in enumerate(SETTINGS.items()):
            train_lora(tiny_base, PAIRS, folder / name, rank=4, steps=15, seed=seed, **options)

    return once(tmp_path_factory, "beside", make)


def load_all(base: Path, trained: Path, names: Sequence[str]) -> Any:
    return load_transformers(str(base), {name: str(trained / name) for name in names})


def as_alone(base: Path, trained: Path, names: Sequence[str], prompts: Sequence[Prompt]) -> bool:
    """Whether each adapter's next token is as likely as in plain PEFT without the others, in whatever turn."""
    generator = load_all(base, trained, names)
    for name in (*names, "base", *reversed(names)):
        with quiet_loading(), torch.inference_mode():
            model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
            model = model if name == "base" else PeftModel.from_pretrained(model, str(trained / name))
            rows = [model.eval()(torch.tensor([prompt.token_ids])).logits[0, -1] for prompt in prompts]
        found = torch.as_tensor(generator.next_token_log_probabilities(name, prompts), dtype=torch.float32)
        if not torch.allclose(found, torch.stack(rows).log_softmax(-1), atol=1e-4):
            return False
    return True


@pytest.mark.parametrize(
    ("at_once", "names"),
    [
        (4, ("tied", "plain", "head")),
        (4, ("plain", "bias", "tokens")),
        (4, ("bias", "plain")),
        (1, ("head", "plain", "untied")),
        (1, ("tokens", "more_tokens")),
        (1, ("parameters",)),
    ],
)
def test_adapters_that_fit_beside_one_another_compute_what_each_does_alone(
    at_once: int, names: tuple[str, ...], tiny_base: Path, trained: Path, prompts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "AT_ONCE", at_once)
    assert as_alone(tiny_base, trained, names, prompts[:3])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("head", "tied"), r"was not loaded as it is: 2 tensors found no place beside the adapters before it \(.*lm"),
        (("parameters", "bias"), r"would not be computed as it is: another adapter's target_parameters changed 2 of"),
        (("tokens", "plain"), "cannot be loaded: .*: its files are whole, so PEFT may not take it beside the others"),
    ],
)
def test_an_adapter_that_would_compute_something_else_behind_another_is_refused(
    names: tuple[str, str], message: str, tiny_base: Path, trained: Path
) -> None:
    with pytest.raises(AdapterError, match=f"`--adapter {names[1]}=.*{message}.*: {ALONE}$") as caught:
        load_all(tiny_base, trained, names)
    assert caught.value.adapter == names[1]


@pytest.mark.parametrize("entangled", ["tied", "tied_whole", "tokens"])
def test_one_that_cannot_be_put_in_again_is_refused_among_many_before_the_base_is_loaded(
    entangled: str, tiny_base: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "AT_ONCE", 1)
    monkeypatch.setattr(load, "load_base", None)
    with pytest.raises(AdapterError, match=f"{entangled}=.* must be in a run of at most 1 .*; {ALONE}$") as caught:
        load_all(tiny_base, trained, ("plain", entangled))
    assert caught.value.adapter == entangled


@pytest.mark.parametrize("names", [("plain", "tied"), ("plain", "tokens"), ("bias", "plain", "tokens")])
def test_what_failed_to_come_back_is_not_taken_to_be_in_the_model(
    names: tuple[str, ...], tiny_base: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as if the setting were not known: what is read again is compared, and neither way of decoding hides a refusal
    monkeypatch.setattr(load, "AT_ONCE", 1)
    monkeypatch.setattr(kinds, "not_again", lambda *of: None)
    base = inspect_base(str(tiny_base))
    infos = [inspect_adapter(name, str(trained / name), base.config) for name in names]
    loaded = load.load_model(base, infos, "float32", "cpu")
    for decoding in ("auto", "generate", "auto"):
        with pytest.raises(AdapterError, match=r"was not loaded as it is|cannot be loaded once more: KeyError"):
            self_check.checked_capability(loaded, decoding)
