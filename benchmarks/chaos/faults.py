"""What is done to a session: it is killed after a time or at the k-th call of the system, or such a call fails."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

CALLS = ("fsync", "replace")
"""Functions of `os` whose calls count: every file that a run writes passes through them."""

ERRORS = (errno.ENOSPC, errno.EIO)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong in a session.

    Attributes:
        call: The function of `os` at whose call it happens; empty: after a time.
        at: Which call of it, from 1, or after how many seconds.
        error: The error number that the call fails with; 0: the process is killed (SIGKILL).
        after: Whether the process is killed after the call and not before.
    """

    call: str
    at: float
    error: int = 0
    after: bool = False

    def __str__(self) -> str:
        what = f"{errno.errorcode[self.error]} at" if self.error else f"killed {'after' if self.after else 'at'}"
        return f"{what} {self.call} {self.at:.0f}" if self.call else f"killed after {self.at:.2f} s"


def install(fault: Fault | None) -> Counter[str]:
    """Prepare this process for its fault; returns the count of its calls, which goes on."""
    counted: Counter[str] = Counter()
    if fault is not None and not fault.call:
        threading.Thread(target=_kill_after, args=(fault.at,), daemon=True).start()
    for name in CALLS:
        setattr(os, name, _faulty(name, getattr(os, name), fault, counted))
    return counted


def draw(random: Random, seconds: float, calls: Counter[str]) -> Fault:
    """A fault at a random moment of a session.

    Args:
        random: The source.
        seconds: How long a session without a fault takes.
        calls: How often such a session calls what.
    """
    kind = random.choices(("time", "kill", "error"), weights=(2, 2, 1))[0]
    if kind == "time":
        return Fault("", random.uniform(0, seconds))
    call = random.choice(CALLS)
    at = random.randint(1, calls[call])
    if kind == "kill":
        return Fault(call, at, after=random.random() < 0.5)
    return Fault(call, at, error=random.choice(ERRORS))


def _faulty(name: str, real: Callable[..., Any], fault: Fault | None, counted: Counter[str]) -> Callable[..., Any]:
    def call(*args: Any, **named: Any) -> Any:
        counted[name] += 1
        hit = fault is not None and fault.call == name and fault.at == counted[name]
        if not hit or fault is None:
            return real(*args, **named)
        if fault.error:
            raise OSError(fault.error, os.strerror(fault.error))
        if fault.after:
            real(*args, **named)
        return os.kill(os.getpid(), signal.SIGKILL)

    return call


def _kill_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)
