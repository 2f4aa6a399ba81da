"""A file that the user names for a result (``-o FILE``): a regular one is replaced whole, anything else written to."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loralift import arguments
from loralift.errors import RunDirectoryError, UsageError, wrong_argument
from loralift.reading import reason_of
from loralift.workflow import files

RUN_FILES = ("run.json", "dataset.jsonl", "comparison.json", "report.json", "report.html", "report.md", ".lock")
VARIANT_FILES = ("answers.jsonl", "times.jsonl", "references.jsonl", "scores.jsonl")


def place(text: str, flag: str = "-o") -> Path:
    """The file that the user names.

    Raises:
        UsageError: It is a folder's name, or none at all.
    """
    path = arguments.path(flag, text, "a file")
    if text.endswith(("/", os.sep)):
        raise UsageError(wrong_argument(flag, "a file, not a folder", text))
    return path


def check(path: Path, inputs: Sequence[Path] = (), flag: str = "-o") -> None:
    """Refuse, before any work, what cannot be written or must not be overwritten.

    Args:
        path: Where a result is to be written.
        inputs: Files and folders that are read.
        flag: What names it.

    Raises:
        UsageError: It is a folder, one of the inputs, or a file of a run.
    """
    with _writing(path, flag):
        if path.is_dir():
            raise UsageError(wrong_argument(flag, "a file, not a folder", str(path)))
        if not _replaces(path):
            return
        for place in inputs:
            folder = place if place.is_dir() else None
            if path.samefile(place) or (folder is not None and path.resolve().is_relative_to(folder.resolve())):
                raise UsageError(wrong_argument(flag, f"another file than what is compared ({place})", str(path)))
        if _is_of_a_run(path.resolve()):
            raise UsageError(wrong_argument(flag, "another file than those of a run", str(path)))


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document where the user wants it, as `write` does."""
    write(path, files.json_text(value))


def write(path: Path, text: str) -> None:
    """Write a text where the user wants it.

    A regular file is replaced atomically and keeps its permissions, behind a link too; missing folders are made. A
    device, a pipe, or what standard output goes to is written to.

    Raises:
        RunDirectoryError: It cannot be written; the message says why.
    """
    content = files.encoded(text)
    with _writing(path):
        if _is_printed_to(path):
            sys.stdout.flush()
            with os.fdopen(os.dup(1), "wb") as file:
                file.write(content)
        elif path.exists() and not _replaces(path):
            _write_to(path, content)
        else:
            target = path.resolve()
            mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
            files.replace(target, content, mode)


def _is_of_a_run(target: Path) -> bool:
    """Whether a file is one that a run wrote, in its folder or in those of its variants, bundles and charts."""
    if (target.parent / "run.json").is_file():
        return target.name in RUN_FILES or target.name.endswith("_results.json")
    run = next((folder for folder in target.parents if (folder / "run.json").is_file()), None)
    if run is None:
        return False
    return target.name in VARIANT_FILES or target.relative_to(run).parts[0] in ("nemo", "charts")


def _replaces(path: Path) -> bool:
    """Whether there is a regular file that would be replaced."""
    return path.is_file() and not _is_printed_to(path)


def _is_printed_to(path: Path) -> bool:
    """Whether it is what standard output goes to, such as /dev/stdout: replaced, a shell's file would lose the rest."""
    return path.exists() and os.path.samestat(path.stat(), os.fstat(1)) and not path.samefile(os.devnull)


def _write_to(path: Path, content: bytes) -> None:
    # without waiting, which for a pipe that nobody reads is for ever
    handle = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(handle, True)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


@contextmanager
def _writing(path: Path, flag: str = "-o") -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name with a null character
        raise RunDirectoryError(f"cannot write {path}: {reason_of(error)}; give another {flag} FILE") from error
