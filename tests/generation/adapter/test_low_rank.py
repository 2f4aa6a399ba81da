"""Deltas against PEFT's own; places in a model that fuses its layers as vLLM does; the base comes back bit by bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM

from loralift.errors import AdapterError
from loralift.generation import inspect_adapter, inspect_base
from loralift.generation.adapter.low_rank import bytes_touched, obstacle_to_merging, obstacle_to_request, read_updates
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.vllm import choose
from loralift.generation.vllm.weights import SwitchedWeights

type Make = Callable[..., Path]


@pytest.fixture
def make(tiny_base: Path, tmp_path: Path) -> Make:
    """Save a LoRA with random weights, of any settings."""

    def saved(**settings: Any) -> Path:
        with quiet_loading():
            base = AutoModelForCausalLM.from_pretrained(tiny_base)
            model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **({"r": 4, "lora_alpha": 12} | settings)))
        torch.manual_seed(5)
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.data.normal_(0, 0.1)
        with quiet_loading():
            model.save_pretrained(tmp_path / "made", save_embedding_layers=False)
        return tmp_path / "made"

    return saved


def inspected(tiny_base: Path, folder: Path) -> Any:
    return inspect_adapter("made", str(folder), inspect_base(str(tiny_base)).config)


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["q_proj", "v_proj", "down_proj"]},
        {"target_modules": "all-linear", "use_rslora": True},
        {
            "target_modules": ["k_proj", "o_proj", "up_proj"],
            "rank_pattern": {"k_proj": 2, "layers.1.self_attn.o_proj": 8},
            "alpha_pattern": {"up_proj": 3, r".*\.0\.self_attn\.o_proj": 5},
        },
    ],
)
def test_updates_are_pefts(tiny_base: Path, make: Make, settings: dict[str, Any]) -> None:
    folder = make(**settings)
    updates = read_updates(inspected(tiny_base, folder))
    with quiet_loading():
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), folder)
    layers = {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    assert layers.keys() == updates.keys()
    for name, module in layers.items():
        torch.testing.assert_close(updates[name].delta(), module.get_delta_weight("default"), rtol=1e-6, atol=1e-7)
    numbers = sum(outputs * inputs for outputs, inputs in (update.shape for update in updates.values()))
    assert bytes_touched([updates, updates], 2) == 2 * numbers


@pytest.mark.parametrize(
    ("settings", "merging", "request_"),
    [
        ({"use_dora": True}, "DoRA", "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save", "modules_to_save"),
        ({"target_modules": ["embed_tokens", "q_proj"]}, "no lora_A or lora_B of a linear layer", "linear layer"),
        ({"rank_pattern": {"k_proj": 2}}, None, "rank_pattern"),
        ({}, None, None),
    ],
)
def test_what_stands_in_the_way(
    tiny_base: Path, make: Make, settings: dict[str, Any], merging: str | None, request_: str | None
) -> None:
    info = inspected(tiny_base, make(**({"target_modules": ["q_proj", "k_proj"]} | settings)))
    for found, expected in ((obstacle_to_merging(info), merging), (obstacle_to_request(info), request_)):
        assert (found is None) == (expected is None)
        assert expected is None or expected in (found or "")
    if merging is not None:
        with pytest.raises(AdapterError, match="cannot be merged"):
            read_updates(info)
        with pytest.raises(
            AdapterError, match=r"cannot be served by vLLM: it has .*; use --engine transformers"
        ) as raised:
            choose.refuse_unservable([info], merged=True)
        assert raised.value.adapter == "made"


class Fused(nn.Module):
    """The names and shapes of vLLM's Llama: q, k and v as rows of one weight, gate and up of another."""

    packed_modules_mapping = {"qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}  # noqa: RUF012

    def __init__(self, source: Any) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.layers = nn.ModuleList(nn.Module() for _ in source.model.layers)
        for mine, theirs in zip(self.model.layers, source.model.layers, strict=True):
            mine.self_attn, mine.mlp = nn.Module(), nn.Module()
            for box, own in ((mine.self_attn, theirs.self_attn), (mine.mlp, theirs.mlp)):
                for name, child in own.named_children():
                    if isinstance(child, nn.Linear) and name in ("o_proj", "down_proj"):
                        box.add_module(name, child)
            mine.self_attn.qkv_proj = _fused(
                [theirs.self_attn.get_submodule(n) for n in ("q_proj", "k_proj", "v_proj")]
            )
            mine.mlp.gate_up_proj = _fused([theirs.mlp.gate_proj, theirs.mlp.up_proj])


def _fused(parts: list[Any]) -> nn.Module:
    fused = nn.Linear(parts[0].in_features, sum(part.out_features for part in parts), bias=False)
    fused.weight.data = torch.cat([part.weight.data for part in parts]).bfloat16()
    fused.output_sizes = [part.out_features for part in parts]  # type: ignore[assignment]
    return fused


@pytest.fixture
def fused(tiny_base: Path) -> Any:
    return Fused(AutoModelForCausalLM.from_pretrained(tiny_base)).bfloat16()


def test_fused_weights_are_merged_and_come_back(fused: Any, tiny_base: Path, make: Make, other_adapter: Path) -> None:
    updates = read_updates(inspected(tiny_base, make(target_modules="all-linear")))
    others = read_updates(inspected(tiny_base, other_adapter))
    before = {name: weight.detach().clone() for name, weight in fused.named_parameters()}
    places = {name: weight.data_ptr() for name, weight in fused.named_parameters()}
    weights = SwitchedWeights(fused)
    weights.locate("one", updates)
    weights.locate("other", others)
    weights.merge("other", others)
    weights.merge("one", updates)  # leaves the other first
    attention = "model.layers.1.self_attn"
    expected = torch.cat([updates[f"{attention}.{part}_proj"].delta() for part in "qkv"])
    expected = (before[f"{attention}.qkv_proj.weight"].float() + expected).bfloat16()
    assert torch.equal(fused.get_submodule(f"{attention}.qkv_proj").weight, expected)
    assert 0 < weights.rounding["one"] < 0.2
    weights.restore()
    assert all(torch.equal(before[name], weight) for name, weight in fused.named_parameters())
    assert {name: weight.data_ptr() for name, weight in fused.named_parameters()} == places


def test_every_update_must_find_its_place(fused: Any, tiny_base: Path, make: Make) -> None:
    updates = read_updates(inspected(tiny_base, make(target_modules=["q_proj", "down_proj"])))
    one = next(iter(updates.values()))
    weights = SwitchedWeights(fused)
    with pytest.raises(
        AdapterError, match=r"adapts 1 of 5 modules that vLLM's model has not .*experts.3.*transformers"
    ):
        weights.locate("a", updates | {"model.layers.0.mlp.experts.3.up_proj": one})
    wrong = type(one)(torch.zeros(4, 3), torch.zeros(8, 4), 1.0)
    with pytest.raises(AdapterError, match=r"has an update of \(8, 3\) for model.layers.0.mlp.down_proj"):
        weights.locate("a", {"model.layers.0.mlp.down_proj": wrong})


def test_renamed_modules_are_found(fused: Any) -> None:
    mapper = SimpleNamespace(_map_name=lambda name: name.replace("language_model.", ""))
    fused.hf_to_vllm_mapper = SimpleNamespace(get_unstacked_mapper=lambda: mapper)
    place = SwitchedWeights(fused)._place("language_model.model.layers.0.mlp.up_proj")
    weight = fused.model.layers[0].mlp.gate_up_proj.weight
    assert place is not None
    assert place.data_ptr() == weight[len(weight) // 2 :].data_ptr()


def test_a_file_without_a_partner_is_refused(tiny_base: Path, make: Make, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make(target_modules=["q_proj"])
    info = inspected(tiny_base, folder)
    broken = shutil.copytree(folder, tmp_path / "broken")
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors.pop(next(key for key in tensors if "lora_B" in key))
    save_file(tensors, broken / "adapter_model.safetensors")
    assert json.loads((broken / "adapter_config.json").read_text())["r"] == 4
    with pytest.raises(AdapterError, match=r"no pair of lora_A and lora_B for model.layers.0.self_attn.q_proj"):
        read_updates(type(info)(**{field: getattr(info, field) for field in info.__slots__} | {"path": str(broken)}))
