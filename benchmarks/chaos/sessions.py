"""Sessions of a run: each a fork of this process, which has loaded the libraries once, so that it takes a second."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.faults import Fault, install

LOADED_ONCE = (
    "loralift.cli",
    "loralift.workflow.running",
    "loralift.nemo.bundles",
    "loralift.nemo.scoring",
    "loralift.reporting.terminal",
    "loralift.workflow.reporting",
    "loralift.generation.transformers_engine.load",
    "loralift.generation.transformers_engine.generator",
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a session ended.

    Attributes:
        code: Its exit code, or minus the signal that killed it.
        said: What it wrote on standard error.
        seconds: How long it took.
        calls: How often it called what; empty where it was killed.
    """

    code: int
    said: str
    seconds: float
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def last_line(self) -> str:
        """The error, where there is one."""
        lines = self.said.strip().splitlines()
        return lines[-1] if lines else ""


@dataclass(frozen=True, slots=True)
class Session:
    """A session at work.

    Attributes:
        pid: Its process.
        began: When it was started, in seconds of the monotonic clock.
        notes: The file of its standard error; its calls lie beside it.
    """

    pid: int
    began: float
    notes: Path

    def wait(self, at_most: float = 300) -> Ended:
        """Wait for its end; a session that hangs is killed, and has the code of a hang, 99."""
        while (ended := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() - self.began > at_most:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return Ended(99, self._said(), at_most)
            time.sleep(0.01)
        calls = self.notes.with_suffix(".calls")
        counted = Counter(json.loads(calls.read_text(encoding="utf-8"))) if calls.exists() else Counter[str]()
        return Ended(os.waitstatus_to_exitcode(ended[1]), self._said(), time.monotonic() - self.began, counted)

    def _said(self) -> str:
        return self.notes.read_text(encoding="utf-8", errors="replace")


def load() -> None:
    """Load the libraries; what starts threads of its own is left to the sessions."""
    for name in LOADED_ONCE:
        importlib.import_module(name)


def start(
    arguments: Sequence[str], notes: Path, fault: Fault | None = None, also: Callable[[], None] | None = None
) -> Session:
    """Start ``loralift ARGUMENTS``.

    Args:
        arguments: Of the command line.
        notes: The file for its standard error.
        fault: What goes wrong.
        also: Called in the session before it begins; None: nothing is.
    """
    notes.with_suffix(".calls").unlink(missing_ok=True)
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _be(arguments, notes, fault, also)
    return Session(pid, began, notes)


def _be(arguments: Sequence[str], notes: Path, fault: Fault | None, also: Callable[[], None] | None) -> None:
    """Be the session; never returns."""
    code = 70  # of a failure of this page
    try:
        os.setsid()
        with notes.open("wb") as file:
            os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _draw_nothing()
        if also is not None:
            also()
        calls = install(fault)
        try:
            importlib.import_module("loralift.cli").main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        notes.with_suffix(".calls").write_text(json.dumps(calls), encoding="utf-8")
        sys.stderr.flush()
    finally:
        os._exit(code)


def _draw_nothing() -> None:
    """Leave the charts out: drawing takes longer than all else, and a report's other files are written as they are."""
    nothing = importlib.import_module("loralift.reporting.charts.apart").Drawing()
    importlib.import_module("loralift.workflow.reporting").draw_apart = lambda report: nothing  # type: ignore[attr-defined]
