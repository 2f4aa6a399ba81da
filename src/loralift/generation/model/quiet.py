"""Loading without noise: what transformers would print is checked and raised instead."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_loading() -> Iterator[None]:
    """No progress bars, no load reports, no PEFT remarks that LoraLift's own checks replace."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # a setting of a newer PEFT: adapters.ignored_settings tells it
            warnings.filterwarnings("ignore", message="Unexpected keyword arguments", category=UserWarning)
            # PEFT remarks on missing keys, which fit.py refuses before and verify_loaded after loading
            warnings.filterwarnings("ignore", message="Found missing adapter keys", category=UserWarning)
            # an adapter trained with lora_bias: it is not merged here, and fit.py knows its shapes better
            warnings.filterwarnings("ignore", message="`lora_bias=True` was passed", category=UserWarning)
            warnings.filterwarnings("ignore", message="Adapter .* have invalid shape", category=UserWarning)
            # an adapter that saves embeddings tied to the output: its base's are not touched, which loading.py proves
            warnings.filterwarnings("ignore", message=".*tie_word_embeddings", category=UserWarning)
            # peft 0.21 asks transformers 5.23 for a property by its old name
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning
            )
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
