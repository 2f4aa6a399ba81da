"""What neural metrics share: the device, loading without noise, and windows in place of truncation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from loralift.errors import ModelError, UsageError, wrong_argument
from loralift.metrics.base import MetricSettings


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a text as the model's token ids.

    Attributes:
        inputs: The model's inputs by name (``input_ids``, ``attention_mask`` ...), special tokens included.
        special: For each position whether it is a special token, which the text does not have.
    """

    inputs: dict[str, list[int]]
    special: tuple[bool, ...]

    @property
    def tokens(self) -> int:
        """Tokens of the text itself."""
        return len(self.special) - sum(self.special)


def cut(tokenizer: Any, texts: Sequence[str], window: int) -> list[list[Window]]:
    """Cuts texts into windows of token ids: one where a text fits, else as many as it takes; no token is lost.

    Args:
        tokenizer: A fast tokenizer of transformers.
        texts: Any texts, empty ones too.
        window: Tokens that the model takes at a time, special tokens included.

    Returns:
        The windows of each text, in order.

    Raises:
        ModelError: If the tokenizer is a slow one, which cannot cut.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{type(tokenizer).__name__} cannot cut long texts: take a model with a fast tokenizer")
    encoded = tokenizer(
        [well_formed(text) for text in texts],
        truncation=True,
        max_length=window,
        return_overflowing_tokens=True,
        return_special_tokens_mask=True,
    )
    names = [name for name in tokenizer.model_input_names if name in encoded]
    windows: list[list[Window]] = [[] for _ in texts]
    for i, text in enumerate(encoded["overflow_to_sample_mapping"]):
        special = tuple(mark == 1 for mark in encoded["special_tokens_mask"][i])
        windows[text].append(Window({name: encoded[name][i] for name in names}, special))
    return windows


def well_formed(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which JSON can carry into a text and no tokenizer takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def batches(windows: Sequence[Window], size: int) -> Iterator[list[int]]:
    """Indices of windows, ``size`` at a time, the longest first: little padding, and memory runs out early or never."""
    order = sorted(range(len(windows)), key=lambda i: -len(windows[i].special))
    for start in range(0, len(order), size):
        yield order[start : start + size]


_DEVICE = re.compile(r"cpu|mps|cuda(:[0-9]{1,3})?")


def device_of(settings: MetricSettings) -> str:
    """The device that the settings name, else CUDA where there is one, else the CPU.

    Raises:
        UsageError: They name none that there is, or CUDA where torch sees no GPU.
    """
    import torch

    if settings.device is not None and _DEVICE.fullmatch(settings.device) is None:
        raise UsageError(wrong_argument("--device", "cpu, cuda, cuda:N or mps", settings.device))
    if settings.device and settings.device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(wrong_argument("--device", "cpu where torch sees no CUDA GPU", settings.device))
    return settings.device or ("cuda" if torch.cuda.is_available() else "cpu")


OWN_CODE = "it needs code of its own, which LoraLift does not run"


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers from drawing progress bars, logging warnings and asking; afterwards all is as it was.

    It asks on the terminal whether to run a model's own code, and runs it after a "y". With no time to answer it is
    refused instead; bert_score takes no ``trust_remote_code``.
    """
    from transformers import dynamic_module_utils
    from transformers.utils import logging

    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    patience, dynamic_module_utils.TIME_OUT_REMOTE_CODE = dynamic_module_utils.TIME_OUT_REMOTE_CODE, 0
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        dynamic_module_utils.TIME_OUT_REMOTE_CODE = patience
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
