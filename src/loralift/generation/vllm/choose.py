"""Choose the engine, and how vLLM applies adapters, from files and the machine, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM

from loralift.errors import AdapterError, UsageError, wrong_argument
from loralift.generation.adapter import low_rank
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.vllm import start

# Settings of mixture-of-experts models: vLLM fuses their experts into one tensor, into which we cannot merge.
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


_FIRST_GPU = ("auto", "cuda", "cuda:0")


def choose_engine(engine: str, source: BaseModel, infos: Sequence[AdapterInfo], dtype: str, device: str) -> str:
    """``transformers`` or ``vllm``; ``auto`` takes vLLM where it is installed and can run the model as asked.

    Raises:
        MissingExtraError: vLLM was asked for and is not installed.
        UsageError: vLLM was asked for on another device than the first GPU.
    """
    if engine == "vllm":
        start.require_vllm()
        if device not in _FIRST_GPU:
            raise UsageError(wrong_argument("--device", "cuda with --engine vllm (CUDA_VISIBLE_DEVICES=N)", device))
        if what := only_transformers(source):
            raise UsageError(wrong_argument("--engine", f"transformers for {what}", "vllm"))
        return engine
    if engine != "auto" or not start.is_installed() or not torch.cuda.is_available():
        return "transformers"
    if device not in _FIRST_GPU or dtype == "float32" or only_transformers(source):
        return "transformers"
    free, _ = torch.cuda.mem_get_info()
    merged = serving_mode(source, infos, free) == "merged"
    return "vllm" if all(obstacle(info, merged=merged) is None for info in infos) else "transformers"


def only_transformers(source: BaseModel) -> str | None:
    """What of a base only the transformers engine was tested with; None: nothing."""
    if source.is_gguf:
        return "a GGUF file"
    return "a base quantised as it is loaded" if source.quantization and source.quantization.on_load else None


def serving_mode(source: BaseModel, infos: Sequence[AdapterInfo], free: int) -> Literal["merged", "request"]:
    """How vLLM applies adapters: ``merged`` into the weights, or by its own LoRA layers (``request``: LoRARequest).

    Args:
        source: The base.
        infos: Its adapters.
        free: Free bytes on the GPU.
    """
    config = source.config.get_text_config()
    if not infos:
        return "merged"
    if source.quantization or any(getattr(config, name, None) for name in _EXPERTS):
        return "request"
    if any(low_rank.obstacle_to_merging(info) for info in infos):
        return "merged"  # neither works; refuse_unservable then says why it cannot be merged
    kept = low_rank.bytes_touched([low_rank.read_updates(info) for info in infos], 2)
    return "merged" if start.merging_fits(free, 2 * parameters_of(source.config), kept) else "request"


def obstacle(info: AdapterInfo, *, merged: bool) -> str | None:
    """Why vLLM cannot serve an adapter; None where it can."""
    if merged:
        return low_rank.obstacle_to_merging(info)
    if start.request_rank(info.rank or 1) is None:
        return f"rank {info.rank}"
    return low_rank.obstacle_to_request(info)


def refuse_unservable(infos: Sequence[AdapterInfo], *, merged: bool) -> None:
    """Refuse the first adapter that vLLM cannot serve.

    Raises:
        AdapterError: There is one; the message says why.
    """
    for info in infos:
        if why := obstacle(info, merged=merged):
            error = AdapterError(f"`{info.argument}` cannot be served by vLLM: it has {why}; use --engine transformers")
            error.adapter = info.name
            raise error


def parameters_of(config: Any) -> int:
    """How many parameters a model of this configuration has; built on the meta device, without memory."""
    with quiet_loading(), torch.device("meta"):
        return int(AutoModelForCausalLM.from_config(config).num_parameters())
