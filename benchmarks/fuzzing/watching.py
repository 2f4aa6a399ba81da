"""Call a target, and keep what broke it."""

from __future__ import annotations

import hashlib
import traceback
from pathlib import Path

from benchmarks.fuzzing.readers import READERS, refused
from benchmarks.fuzzing.showing import SHOWING


class Watched:
    """A target that goes on after a fault.

    Attributes:
        faults: Where LoraLift was left and what was raised, to the input that first did so.
    """

    def __init__(self, name: str, folder: Path, out: Path) -> None:
        """Make the target.

        Args:
            name: Of the target.
            folder: For its files.
            out: For the inputs that break it.
        """
        (folder / "files").mkdir()
        self._target = (READERS | SHOWING)[name](folder / "files")
        self._name, self._out = name, out
        self.faults: dict[str, bytes] = {}

    def __call__(self, content: bytes) -> None:
        """Try one input."""
        try:
            refused(self._target, content)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
            self._keep(error, content)

    def _keep(self, error: Exception, content: bytes) -> None:
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/loralift/" in frame.filename]
        place = f"{ours[-1].filename.rpartition('/loralift/')[2]}:{ours[-1].lineno}" if ours else "?"
        fault = f"{type(error).__name__} at {place}"
        if fault in self.faults:
            return
        self.faults[fault] = content
        self._out.mkdir(parents=True, exist_ok=True)
        path = self._out / f"{self._name.replace(' ', '-')}-{hashlib.sha256(content).hexdigest()[:12]}"
        path.write_bytes(content)
        print(f"FAULT {self._name}: {fault}: {str(error)[:160]!r} ({path})", flush=True)
