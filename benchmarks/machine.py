"""What a measurement was made on, for its results."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

VERSIONS = ("loralift", "torch", "transformers", "peft", "sentence-transformers", "rouge-score", "sacrebleu", "numpy")


def describe() -> dict[str, str | int | float]:
    """Processor, cores, memory (GiB) and system of this machine."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "os": platform.platform(),
        "python": platform.python_version(),
    }


def load() -> float:
    """Processes that wanted a core in the last minute, on average: a busy machine measures its neighbours."""
    return round(os.getloadavg()[0], 2)


def versions(names: Sequence[str] = VERSIONS) -> dict[str, str]:
    """What is installed beside us."""
    return {name: importlib.metadata.version(name) for name in names}


def versions_in(python: Path, names: Sequence[str]) -> dict[str, str]:
    """What is installed in another environment."""
    script = f"import importlib.metadata as m; print(*(m.version(name) for name in {list(names)!r}))"
    printed = subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout
    return dict(zip(names, printed.split(), strict=True))


def _cpu() -> str:
    """The processor's name; Linux alone says more than its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
