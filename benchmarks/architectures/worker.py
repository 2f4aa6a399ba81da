"""Architectures one after another in a process of its own, which may hang or crash: then another goes on."""

from __future__ import annotations

import io
import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from typing import Any

from benchmarks.architectures.results import Result

SECONDS = 180
"""Most that one architecture may take."""


def examine_all(names: Sequence[str], examine: Callable[[str], Result], seconds: float = SECONDS) -> Iterator[Result]:
    """Examine architectures in the order of their names, whatever becomes of one.

    Args:
        names: Of ``tiny.names()``.
        examine: Gives an architecture's result; a function that another process can import.
        seconds: Most that one may take.
    """
    process, ours = _start(examine)
    for name in names:
        ours.send(name)
        try:
            if ours.poll(seconds):
                yield ours.recv()
                continue
            reason = f"nothing came for {seconds:g} s"
        except EOFError:
            process.join()
            reason = f"the process died (exit code {process.exitcode})"
        process.kill()
        yield Result(name, way="died", notes=[reason])
        process, ours = _start(examine)
    ours.close()
    process.join()


def _start(examine: Callable[[str], Result]) -> tuple[Any, Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, examine), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _work(connection: Any, examine: Callable[[str], Result]) -> None:
    """Examine what comes through a pipe, until it is closed."""
    from transformers.utils import logging

    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with suppress(EOFError), redirect_stdout(io.StringIO()):  # a few models print what they warn of
        while True:
            connection.send(examine(connection.recv()))
