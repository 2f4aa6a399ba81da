"""Executes a notebook from scratch and saves it with its outputs: ``run_notebook.py NOTEBOOK``."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

# the same on every machine: no hub, no GPU, no colours in the outputs
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "NO_COLOR": "1"}


class ThisInterpreter(AsyncKernelManager):
    """Starts the kernel with the interpreter that runs this, whatever the machine has installed as ``python3``."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel to start."""
        return KernelSpec(**get_kernel_dict())


def execute(content: Any, folder: Path, timeout: float = 3600.0, environment: Mapping[str, str] = ENVIRONMENT) -> Any:
    """Execute a notebook in a fresh kernel.

    Args:
        content: The notebook as nbformat reads it; its outputs are replaced.
        folder: Where it runs: what it writes to relative paths comes there.
        timeout: Of each cell, in seconds.
        environment: Variables for the kernel besides those of this process.

    Returns:
        The notebook with its outputs.

    Raises:
        CellExecutionError: A cell failed; the message holds its traceback.
    """
    client = NotebookClient(
        content,
        kernel_manager_class=ThisInterpreter,
        timeout=timeout,
        coalesce_streams=True,
        record_timing=False,  # times of each cell would change the file with every execution
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute(env={**os.environ, **environment})


def hash_code(notebook: Any) -> str:
    """SHA-256 of the code cells: outputs belong to the code that made them, and to no other."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


def main(notebook: Path) -> None:
    """Execute a notebook in an empty folder and save it with its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        executed = execute(nbformat.read(notebook, as_version=4), Path(folder))  # type: ignore[no-untyped-call]
    executed.metadata["language_info"] = {"name": "python"}  # without the version, which is this machine's
    executed.metadata["executed_code_sha256"] = hash_code(executed)
    nbformat.write(executed, notebook)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
