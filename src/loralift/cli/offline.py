"""`--offline`: nothing but what is on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

OFFLINE = {
    **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"), "1"),
    **dict.fromkeys(("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"), "1"),
}
"""What keeps the libraries from the network; they read it when they are imported, and so do child processes."""


def offline_option[Command: Callable[..., Any]](command: Command) -> Command:
    """Give a command `--offline`, which acts before anything is imported that could reach a network."""
    option = click.option(
        "--offline",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_stay_offline,
        help="Reach no network: only files that are here, and what the hub's cache holds.",
    )
    return option(command)


def offline_asked() -> bool:
    """Whether the command that runs was given `--offline`."""
    return click.get_current_context().get_parameter_source("offline") == ParameterSource.COMMANDLINE


def _stay_offline(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    del context, parameter
    if not given:
        return
    os.environ.update(OFFLINE)
    for name in ("huggingface_hub.constants", "datasets.config"):
        if name in sys.modules:  # a process that ran another command before
            sys.modules[name].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
