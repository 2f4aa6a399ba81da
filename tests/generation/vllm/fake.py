"""The few names of vLLM that the engine uses, on a transformers model: one token a step for every running request.

Outputs are as vLLM's: token ids as a delta, a flat list of log-probabilities, the stopping token among the tokens.
`test_fake.py` compares every name and call with vLLM's own, where that is installed.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from loralift.generation.vllm import load as vllm_load
from loralift.generation.vllm import start as vllm_start
from loralift.generation.vllm.start import Work


class RequestOutputKind(enum.Enum):
    DELTA = 1


@dataclass
class SamplingParams:
    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    detokenize: bool = True
    output_kind: Any = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    flat_logprobs: bool = False


@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str = ""


class FlatLogprobs:
    def __init__(self, logprobs: list[float], token_ids: Sequence[int] = ()) -> None:
        self.logprobs = logprobs
        self.token_ids = token_ids

    def __len__(self) -> int:
        """Positions: of a prompt's the first too, which has no probability."""
        return len(self.logprobs) + 1


@dataclass
class CompletionOutput:
    token_ids: list[int]
    logprobs: FlatLogprobs | None


@dataclass
class RequestOutput:
    request_id: str
    prompt_logprobs: FlatLogprobs | None
    outputs: list[CompletionOutput]
    finished: bool


@dataclass
class Running:
    prompt: list[int]
    params: SamplingParams
    lora: Any
    made: list[int] = field(default_factory=list)
    sent: int = 0


class FakeEngine:
    """In place of vLLM's ``LLMEngine``."""

    def __init__(self, model: Any, interval: int) -> None:
        self.model = model
        self.interval = interval
        self.running: dict[str, Running] = {}
        self.most_at_once = 0
        self.aborted: list[str] = []
        self.shut = False
        self.model_executor = SimpleNamespace(driver_worker=SimpleNamespace(get_model=lambda: self.model))
        self.engine_core = SimpleNamespace(shutdown=lambda: setattr(self, "shut", True))
        self.vllm_config = SimpleNamespace(
            model_config=SimpleNamespace(dtype=model.dtype),
            compilation_config=SimpleNamespace(mode=0, cudagraph_capture_sizes=[8, 16]),
            parallel_config=SimpleNamespace(tensor_parallel_size=1),
        )

    def add_request(
        self, request_id: str, prompt: Any, params: SamplingParams, *, lora_request: LoRARequest | None = None
    ) -> None:
        assert params.ignore_eos
        assert not params.detokenize
        assert prompt["type"] == "token"
        self.running[request_id] = Running(prompt["prompt_token_ids"], params, lora_request)
        self.most_at_once = max(self.most_at_once, len(self.running))

    def has_unfinished_requests(self) -> bool:
        return bool(self.running)

    def abort_request(self, request_ids: list[str]) -> None:
        self.aborted += request_ids
        for key in request_ids:
            self.running.pop(key, None)

    def step(self) -> list[Any]:
        return [output for key in list(self.running) if (output := self._one(key)) is not None]

    def _one(self, key: str) -> Any:
        row = self.running[key]
        with torch.inference_mode():
            logits = self.model(input_ids=torch.tensor([row.prompt + row.made])).logits[0].float()
        scores = logits.log_softmax(-1)
        row.made.append(int(scores[-1].argmax()))
        finished = row.made[-1] in (row.params.stop_token_ids or ()) or len(row.made) == row.params.max_tokens
        if not (finished or row.sent == 0 or len(row.made) - row.sent >= self.interval):
            return None
        delta, row.sent = row.made[row.sent :], len(row.made)
        logprobs = prompt_logprobs = None
        if row.params.logprobs == -1:
            order = scores[-1].argsort(descending=True).tolist()
            ids = [row.made[0], *order]
            logprobs = FlatLogprobs([float(scores[-1][token]) for token in ids], ids)
        if row.params.prompt_logprobs == 0:
            found = [float(scores[place, token]) for place, token in enumerate(row.prompt[1:])]
            prompt_logprobs = FlatLogprobs(found)
        if finished:
            del self.running[key]
        return RequestOutput(key, prompt_logprobs, [CompletionOutput(delta, logprobs)], finished)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """vLLM and a GPU, as far as the engine looks."""
    vllm, parameters, lora = ModuleType("vllm"), ModuleType("vllm.sampling_params"), ModuleType("vllm.lora.request")
    vllm.SamplingParams = SamplingParams  # type: ignore[attr-defined]
    parameters.RequestOutputKind = RequestOutputKind  # type: ignore[attr-defined]
    lora.LoRARequest = LoRARequest  # type: ignore[attr-defined]
    for module in (vllm, parameters, lora):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(vllm_start, "is_installed", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (100 << 30, 140 << 30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "fake")
    monkeypatch.setattr(vllm_load, "choose_dtype", lambda dtype, device: torch.bfloat16)

    started: dict[str, Any] = {}

    def start(source: Any, dtype: str, window: int, work: Work, kept: int, more: Any) -> Any:
        model = AutoModelForCausalLM.from_pretrained(source.place, dtype=torch.float32)
        started.update(dtype=dtype, window=window, work=work, kept=kept, more=more)
        return SimpleNamespace(llm_engine=FakeEngine(model, interval=5))

    monkeypatch.setattr(vllm_start, "start", start)
    vllm.ModelRegistry = SimpleNamespace(models={})  # type: ignore[attr-defined]
    return started
