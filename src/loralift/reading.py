"""Reading what strangers wrote: whatever is wrong with it becomes one line that names the file.

Which exceptions a parser raises on an input that nobody thought of is not known, so `reading` turns all of them into an
error of ours; only this page and the command line's last resort catch so much.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from loralift.errors import LoraLiftError, first_line

MOST_PIPED = 1 << 30
"""Most bytes that are read of what is no regular file; /dev/zero would otherwise fill the memory."""

type ErrorClass = type[LoraLiftError]


def reason_of(cause: BaseException) -> str:
    """Why something could not be read, in words, and what to do where that is known.

    >>> reason_of(RecursionError("maximum recursion depth exceeded"))
    'it is nested too deeply'
    """
    match cause:
        case FileNotFoundError():
            return "there is no such file"
        case IsADirectoryError():
            return "it is a folder, not a file"
        case PermissionError():
            return "it may not be read; change its permissions"
        case OSError():
            return cause.strerror or first_line(cause)
        case RecursionError():
            return "it is nested too deeply"
        case MemoryError():
            return "it needs more memory than there is"
        case json.JSONDecodeError():
            line = f"line {cause.lineno}, " if cause.lineno > 1 else ""
            return f"not JSON: {cause.msg} at {line}column {cause.colno}"
        case UnicodeDecodeError():
            return f"not UTF-8 ({cause.reason} at byte {cause.start}); convert it to UTF-8"
        case _ if "integer string conversion" in str(cause):
            return "it has a number of more than 4,300 digits"
        case ValueError():
            return first_line(cause)
        case _:
            return f"{type(cause).__name__}: {first_line(cause)}"


@contextmanager
def failing(
    what: str, error: ErrorClass, remedy: str = "", reason: Callable[[Exception], str] = reason_of
) -> Iterator[None]:
    """Turn any failure inside into an error of ours, in one line.

    Args:
        what: The beginning of the message.
        error: The class to raise.
        remedy: What to do, said behind the reason.
        reason: The failure in words.

    Raises:
        LoraLiftError: ``error``; errors of ours from inside pass as they are.
    """
    try:
        yield
    except LoraLiftError:
        raise
    except Exception as cause:
        raise error(f"{what}: {reason(cause)}{remedy and f': {remedy}'}") from cause


def reading(place: object, error: ErrorClass, remedy: str = "") -> AbstractContextManager[None]:
    """`failing`, for what is read: ``place`` is a file, and where in it."""
    return failing(f"cannot read {place}", error, remedy)


def read_bytes(path: Path, error: ErrorClass, *, piped: bool = False) -> bytes:
    """The whole of a file.

    Args:
        path: The file.
        error: The class to raise.
        piped: Whether it may be a pipe or another stream, such as /dev/stdin or what a shell's ``<(…)`` gives.

    Raises:
        LoraLiftError: ``error``; it cannot be read, or is neither a regular file nor a pipe that may be one.
    """
    with reading(path, error):
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError
        if stat.S_ISREG(kind):
            return path.read_bytes()
        if not piped:
            raise ValueError("it is no regular file")
        with path.open("rb") as file:
            content = file.read(MOST_PIPED + 1)
        if len(content) > MOST_PIPED:
            raise ValueError(f"it gives more than {MOST_PIPED >> 30} GiB; write it to a file")
        return content


def read_text(path: Path, error: ErrorClass, *, piped: bool = False) -> str:
    """The whole of a UTF-8 text, line ends as they are, without a byte order mark.

    Raises:
        LoraLiftError: ``error``; as `read_bytes`, or it is not UTF-8; the message names the line.
    """
    return decode(read_bytes(path, error, piped=piped), path, error)


def read_lines(path: Path, error: ErrorClass, *, piped: bool = False, torn: bool = False) -> Iterator[str]:
    """The lines of a UTF-8 text, one after the other, without their line feeds and a byte order mark.

    Args:
        path: The file.
        error: The class to raise.
        piped: As of `read_bytes`; what comes through a pipe is read whole.
        torn: Whether a last line without a line feed is ignored, as a killed process leaves one.

    Raises:
        LoraLiftError: ``error``; as `read_text`.
    """
    with reading(path, error):
        if not stat.S_ISREG(path.stat().st_mode):
            content = read_bytes(path, error, piped=piped)
            yield from decode(content[: content.rfind(b"\n") + 1] if torn else content, path, error).split("\n")
            return
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if torn and not line.endswith(b"\n"):  # before decoding, since its last character may be torn too
                    return
                yield decode(line, path, error, first=number).removesuffix("\n")


def decode(content: bytes, path: Path, error: ErrorClass, first: int = 1) -> str:
    """A UTF-8 file's content as text, without a byte order mark.

    Args:
        content: All of it, or some of its lines.
        path: The file.
        error: The class to raise.
        first: The number of its first line.

    Raises:
        LoraLiftError: ``error``; it is not UTF-8; the message names the line.
    """
    if first == 1:
        _refuse_encoding(content, path, error)
    try:
        return content.decode("utf-8-sig" if first == 1 else "utf-8")
    except UnicodeDecodeError as cause:
        line = content.count(b"\n", 0, cause.start) + first
        raise error(f"{path}, line {line}: not UTF-8 ({cause.reason}); convert the file to UTF-8") from cause


def _refuse_encoding(content: bytes, path: Path, error: ErrorClass) -> None:
    """Refuse a file whose first bytes say that it is no UTF-8."""
    if content.startswith(b"\x1f\x8b"):
        raise error(f"cannot read {path}: it is compressed; decompress it first (gunzip)")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise error(f"cannot read {path}: it is UTF-16; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)")


def parse_json(
    text: str | bytes,
    place: object,
    error: ErrorClass,
    remedy: str = "",
    parse_float: Callable[[str], float] | None = None,
) -> Any:
    """A JSON document whose objects have each key once; a remedy is said behind the reason why it is none.

    Args:
        text: It.
        place: Where it stands.
        error: What is raised.
        remedy: What to do.
        parse_float: As of ``json.loads``.

    Raises:
        LoraLiftError: ``error``; it is not JSON, has a key twice, or is nested too deeply.
    """
    with reading(place, error, remedy):
        return json.loads(text, object_pairs_hook=_each_key_once, parse_float=parse_float)


def read_json(path: Path, error: ErrorClass, *, piped: bool = False) -> Any:
    """One JSON document of a file.

    Raises:
        LoraLiftError: ``error``; as `read_text` and `parse_json`.
    """
    return parse_json(read_text(path, error, piped=piped), path, error)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice; remove one")
    return found
