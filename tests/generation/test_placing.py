"""Several devices, and which engine a base and its flags take: what excludes each other is refused before loading."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from loralift.errors import ModelError, UsageError
from loralift.generation import inspect_base, load_generator
from loralift.generation.transformers_engine.capability import devices_of, obstacle
from loralift.generation.transformers_engine.sound import refuse_off_the_gpus
from loralift.generation.vllm.start import Work, refuse_more_than_there_are


@pytest.mark.parametrize(
    ("engine", "options", "said"),
    [
        ("transformers", {"tensor_parallel": 2}, "`--tensor-parallel` is for vLLM"),
        ("auto", {"tensor_parallel": 2, "decoding": "generate"}, "`--tensor-parallel` is for vLLM"),
        ("auto", {"tensor_parallel": 2, "device_map": "auto"}, "`--tensor-parallel` is for vLLM"),
        ("vllm", {"device_map": "auto"}, "`--device-map` is for the transformers engine"),
        ("auto", {"device_map": "auto", "device": "cuda:1"}, "leave out --device, got 'cuda:1'"),
        ("auto", {"device_map": "auto"}, "`--device-map` must be left out where there is no CUDA GPU"),
    ],
)
def test_flags_that_exclude_each_other_are_refused(tiny_base, engine, options, said):
    with pytest.raises(UsageError, match=said):
        load_generator(engine, inspect_base(str(tiny_base)), **options)


def test_more_gpus_than_there_are_is_refused():
    refuse_more_than_there_are(0)
    with pytest.raises(UsageError, match="`--tensor-parallel` must be at most the 0 GPUs that torch finds here, got 2"):
        refuse_more_than_there_are(Work(gpus=2).gpus)


def test_parts_that_found_no_room_on_the_gpus_are_refused():
    on = SimpleNamespace(type="cuda")
    refuse_off_the_gpus("m", SimpleNamespace(hf_device_map={"a": 0, "b": 1}, device=on))
    refuse_off_the_gpus("m", SimpleNamespace(hf_device_map={"": "cpu"}, device=SimpleNamespace(type="cpu")))
    for away in ("cpu", "disk"):
        with pytest.raises(ModelError, match=r"no room on the GPUs for 1 parts of m \(b\)"):
            refuse_off_the_gpus("m", SimpleNamespace(hf_device_map={"a": 0, "b": away}, device=on))


def test_a_base_on_two_devices_is_not_given_to_the_loop(generator):
    base = generator._loaded.base
    assert len(devices_of(base)) == 1
    assert obstacle(base) is None
    norm = base.model.norm.weight
    base.model.norm.weight = torch.nn.Parameter(norm.to("meta"), requires_grad=False)
    try:
        assert obstacle(base) == "it is spread over several devices"
    finally:
        base.model.norm.weight = norm
