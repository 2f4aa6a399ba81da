"""Render chat templates in a process of their own, which is ended when one takes too long or too much memory."""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import psutil  # type: ignore[import-untyped]

from loralift.errors import ModelError

PATIENCE = 20.0
"""Seconds for one question; a real template takes less than a millisecond."""

START = 120.0
"""Seconds in which the process must have started, on the busiest of machines."""

MEMORY = 2 << 30
"""Bytes; transformers itself takes 0.3 GB of them."""

REMEDY = "leave out --chat-template and --protocol chat"

_EVERY = 0.05

_lock = Lock()
_process: subprocess.Popen[str] | None = None
_until = math.inf  # when the request that it works on must be done, by time.monotonic


def render(template: str, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any]) -> str:
    """Messages as a chat template writes them, up to where the answer begins.

    Args:
        template: A Jinja template.
        messages: ``{"role", "content"}``.
        variables: What the template may name besides: the tokenizer's special tokens, whether to think.

    Raises:
        ModelError: The template refuses the messages, or takes more than ``PATIENCE`` or ``MEMORY``.
    """
    request = {"template": template, "messages": list(messages), "variables": dict(variables)}
    with _lock:
        process = _running()
        reply = _ask(process, json.dumps(request), PATIENCE)
    if reply is None:
        raise ModelError(
            f"the model's chat template takes more than {PATIENCE:.0f} s or {MEMORY >> 30} GiB for one question: give "
            f"the model another chat_template, or {REMEDY}"
        )
    found = json.loads(reply)
    if "error" in found:
        raise ModelError(f"the model's chat template refuses these messages: {found['error']}")
    return str(found["text"])


def _running() -> subprocess.Popen[str]:
    """The process, started where there is none, and a thread that watches it."""
    global _process
    if _process is None or _process.poll() is not None:
        program = str(Path(__file__).with_name("chat_process.py"))
        # -P: beside that file lie others, whose names are those of packages
        command = [sys.executable, "-P", program]
        _process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )
        Thread(target=_watch, args=(_process,), daemon=True).start()
        if _ask(_process, None, START) is None:
            raise ModelError(f"the process that renders chat templates did not start: {REMEDY}")
    return _process


def _ask(process: subprocess.Popen[str], request: str | None, patience: float) -> str | None:
    """A process's reply, a line; None where it was ended."""
    global _until
    assert process.stdin is not None
    assert process.stdout is not None
    _until = time.monotonic() + patience
    try:
        if request is not None:
            process.stdin.write(f"{request}\n")
            process.stdin.flush()
        reply = process.stdout.readline()
    except OSError:
        reply = ""
    finally:
        _until = math.inf
    if reply.endswith("\n"):
        return reply
    _end(process)
    return None


def _watch(process: subprocess.Popen[str]) -> None:
    """End a process that is not done in time, or takes too much memory."""
    with contextlib.suppress(psutil.Error):
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            if time.monotonic() > _until or seen.memory_info().rss > MEMORY:
                process.kill()
                return
            time.sleep(_EVERY)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


@atexit.register
def _at_exit() -> None:
    if _process is not None:
        _end(_process)
