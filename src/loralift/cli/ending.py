"""How a command ends: every exception as one line and an exit code, and streams that are closed, full or ASCII."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
import tempfile
import traceback

from loralift.errors import MOST_CHARACTERS, LoraLiftError
from loralift.visible import one_line, visible

REFUSED, BUG, INTERRUPTED, BROKEN_PIPE = 2, 3, 130, 141
"""Exit codes; the last two are 128 and the signal's number, as a shell gives them. Never 1: a gate reads `worse`."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
SHOWN_LINES = 12
KEPT = "; answers written so far are kept, and --resume goes on with them"


def ready_streams() -> None:
    """Make standard output and error take every character, and not be a file that is opened later.

    Where one was closed (``>&-``), the next file that anything opens would get its number, and be printed into.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Bring out what was printed.

    Raises:
        OSError: It cannot be written: the disk is full, or nobody reads it any more.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def code_of(error: BaseException, verb: str) -> int:
    """Say what happened in one line on standard error.

    Args:
        error: What ended the command.
        verb: Of the command; of a run it is said that nothing is lost.

    Returns:
        The exit code.
    """
    unread = isinstance(error, BrokenPipeError) and _nobody_reads()
    _flush_or_drop()
    code = BROKEN_PIPE if unread else _said(error, KEPT if verb == "run" else "")
    _flush_or_drop()  # once more, for the line itself: Python ends with 120 where its last flush fails
    return code


def _flush_or_drop() -> None:
    """Bring out what was printed, or let go of it, so that Python's own last flush does not fail too."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _said(error: BaseException, kept: str) -> int:
    match error:
        case LoraLiftError():
            _line(str(error))
            return REFUSED
        case KeyboardInterrupt():
            _line(f"interrupted{kept}")
            return INTERRUPTED
        case OSError(errno=number) if number in NO_ROOM:
            _line(f"cannot write {error.filename or 'what is printed'}: {error.strerror}; make room{kept}")
            return REFUSED
        case _:
            _bug(error, kept)
            return BUG


def _line(message: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # standard error itself may be closed or full
        print(f"loralift: {one_line(message, MOST_CHARACTERS)}", file=sys.stderr, flush=True)


def _bug(error: BaseException, kept: str) -> None:
    """Say what it was, and keep the traceback for a report."""
    match error:
        case ImportError():
            kind, remedy = "an installed package cannot be imported", "`loralift doctor` says what works here"
        case MemoryError():
            kind, remedy = "there is not enough memory", "try a smaller --batch-size or --limit"
        case _:
            kind, remedy = "this is a bug", "please report it with its traceback"
    said = one_line("".join(traceback.format_exception_only(error)), MOST_CHARACTERS // 2)
    lines = "".join(traceback.format_exception(error))
    try:
        handle, path = tempfile.mkstemp(prefix="loralift-", suffix=".traceback.txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(lines)
    except OSError:  # nowhere to write: its end is better than nothing
        with contextlib.suppress(OSError, ValueError):
            print(visible("\n".join(lines.splitlines()[-SHOWN_LINES:]), lines=True), file=sys.stderr)
        path = "the lines above, for no file could be written"
    _line(f"{kind}: {said}; {remedy}: {path}{kept}")


def _nobody_reads() -> bool:
    """Whether the reader of what is printed is gone; a pipe to a process of our own breaks by a bug alone."""
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    for number in (1, 2):
        poll.register(number, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
