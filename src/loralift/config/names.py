"""Names that become folders of a run: adapters, further data sets and protocols."""

from __future__ import annotations

import re

from loralift.records import BASE

# An adapter's name becomes a folder and the start of a file name of the run directory.
ADAPTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED_NAMES = frozenset({BASE, "baseline", "nemo", "charts", "also", "base-again", "protocols", "judge"})
_RUN_FILES = re.compile(r"(run|comparison|report)\.json|dataset\.jsonl|report\.(html|md)|.*_results\.json")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""What Windows takes for a device, whatever the suffix."""

TASKS = "lm-eval:"
"""How a further data set begins that is a task of lm-evaluation-harness."""

USABLE_NAMES = (
    "a name of at most 100 letters, digits, '.', '_' or '-' that is none of "
    + ", ".join(sorted(RESERVED_NAMES))
    + ", no file of a run (run.json, report.html, x_results.json) and no device of Windows (con, nul, com1)"
)


def is_usable(name: str) -> bool:
    """Whether an adapter, a data set or a protocol can be called so: its folder and files hide no others, anywhere."""
    folder = folder_of(name)
    taken = folder in RESERVED_NAMES or _RUN_FILES.fullmatch(folder) or _DEVICES.fullmatch(folder)
    return bool(ADAPTER_NAME.fullmatch(name)) and not taken


def folder_of(name: str) -> str:
    """The folder that a name becomes on macOS and Windows: no case, and on Windows no dot at its end."""
    return name.lower().rstrip(".")
