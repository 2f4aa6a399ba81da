"""Many adapters: one in the model at a time, with the answers of each as if it were alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from loralift.errors import AdapterError
from loralift.generation import GenerationSettings, load_transformers
from loralift.generation.transformers_engine import load

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def checkpoints(tiny_adapter: Path, other_adapter: Path, tmp_path: Path) -> dict[str, str]:
    """Copies of an adapter at growing strength, and one of other modules among them."""
    found = {"other": str(shutil.copytree(other_adapter, tmp_path / "other"))}
    for step in range(1, load.AT_ONCE + 1):
        folder = shutil.copytree(tiny_adapter, tmp_path / f"checkpoint-{step}")
        tensors = load_file(folder / WEIGHTS)
        save_file({k: t * step / 4 if "lora_B" in k else t for k, t in tensors.items()}, folder / WEIGHTS)
        found[f"c{step}"] = str(folder)
    return found


def answers(generator: Any, variant: str, prompts: Any) -> list[str]:
    settings = GenerationSettings(max_new_tokens=8)
    return sorted(f"{answer.id} {answer.text}" for answer in generator.generate(variant, prompts, settings))


def test_one_is_in_the_model_at_a_time_and_answers_as_if_it_were_alone(
    checkpoints: dict[str, str], tiny_base: Path, prompts: Any
) -> None:
    many = load_transformers(str(tiny_base), checkpoints)
    before = {name: weight.clone() for name, weight in many._loaded.base.named_parameters() if "lora" not in name}
    for name in ("c1", "other", "base"):
        few = load_transformers(str(tiny_base), {} if name == "base" else {name: checkpoints[name]})
        assert answers(many, name, prompts) == answers(few, name, prompts)
        assert len(many._loaded.model.peft_config) == 1
    acts = many.describe().numerics["adapters_act"]
    assert acts == dict.fromkeys(checkpoints, "merged")
    answers(many, "base", prompts)
    state = dict(many._loaded.base.named_parameters())
    assert all(torch.equal(weight, state[name]) for name, weight in before.items())


def test_files_that_change_while_a_run_goes_on_are_refused(
    checkpoints: dict[str, str], tiny_base: Path, prompts: Any
) -> None:
    many = load_transformers(str(tiny_base), checkpoints)
    weights = Path(checkpoints["c2"]) / WEIGHTS
    save_file({key: tensor * 2 for key, tensor in load_file(weights).items()}, weights)
    with pytest.raises(AdapterError, match="was written to after the run began") as caught:
        answers(many, "c2", prompts)
    assert caught.value.adapter == "c2"
    shutil.rmtree(checkpoints["c3"])
    with pytest.raises(AdapterError, match="cannot be loaded once more"):
        answers(many, "c3", prompts)
    assert answers(many, "c1", prompts) != answers(many, "base", prompts)
