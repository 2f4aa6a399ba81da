"""The fake and the engine against vLLM itself, where that is installed: its source is read, so no GPU is needed."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from loralift.generation.vllm import start
from tests.generation.vllm import fake
from tests.real_source import NO_LITERAL, REQUIRED, attributes, class_of, fields, folder_of, method


@pytest.fixture(scope="module")
def vllm() -> Path:
    return folder_of("vllm")


def parameters(function: Any) -> list[inspect.Parameter]:
    return [one for one in inspect.signature(function).parameters.values() if one.name != "self"]


@pytest.mark.parametrize("name", ["LLM", "SamplingParams", "ModelRegistry"])
def test_the_package_has_the_names_that_are_imported_of_it(vllm: Path, name: str) -> None:
    tree = ast.parse((vllm / "__init__.py").read_text(encoding="utf-8"))
    (names,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    assert name in ast.literal_eval(names)


def test_sampling_parameters_have_the_fakes_names_and_defaults(vllm: Path) -> None:
    real = class_of(vllm / "sampling_params.py", "SamplingParams")
    theirs = fields(real)
    for ours in parameters(fake.SamplingParams):
        assert theirs[ours.name] in (ours.default, NO_LITERAL), ours.name
    assert "for_sampler_warmup" in attributes(real)
    assert "DELTA" in attributes(class_of(vllm / "sampling_params.py", "RequestOutputKind"))


def test_a_lora_request_is_made_of_the_same_three(vllm: Path) -> None:
    theirs = fields(class_of(vllm / "lora" / "request.py", "LoRARequest"))
    ours = {one.name: REQUIRED if one.default is one.empty else one.default for one in parameters(fake.LoRARequest)}
    assert dict(list(theirs.items())[: len(ours)]) == ours


@pytest.mark.parametrize("name", ["add_request", "has_unfinished_requests", "abort_request", "step"])
def test_the_engine_is_called_as_the_fake_is(vllm: Path, name: str) -> None:
    real = method(class_of(vllm / "v1" / "engine" / "llm_engine.py", "LLMEngine"), name)
    ours = parameters(getattr(fake.FakeEngine, name))
    by_place = [one.name for one in ours if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert list(real.positional)[: len(by_place)] == by_place
    assert {one.name for one in ours} <= real.named.keys()
    # and what the fake does without has a default
    assert {key for key, default in real.named.items() if default is REQUIRED} == set(by_place)


@pytest.mark.parametrize(
    ("file", "real", "ours"),
    [
        ("outputs.py", "RequestOutput", fake.RequestOutput("q", None, [], True)),
        ("outputs.py", "CompletionOutput", fake.CompletionOutput([], None)),
        ("logprobs.py", "FlatLogprobs", fake.FlatLogprobs([])),
    ],
)
def test_outputs_have_the_fakes_attributes(vllm: Path, file: str, real: str, ours: Any) -> None:
    assert vars(ours).keys() <= attributes(class_of(vllm / file, real))


# where the engine looks into vLLM, from the root on: what the fake's namespaces stand for
LOOKED_INTO = [
    ("entrypoints/llm.py", "LLM", {"llm_engine"}),
    ("v1/engine/llm_engine.py", "LLMEngine", {"model_executor", "engine_core", "vllm_config"}),
    ("v1/engine/core_client.py", "EngineCoreClient", {"shutdown"}),
    ("v1/executor/uniproc_executor.py", "UniProcExecutor", {"driver_worker"}),
    ("v1/worker/worker_base.py", "WorkerBase", {"get_model"}),
    ("config/vllm.py", "VllmConfig", {"model_config", "compilation_config"}),
    ("config/model.py", "ModelConfig", {"dtype"}),
    ("config/compilation.py", "CompilationConfig", {"mode", "cudagraph_mode", "cudagraph_capture_sizes"}),
    ("config/compilation.py", "CUDAGraphMode", {"FULL_DECODE_ONLY"}),
    ("model_executor/models/registry.py", "_ModelRegistry", {"models", "register_model"}),
    ("model_executor/models/registry.py", "_BaseRegisteredModel", {"load_model_cls"}),
    ("model_executor/models/utils.py", "WeightsMapper", {"get_unstacked_mapper", "_map_name"}),
    ("inputs/engine.py", "TokensInput", {"type", "prompt_token_ids"}),
]


@pytest.mark.parametrize(("file", "name", "wanted"), LOOKED_INTO, ids=[f"{name}" for _, name, _ in LOOKED_INTO])
def test_what_the_engine_looks_into_is_there(vllm: Path, file: str, name: str, wanted: set[str]) -> None:
    assert wanted <= attributes(class_of(vllm / file, name))


def test_a_prompt_of_tokens_is_of_the_type_that_is_given(vllm: Path) -> None:
    types = [
        ast.unparse(node.annotation)
        for node in class_of(vllm / "inputs" / "engine.py", "TokensInput").body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "type"
    ]
    assert types == ["Literal['token']"]


def test_every_option_of_a_start_is_one_of_vllms(vllm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    stand_in = SimpleNamespace(LLM=lambda **options: given.update(options), SamplingParams=fake.SamplingParams)
    monkeypatch.setitem(sys.modules, "vllm", stand_in)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (100 << 30, 140 << 30))
    lora = {"enable_lora": True, "max_loras": 1, "max_cpu_loras": 1, "max_lora_rank": 8}
    start.start("model", None, "bfloat16", 128, start.Work((8,)), 0, lora)
    llm = method(class_of(vllm / "entrypoints" / "llm.py", "LLM"), "__init__")
    assert llm.any_name
    engine = fields(class_of(vllm / "engine" / "arg_utils.py", "EngineArgs"))
    assert given.keys() <= llm.named.keys() | engine.keys()
    compiled = fields(class_of(vllm / "config" / "compilation.py", "CompilationConfig"))
    assert given["compilation_config"].keys() <= compiled.keys()


def test_vllms_own_layers_take_the_ranks_that_are_asked_for(vllm: Path) -> None:
    source = ast.parse((vllm / "config" / "lora.py").read_text(encoding="utf-8"))
    (allowed,) = (
        ast.literal_eval(node.value.slice)
        for node in source.body
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "MaxLoRARanks"
        and isinstance(node.value, ast.Subscript)
    )
    assert set(start._REQUEST_RANKS) <= set(allowed)


@pytest.mark.parametrize("name", ["VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_LOGGING_LEVEL", "VLLM_NO_USAGE_STATS"])
def test_the_environment_that_is_set_is_read(vllm: Path, name: str) -> None:
    assert f'"{name}"' in (vllm / "envs.py").read_text(encoding="utf-8")
