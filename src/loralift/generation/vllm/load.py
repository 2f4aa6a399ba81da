"""Load a base and its adapters into one vLLM engine, and switch between them."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from transformers import GenerationConfig

from loralift.errors import ModelError, UsageError, about_adapter, wrong_argument
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.adapter.low_rank import LowRank, bytes_touched, read_updates
from loralift.generation.base import Description
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.ends import named_ends
from loralift.generation.model.loading import loading, why_not_loaded
from loralift.generation.model.tokenization import Texts
from loralift.generation.transformers_engine.describe import _describe_adapter
from loralift.generation.transformers_engine.load import choose_dtype, eos_tokens, load_tokenizer
from loralift.generation.vllm import start
from loralift.generation.vllm.choose import parameters_of, refuse_unservable, serving_mode
from loralift.generation.vllm.start import Work
from loralift.generation.vllm.weights import SwitchedWeights
from loralift.records import BASE


@dataclass
class Engine:
    """A vLLM engine with a base and its adapters.

    Attributes:
        source: The base as it was found.
        adapters: What each is, by its name.
        text: The base's tokenizer, which encodes prompts and decodes answers.
        llm: vLLM's ``LLM``.
        window: Most tokens of a prompt with its answer.
        weights: Merges adapters into the weights; None where vLLM's own LoRA layers apply them.
        updates: Each merged adapter's updates, by the names of transformers' modules.
        seconds: What starting took, by stage.
    """

    source: BaseModel
    adapters: Mapping[str, AdapterInfo]
    text: Texts
    llm: Any
    window: int
    weights: SwitchedWeights | None
    updates: Mapping[str, Mapping[str, LowRank]]
    seconds: Mapping[str, float]
    _variant: str = field(default=BASE, init=False)

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        return self.text.tokenizer

    @property
    def gpus(self) -> int:
        """How many hold the base together."""
        return int(self.llm.llm_engine.vllm_config.parallel_config.tensor_parallel_size)

    @property
    def model(self) -> Any:
        """The torch module of vLLM's model; None where several GPUs hold it, each in a process of its own."""
        return self.llm.llm_engine.model_executor.driver_worker.get_model() if self.gpus == 1 else None

    def switch(self, variant: str) -> Any:
        """Switch to a variant: merges its weights and returns None, or returns vLLM's ``LoRARequest`` for it."""
        if self.weights is None:
            return None if variant == BASE else self._request(variant)
        if variant != self._variant:
            self._variant = BASE  # so that after an error the next call restores the base's weights first
            self.weights.restore()
            if variant != BASE:
                self.weights.merge(self.adapters[variant].argument, self.updates[variant])
                self._variant = variant
        return None

    def params(self, **settings: Any) -> Any:
        """Make vLLM's ``SamplingParams``: token ids only, greedy and not ended by EOS unless ``settings`` say so."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        plain = {"temperature": 0.0, "ignore_eos": True, "detokenize": False, "output_kind": RequestOutputKind.DELTA}
        return SamplingParams(**(plain | settings))

    def describe(self) -> Description:
        """What makes the answers, in plain values."""
        config = self.llm.llm_engine.vllm_config
        compilation = config.compilation_config
        return Description(
            identity={
                "base": self.source.identity,
                "adapters": {name: info.sha256 for name, info in self.adapters.items()},
            },
            numerics={
                "engine": "vllm",
                "vllm": _version("vllm"),
                "torch": torch.__version__,
                "transformers": _version("transformers"),
                "dtype": str(config.model_config.dtype).removeprefix("torch."),
                "device": "cuda",
                "attention": _attention(self.model) if self.model is not None else "of the workers",
                "compilation": int(compilation.mode),
                "adapters_act": "merged" if self.weights is not None else "LoRARequest",
                **({"tensor_parallel": self.gpus} if self.gpus > 1 else {}),
                **named_ends(self.source.ends, self.text.eos),
            },
            information={
                "model": self.source.source,
                "revision": self.source.revision,
                **_size(self.model, self.source),
                "context_window": self.window,
                "model_window": _own_window(self.source),
                "eos_token_ids": list(self.text.eos),
                "device_name": torch.cuda.get_device_name(),
                "threads": torch.get_num_threads(),
                "cuda_graphs": [int(size) for size in compilation.cudagraph_capture_sizes or ()],
                "start_seconds": dict(self.seconds),
                "merging_lost": dict(self.weights.rounding) if self.weights is not None else {},
                "adapters": {name: _describe_adapter(info) for name, info in self.adapters.items()},
            },
        )

    def _request(self, name: str) -> Any:
        from vllm.lora.request import LoRARequest

        return LoRARequest(name, list(self.adapters).index(name) + 1, self.adapters[name].path)


def load_engine(
    source: BaseModel,
    infos: Sequence[AdapterInfo],
    dtype: str,
    work: Work,
    *,
    merged: bool | None = None,
    **more: Any,
) -> Engine:
    """Start vLLM with a base, and prepare its adapters.

    Args:
        source: The base.
        infos: The adapters.
        dtype: ``auto``, ``bfloat16`` or ``float16``.
        work: What will be asked.
        merged: Whether adapters are merged, or applied by vLLM's own LoRA layers; None: as ``serving_mode`` says.
        more: Further arguments of vLLM's ``LLM``.

    Raises:
        MissingExtraError: vLLM is not installed.
        ModelError: vLLM cannot load the base.
        AdapterError: vLLM cannot serve an adapter.
        UsageError: ``dtype`` is float32 or unknown, or two adapters share a name.
    """
    start.require_vllm()
    start.refuse_more_than_there_are(work.gpus)
    names = [info.name for info in infos]
    if len(set(names)) < len(names):
        raise UsageError(wrong_argument("--adapter", "given once for each name", ", ".join(names)))
    chosen = choose_dtype(dtype, torch.device("cuda"))
    if chosen == torch.float32:
        raise UsageError(wrong_argument("--dtype", "bfloat16 or float16 with --engine vllm", dtype))
    began = time.perf_counter()
    merged = _merges(source, infos, work) if merged is None else merged
    refuse_unservable(infos, merged=merged)
    updates = {info.name: read_updates(info) for info in infos} if merged else {}
    kept = bytes_touched(list(updates.values()), chosen.itemsize)
    tokenizer = load_tokenizer(source)
    text = Texts(tokenizer, _eos(source, tokenizer))
    window = min(start.LONGEST, _own_window(source) or start.LONGEST)
    prepared = time.perf_counter()
    import vllm  # noqa: F401  # takes many seconds, measured apart from the engine's start

    imported = time.perf_counter()
    options = _lora_options(infos) if infos and not merged else {}
    llm = _start(source, str(chosen).removeprefix("torch."), window, work, kept, options | more)
    started = time.perf_counter()
    seconds = {"prepare": prepared - began, "import vllm": imported - prepared, "engine": started - imported}
    engine = Engine(source, {info.name: info for info in infos}, text, llm, window, None, updates, seconds)
    if merged:
        engine.weights = SwitchedWeights(engine.model)
        for info in infos:
            with about_adapter(info.name):
                engine.weights.locate(info.argument, updates[info.name])
    return engine


def _merges(source: BaseModel, infos: Sequence[AdapterInfo], work: Work) -> bool:
    """Whether adapters are merged; not with several GPUs, which hold the weights in processes of their own."""
    free, _ = torch.cuda.mem_get_info()
    return work.gpus == 1 and serving_mode(source, infos, free) == "merged"


def release(llm: Any) -> None:
    """Shut an engine down and free its GPU memory."""
    llm.llm_engine.engine_core.shutdown()
    gc.collect()
    torch.cuda.empty_cache()


def _start(source: BaseModel, dtype: str, window: int, work: Work, kept: int, options: Mapping[str, Any]) -> Any:
    try:
        start.know_model(source.config.architectures)
        return start.start(source, dtype, window, work, kept, options)
    except torch.OutOfMemoryError as cause:
        raise ModelError(f"memory ran out while vLLM loaded {source.source}: use --engine transformers") from cause
    except Exception as cause:
        why = why_not_loaded(cause)
        raise ModelError(f"vLLM cannot load {source.source}: {why}; use --engine transformers") from cause


def _lora_options(infos: Sequence[AdapterInfo]) -> dict[str, Any]:
    rank = start.request_rank(max(info.rank or 1 for info in infos))
    return {"enable_lora": True, "max_loras": 1, "max_cpu_loras": len(infos), "max_lora_rank": rank}


def _eos(source: BaseModel, tokenizer: Any) -> tuple[int, ...]:
    rows = source.config.get_text_config().vocab_size
    return eos_tokens(source, _generation_config(source), tokenizer, rows)


def _generation_config(source: BaseModel) -> Any:
    """The model's generation config, which lists the tokens that end an answer."""
    with loading(f"the generation_config.json of {source.source} cannot be read", ModelError):
        try:
            return GenerationConfig.from_pretrained(source.place, revision=source.revision)
        except OSError:
            return GenerationConfig.from_model_config(source.config)


def _own_window(source: BaseModel) -> int | None:
    """The model's context window in tokens, ``max_position_embeddings``; None where it has no such limit."""
    return getattr(source.config.get_text_config(), "max_position_embeddings", None)


def _size(model: Any, source: BaseModel) -> dict[str, Any]:
    """The class of a model and its parameters; where its weights are spread over processes, by its configuration."""
    if model is None:
        return {
            "model_class": (source.config.architectures or [None])[0],
            "parameters": parameters_of(source.config),
        }
    return {
        "model_class": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def _attention(model: Any) -> str:
    backends = (getattr(module, "attn_backend", None) for module in model.modules())
    return next((str(backend.get_name()) for backend in backends if backend is not None), "unknown")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
