"""How a run was made: the fingerprint that a resume checks, and all that is worth knowing besides."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from loralift.config import RunConfig
from loralift.data import LoadedData
from loralift.generation import Description
from loralift.records import Prompt
from loralift.workflow.codec import plain

PACKAGES = (
    *("loralift", "torch", "transformers", "peft", "accelerate", "nemo-evaluator", "sentence-transformers"),
    *("sacrebleu", "rouge-score", "numpy", "scipy"),
)


def fingerprint(config: RunConfig, data: LoadedData, prompts: Sequence[Prompt], model: Description) -> dict[str, Any]:
    """Everything that decides what the answers are: a resume reuses answers only if all of it is the same.

    The batch size is left out: it changes how fast the answers come, and a run that ran out of memory must be able to
    go on with a smaller one.

    Args:
        config: The run's configuration.
        data: The questions.
        prompts: The rendered prompts, whose token ids are hashed.
        model: What answers: the base, the adapters' hashes, the engine and its numerics.
    """
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(f"{prompt.id}\0{','.join(map(str, prompt.token_ids))}\n".encode())
    settings = ("max_new_tokens", "temperature", "top_p", "stop", "seed")
    document = {
        **model.identity,
        "numerics": model.numerics,
        "data": {"sha256": data.sha256, "rows": len(data.questions)},
        "prompt": {"token_ids_sha256": digest.hexdigest(), "example": prompts[0].text},
        "generation": {name: getattr(config, name) for name in settings},
    }
    made: dict[str, Any] = plain(document)
    return made


def versions() -> dict[str, str]:
    """The versions of the packages that make a result what it is."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware(information: Mapping[str, Any]) -> dict[str, Any]:
    """The machine, as far as it matters: processor, cores, and what the generator says of its device."""
    described: dict[str, Any] = {"system": platform.platform(), "cores": os.cpu_count() or 1}
    return described | dict(information)


def git_revision() -> str | None:
    """The commit of the working directory's repository, marked where it has changes; None outside of one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            cwd=Path.cwd(),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
