"""What is in memory against what is in the file."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file

from loralift.errors import AdapterError
from loralift.generation.adapter.fit import verify_loaded


def test_a_tensor_changed_after_loading_is_found(generator, tiny_adapter):
    tensors = load_file(tiny_adapter / "adapter_model.safetensors")
    adapter = generator._loaded.adapters["letters"]
    verify_loaded("--adapter letters=x", generator._loaded.model, adapter.key, tensors, ())
    key = sorted(tensors)[0]
    tensors[key] = tensors[key] + 1e-6
    with pytest.raises(
        AdapterError, match=f"`--adapter letters=x` was not loaded as it is: 1 of 28 tensors differ .{key}"
    ):
        verify_loaded("--adapter letters=x", generator._loaded.model, adapter.key, tensors, ())


def test_a_tensor_without_a_place_in_memory_is_found(generator, tiny_adapter):
    tensors = load_file(tiny_adapter / "adapter_model.safetensors")
    model, adapter = generator._loaded.model, generator._loaded.adapters["letters"]
    first, *others = sorted(tensors)
    more = {**tensors, "base_model.model.lm_head.lora_A.weight": tensors[first]}
    fewer = {key: tensors[key] for key in others}
    renamed = {**fewer, "before_its_conversion": tensors[first]}
    said = "was not loaded as it is: 1 tensors found no place beside the adapters before it"
    for found, unplaced in ((more, ()), (fewer, ()), (renamed, ["before_its_conversion"])):
        with pytest.raises(AdapterError, match=said):
            verify_loaded("--adapter letters=x", model, adapter.key, found, (), unplaced)
    verify_loaded("--adapter letters=x", model, adapter.key, renamed, ())
    verify_loaded("--adapter letters=x", model, adapter.key, more, sorted(more.keys() - tensors.keys()))
