"""What is made once a session and read by every worker: models, the finished demo."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first worker to ask fills while the others wait; nobody may write to it afterwards.

    Args:
        factory: Its base is this worker's own; the folder above it belongs to the session.
        name: Of the folder.
        make: Fills it; where that fails the next one to ask tries again.
    """
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = root / "shared" / name
    done = folder.with_name(f"{name}.done")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{name}.lock")):
        if not done.exists():
            shutil.rmtree(folder)  # what one that failed left
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
