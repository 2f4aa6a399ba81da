"""Loading what a stranger made, by transformers, PEFT or torch: none of its code runs, and any failure is one line."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager

from loralift.errors import first_line
from loralift.generation.model.quiet import quiet_loading
from loralift.reading import ErrorClass, failing, reason_of

NO_CODE = {"trust_remote_code": False}
"""Given to every ``from_pretrained``: by default transformers asks on the terminal, and after a y runs the code."""

OWN_CODE = (
    "it needs code of its own, which LoraLift does not run: if you have read it and trust it, add --trust-remote-code, "
    "which is for base models; or give its answers to `loralift compare`"
)
CODE_FOR_WEIGHTS = "it holds code, not weights: do not load it with any tool; ask for its weights as safetensors"


@contextmanager
def loading(what: str, error: ErrorClass, remedy: str = "") -> Iterator[None]:
    """Load quietly, and turn any failure inside into an error of ours, in one line.

    Args:
        what: The beginning of the message, e.g. ``the tokenizer of X cannot be loaded``.
        error: The class to raise.
        remedy: What to do, said behind the reason.

    Raises:
        LoraLiftError: ``error``; errors of ours from inside pass as they are.
    """
    with failing(what, error, remedy, why_not_loaded), quiet_loading():
        yield


def why_not_loaded(cause: Exception) -> str:
    """Why a library could not load something, without its advice to trust a stranger.

    >>> why_not_loaded(ValueError("Please pass the argument `trust_remote_code=True`")) == OWN_CODE
    True
    """
    text = str(cause)
    if "trust_remote_code" in text or "TRUST_REMOTE_CODE" in text:
        return OWN_CODE
    if isinstance(cause, pickle.UnpicklingError) or "weights_only" in text or "Weights only load failed" in text:
        return CODE_FOR_WEIGHTS if "nsupported" in text else "it is a corrupt pickle; fetch or save it again"
    if "Validation error for" in first_line(cause):  # huggingface_hub's, whose second line says what is wrong
        return " ".join(text.split())
    return reason_of(cause)
