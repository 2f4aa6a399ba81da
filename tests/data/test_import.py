"""The room opens at once: what is heavy is imported by the one function that needs it."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys, loralift; before = set(sys.modules); import loralift.data; "
        "print(*({'datasets', 'pyarrow', 'pandas', 'numpy', 'huggingface_hub', 'torch'} & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""
