"""Choose the engine, and how vLLM applies adapters, from files and the machine, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM

from loralift.errors import AdapterError, UsageError, wrong_argument
from loralift.generation.adapter import low_rank
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.expected import expected_seconds
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.transformers_engine import capability
from loralift.generation.vllm import start

# Settings of mixture-of-experts models: vLLM fuses their experts into one tensor, into which we cannot merge.
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


_FIRST_GPU = ("auto", "cuda", "cuda:0")


def choose_engine(
    engine: str,
    source: BaseModel,
    infos: Sequence[AdapterInfo],
    dtype: str,
    device: str,
    work: start.Work | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> str:
    """``transformers`` or ``vllm``; ``auto`` takes the one that is expected to be done sooner with the work.

    Of a machine that cannot run the model by vLLM as asked, or has none, that is transformers; where the work is not
    known, vLLM.

    Args:
        engine: ``auto``, ``transformers`` or ``vllm``.
        source: The base.
        infos: Its adapters.
        dtype: As of `load_transformers`.
        device: Likewise.
        work: What is asked of the engine; None: not known.
        say: Told why vLLM, which could, does not run it.

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
    if not all(obstacle(info, merged=merged) is None for info in infos):
        return "transformers"
    if work is not None and work.tokens and (why := _sooner_without(source, work)):
        say(why)
        return "transformers"
    return "vllm"


def _sooner_without(source: BaseModel, work: start.Work) -> str | None:
    """Why the transformers engine is expected to be done sooner than vLLM; None where it is not."""
    parameters = parameters_of(source.config)
    # the loop's other conditions are of loaded weights, and kept by models of these types but for rare settings
    own_loop = source.config.model_type in capability.TESTED and not source.quantization
    takes = {
        way: expected_seconds(way, parameters, work.tokens) for way in ("vllm", "loop" if own_loop else "generate")
    }
    vllm, transformers = takes.values()
    if vllm < transformers:
        return None
    return (
        f"transformers runs it, expected to need {transformers:.0f} s for at most {work.tokens:,} tokens of answers on "
        f"a card like an H200, and vLLM {vllm:.0f} s, most of them to start; --engine vllm takes vLLM"
    )


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
