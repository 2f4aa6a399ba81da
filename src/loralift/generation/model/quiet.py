"""Silence transformers and PEFT while loading; what their warnings are about is checked here and raised as errors."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers import dynamic_module_utils
from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_loading() -> Iterator[None]:
    """No progress bars, no load reports, no PEFT warnings that LoraLift's own checks replace, and no question.

    transformers asks on the terminal whether to run a stranger's code; with no time to answer it is not run.
    """
    patience, dynamic_module_utils.TIME_OUT_REMOTE_CODE = dynamic_module_utils.TIME_OUT_REMOTE_CODE, 0
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        # the reader of GGUF files has a bar of its own, which nothing turns off
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            # a setting of a newer PEFT: AdapterInfo.ignored_settings lists it
            warnings.filterwarnings("ignore", message="Unexpected keyword arguments", category=UserWarning)
            # missing keys: check_fit refuses them before loading, verify_loaded after
            warnings.filterwarnings("ignore", message="Found missing adapter keys", category=UserWarning)
            # an adapter trained with lora_bias: it is never merged here, and check_fit compares its shapes
            warnings.filterwarnings("ignore", message="`lora_bias=True` was passed", category=UserWarning)
            warnings.filterwarnings("ignore", message="Adapter .* have invalid shape", category=UserWarning)
            # an adapter on tied embeddings: verify_base_weights checks that the base's own are unchanged
            warnings.filterwarnings("ignore", message=".*tie_word_embeddings", category=UserWarning)
            # peft 0.21 reads a property of transformers 5.23 by its old name
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning
            )
            yield
    finally:
        dynamic_module_utils.TIME_OUT_REMOTE_CODE = patience
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
