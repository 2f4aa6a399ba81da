"""Start a vLLM engine for a given amount of work: environment variables, memory, CUDA graphs, torch.compile."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from loralift.errors import MissingExtraError, UsageError, wrong_argument
from loralift.generation.model.base_model import BaseModel
from loralift.versions import refuse_untested

MOST_ROWS = 1024
"""Most rows that are generated at once: with more an H200 is bound by arithmetic and gains nothing."""

LONGEST = 8192
"""Most tokens of a prompt with its answer. vLLM reserves memory and plans its kernels for the longest."""

COMPILE_FROM = 60_000
"""Number of answers, of all variants together, from which torch.compile may gain more time than it takes.

On an H200, with an 8B model and 648 rows, the kernels that it can fuse take 1.2 ms of a step's 24.6, and compiling
takes 36 s: as long as 5 % of 60,000 answers of 256 tokens.
"""

STREAM_INTERVAL = 8
"""Tokens between two outputs of a row; each output costs time in Python."""

# Bytes of GPU memory for all but weights and KV cache: CUDA's own, graphs, workspaces, sums in float32 while merging.
_RESERVE = 4 << 30

# The values that vLLM allows for max_lora_rank.
_REQUEST_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True, slots=True)
class Work:
    """How much is asked of an engine.

    Attributes:
        calls: How many prompts each call of ``generate`` has; empty where that is not known.
        variants: How many variants answer them.
        gpus: How many hold the base together, each a part of every layer (tensor parallelism).
        new_tokens: Most tokens of an answer; 0 where that is not known.
    """

    calls: Sequence[int] = ()
    variants: int = 1
    gpus: int = 1
    new_tokens: int = 0

    @property
    def at_once(self) -> int:
        """Most rows that are generated at once."""
        return min(max(self.calls, default=MOST_ROWS), MOST_ROWS)

    @property
    def answers(self) -> int:
        """Answers of all variants and calls together."""
        return sum(self.calls) * self.variants

    @property
    def tokens(self) -> int:
        """Most tokens of all answers together; 0 where that is not known."""
        return self.answers * self.new_tokens


def capture_sizes(rows: int) -> list[int]:
    """Batch sizes for which CUDA graphs are recorded.

    The largest is the number of running rows, since a step is padded to its graph's size and costs as much. The others
    are half, a quarter and an eighth of it, and 8, for the end of a call, when few rows are left.
    """
    largest = max(math.ceil(rows / 8) * 8, 16)
    halves = [math.ceil(largest / part / 8) * 8 for part in (1, 2, 4, 8)]
    return sorted({*halves, 8})


def compilation(work: Work) -> dict[str, Any]:
    """The ``compilation_config`` of vLLM: a few CUDA graphs without torch.compile, or its full one for much work."""
    if work.answers >= COMPILE_FROM:
        return {"mode": 3}
    return {
        "mode": 0,
        "cudagraph_mode": "FULL_DECODE_ONLY",
        "cudagraph_capture_sizes": capture_sizes(work.at_once),
    }


def memory_share(free: int, total: int, kept: int) -> float:
    """The share of a GPU's memory that vLLM may take for weights, activations and KV cache, in [0, 1].

    Args:
        free: Free bytes.
        total: All bytes of the GPU.
        kept: Bytes of the copies of the base's weights that merging needs.
    """
    return max((free - kept - _RESERVE) / total, 0.0)


def merging_fits(free: int, weights: int, kept: int) -> bool:
    """Whether ``kept`` bytes of copies leave room for the weights, and for a KV cache of a third of their size."""
    return weights + weights // 3 + kept + _RESERVE <= free


def request_rank(rank: int) -> int | None:
    """The smallest ``max_lora_rank`` that holds an adapter of this rank; None where it is too large."""
    return next((allowed for allowed in _REQUEST_RANKS if allowed >= rank), None)


def require_vllm() -> None:
    """Check that vLLM is installed and has a GPU; sets its environment variables to run in this process and quietly.

    Raises:
        MissingExtraError: It is not installed.
        VersionError: It is of a version that was not tested.
        UsageError: There is no GPU.
    """
    if not is_installed():
        raise MissingExtraError("`--engine vllm`", "vllm")
    refuse_untested(("vllm",))
    if not torch.cuda.is_available():
        raise UsageError(wrong_argument("--engine", "transformers where torch finds no CUDA GPU", "vllm"))
    for name, value in (
        ("VLLM_ENABLE_V1_MULTIPROCESSING", "0"),  # the weights are changed here, not in another process
        ("VLLM_LOGGING_LEVEL", "ERROR"),
        ("VLLM_NO_USAGE_STATS", "1"),
    ):
        os.environ.setdefault(name, value)


def refuse_more_than_there_are(gpus: int) -> None:
    """Refuse a tensor parallelism over more GPUs than torch finds.

    Raises:
        UsageError: It is.
    """
    if gpus > 1 and gpus > (there := torch.cuda.device_count()):
        raise UsageError(wrong_argument("--tensor-parallel", f"at most the {there} GPUs that torch finds here", gpus))


def is_installed() -> bool:
    """Whether vLLM is installed; it is not imported, which takes many seconds."""
    return find_spec("vllm") is not None


@contextlib.contextmanager
def quick_start() -> Iterator[None]:
    """While vLLM starts: no progress bars, and a sampler warm-up without features that are not used.

    vLLM warms its sampler up with every feature at once (penalties, bad words, top-k and more), whose Triton kernels
    take 8 to 14 s to compile on an H200; greedy decoding needs none of them, and sampling compiles its own when first
    used.
    """
    from vllm import SamplingParams

    own = SamplingParams.__dict__.get("for_sampler_warmup")
    if own is not None:  # other versions warm up differently; nothing is changed there
        SamplingParams.for_sampler_warmup = staticmethod(_greedy)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        if own is not None:
            SamplingParams.for_sampler_warmup = own


def _greedy() -> Any:
    from vllm import SamplingParams

    return SamplingParams(temperature=0.0, ignore_eos=True, detokenize=False)


def know_model(architectures: Sequence[str] | None) -> None:
    """Register the imported model class with vLLM, which would otherwise inspect it in another Python process (15 s).

    vLLM does so to keep CUDA out of a process that may fork; this one does not fork.
    """
    from vllm import ModelRegistry

    for name in architectures or ():
        entry = ModelRegistry.models.get(name)
        if entry is not None:
            ModelRegistry.register_model(name, entry.load_model_cls())


def start(source: BaseModel, dtype: str, window: int, work: Work, kept: int, more: Any) -> Any:
    """Start vLLM's ``LLM`` with the base's weights.

    Args:
        source: The base.
        dtype: ``bfloat16`` or ``float16``.
        window: Most tokens of a prompt with its answer.
        work: How much will be asked.
        kept: Bytes to leave free for copies of the base's weights.
        more: Further arguments of vLLM's ``LLM``.
    """
    from vllm import LLM

    free, total = torch.cuda.mem_get_info()
    options = {
        "model": source.place,
        "revision": source.revision,
        "trust_remote_code": source.trusts_code,
        "dtype": dtype,
        "seed": 0,
        "skip_tokenizer_init": True,
        "generation_config": "vllm",  # vLLM's defaults, not the sampling that the model's makers recommend
        "max_model_len": window,
        "max_num_seqs": max(capture_sizes(work.at_once)),
        "gpu_memory_utilization": min(memory_share(free, total, kept), 0.95),
        # one variant's KV cache must never be used for another's answers
        "enable_prefix_caching": False,
        "max_logprobs": -1,
        "compilation_config": compilation(work),
        "stream_interval": STREAM_INTERVAL,
        "tensor_parallel_size": work.gpus,
        "use_tqdm_on_load": False,
        "disable_log_stats": True,
    }
    with quick_start():
        return LLM(**(options | more))
