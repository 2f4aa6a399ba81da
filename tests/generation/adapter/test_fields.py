"""Fields of an adapter's configuration that are not of their kind, and regular expressions that never end."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from loralift.errors import AdapterError
from loralift.generation import inspect_adapter, inspect_base
from loralift.generation.adapter import fields


@pytest.fixture
def refusal(tiny_base, tiny_adapter, tmp_path):
    folder = shutil.copytree(tiny_adapter, tmp_path / "adapter")

    def refuse(**changed):
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))
        with pytest.raises(AdapterError) as caught:
            inspect_adapter("mine", str(folder), inspect_base(str(tiny_base)).config)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refuse


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("r", value) for value in ("8", 8.0, True, 0, -1, None, [8], 1e18)),
        *(("lora_alpha", value) for value in ("16", True, [16], float("nan"), float("inf"), -16)),
        *(("use_rslora", value) for value in ("false", "true", 1, 0, [])),
        *(("use_dora", value) for value in ("false", 1)),
        *(("fan_in_fan_out", value) for value in ("false", 0)),
        *(("target_modules", value) for value in (3, {"q_proj": 1}, [1], True)),
        *(("modules_to_save", value) for value in ("lm_head", 3, [None])),
        *(("rank_pattern", value) for value in ("x", ["q_proj"], {"q_proj": "4"}, {"q_proj": 0}, {"q_proj": True})),
        *(("alpha_pattern", value) for value in ("x", {"q_proj": "4"}, {"q_proj": float("nan")})),
        *(("layers_to_transform", value) for value in ("1", [0.5], {"0": 1}, True)),
        *(("bias", value) for value in (3, True)),
        *(("base_model_name_or_path", value) for value in (3, ["x"])),
        *(("auto_mapping", value) for value in ("x", [1])),
        *(("init_lora_weights", value) for value in (3, [True])),
    ],
)
def test_a_field_of_another_kind_is_named(field, value, refusal):
    assert field in refusal(**{field: value})


@pytest.mark.parametrize("pattern", ["(", "+*?*", "[a", "(?P<x>a)(?P<x>b)"])
@pytest.mark.parametrize("field", ["target_modules", "exclude_modules", "rank_pattern", "modules_to_save"])
def test_what_is_no_regular_expression(pattern, field, refusal):
    value = {"rank_pattern": {pattern: 4}, "modules_to_save": [pattern]}.get(field, pattern)
    message = refusal(**{field: value})
    assert "a regular expression that is none" in message
    assert field in message


@pytest.mark.parametrize("field", ["target_modules", "exclude_modules", "alpha_pattern"])
@pytest.mark.timeout(60, func_only=True)
def test_a_regular_expression_that_never_ends(field, refusal, monkeypatch):
    monkeypatch.setattr(fields, "PATIENCE", 0.5)
    pattern = r"((q|.)*)*x!"
    assert "takes more than" in refusal(**{field: {pattern: 4} if field == "alpha_pattern" else pattern})


def test_a_module_that_the_configuration_names_is_not_imported(refusal):
    assert "Megatron" in refusal(megatron_config={"x": 1}, megatron_core="antigravity")


@pytest.mark.parametrize(
    "other",
    [lambda tensor: tensor.to_sparse(), lambda tensor: tensor.to("meta"), lambda tensor: tensor.to(torch.complex64)],
    ids=["sparse", "meta", "complex"],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_without_plain_numbers(other, tiny_base, tiny_adapter, tmp_path):
    folder = shutil.copytree(tiny_adapter, tmp_path / "adapter")
    from safetensors.torch import load_file

    tensors = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    torch.save(tensors | {min(tensors): other(tensors[min(tensors)])}, folder / "adapter_model.bin")
    with pytest.raises(AdapterError, match="save it again"):
        inspect_adapter("mine", str(folder), inspect_base(str(tiny_base)).config)
