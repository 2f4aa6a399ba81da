"""Write files atomically (temporary file, fsync, rename); read and append JSON lines, whose last may be incomplete."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from loralift import reading
from loralift.errors import RunDirectoryError

TEMPORARY = ".loralift-tmp"
"""How the name of a file ends that a killed process may leave beside the one that it was writing."""

TAIL = 1 << 16
"""Bytes at the end of a file in which its last line feed is looked for at a time."""

JSON_LINES = "each line must be one whole JSON object; a list or a table must be converted to such lines"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into one line that names the file; nothing written is lost."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunDirectoryError(
            f"cannot write {path}: {reason}. What was written before is kept; a run goes on with --resume"
        ) from error


def write_text(path: Path, text: str | Iterable[str]) -> None:
    """Write a whole text file atomically; of a text that comes in pieces, one after the other.

    Raises:
        RunDirectoryError: The disk is full or the folder cannot be written.
    """
    if isinstance(text, str):
        write_bytes(path, encoded(text))
        return
    with disk_errors(path):
        replace(path, map(encoded, text))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically.

    Raises:
        RunDirectoryError: The disk is full or the folder cannot be written.
    """
    with disk_errors(path):
        replace(path, [content])


def replace(path: Path, content: Iterable[bytes], mode: int = 0o644) -> None:
    """Put a whole file in place atomically, piece by piece, and make the folders that it needs.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # not by the file's own name, which may be as long as the file system admits already
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=TEMPORARY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk: without it a power cut may undo it, and keep later ones."""
    if os.name == "nt":  # a folder cannot be opened there, and renames are the file system's own matter
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Remove what killed processes left of files that they were writing."""
    for folder in folders:
        for path in folder.glob(f".*{TEMPORARY}"):
            with disk_errors(path):
                path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document atomically; NaN and infinity are refused, they are not JSON."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """One JSON document; NaN and infinity are refused."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def encoded(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which has none and which a name or an answer may hold, as JSON escapes it."""
    return text.encode("utf-8", "backslashreplace")


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines atomically."""
    write_text(path, map(json_line, rows))


def json_line(row: Mapping[str, Any]) -> str:
    """One JSON line with its line feed."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


@contextmanager
def appending(path: Path) -> Iterator[TextIO]:
    """Open a file to append to, after removing an incomplete last line."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(path)
        file = path.open("a", encoding="utf-8", errors="backslashreplace")
    try:
        yield file
        with disk_errors(path):
            os.fsync(file.fileno())
    finally:
        with disk_errors(path):  # closing flushes the buffer, which fails on a full disk
            file.close()


def append_line(file: TextIO, row: Mapping[str, Any], *, sync: bool) -> None:
    """Append one JSON line and flush it to the operating system; with `sync`, also to the disk."""
    with disk_errors(Path(file.name)):
        file.write(json_line(row))
        file.flush()
        if sync:
            os.fsync(file.fileno())


def read_jsonl(path: Path, *, torn: bool = False) -> Iterator[dict[str, Any]]:
    """Read JSON lines, one after the other.

    Args:
        path: The file.
        torn: Whether a last line without a line feed is ignored, as a killed process leaves one.

    Raises:
        RunDirectoryError: The file is missing, or a line is no JSON object; it names the line.
    """
    return jsonl_rows(path, reading.read_lines(path, RunDirectoryError, piped=True, torn=torn))


def jsonl_rows(path: Path, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The objects of JSON lines; blank lines are passed over.

    Args:
        path: Where they are from, for messages.
        lines: Split at line feeds alone: U+2028, at which ``splitlines()`` also splits, is valid inside a JSON string.

    Raises:
        RunDirectoryError: A line is no JSON object; it names the line.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _parse_line(path, number, line)


def read_json(path: Path) -> Any:
    """Read one JSON document.

    Raises:
        RunDirectoryError: The file is missing or no JSON.
    """
    return reading.read_json(path, RunDirectoryError)


def _parse_line(path: Path, number: int, line: str) -> dict[str, Any]:
    row = reading.parse_json(line, f"{path}, line {number}", RunDirectoryError, JSON_LINES)
    if not isinstance(row, dict):
        raise RunDirectoryError(f"{path}, line {number}: must be a JSON object, got {line[:40]!r}: {JSON_LINES}")
    return row


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        size = whole = file.seek(0, os.SEEK_END)
        while whole:  # backwards: a line may be long, and the file very long
            begin = max(whole - TAIL, 0)
            file.seek(begin)
            found = file.read(whole - begin).rfind(b"\n")
            whole = begin if found < 0 else begin + found + 1
            if found >= 0:
                break
        if whole < size:
            file.truncate(whole)
