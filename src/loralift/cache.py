"""Where what is worth keeping between runs lies: references' embeddings, the real demo's model."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "LORALIFT_CACHE"


def cache_folder() -> Path | None:
    """``LORALIFT_CACHE``, none where that is empty, else ``loralift`` among the user's caches."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given).expanduser() if given else None
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "loralift"
