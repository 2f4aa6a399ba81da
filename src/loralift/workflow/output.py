"""Where the user wants a result (``-o``): a folder for a report, or a file for JSON.

A regular file is replaced whole; a device or a pipe is written to.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loralift import arguments
from loralift.errors import RunDirectoryError, UsageError, some, wrong_argument
from loralift.reading import reason_of
from loralift.workflow import files
from loralift.workflow.run_directory import LOCK

RUN_FILES = ("run.json", "dataset.jsonl", "comparison.json", "report.json", "report.html", "report.md", LOCK)
REPORT_FILES = frozenset({"comparison.json", "report.html", "report.md", "report.json", "charts"})
VARIANT_FILES = ("answers.jsonl", "times.jsonl", "references.jsonl", "scores.jsonl")

COMPARED = "compared"
"""The key of comparison.json that a run's does not have: what was compared."""


def place(text: str) -> Path:
    """The folder or file that the user names.

    Raises:
        UsageError: It is a name of a file that ends as a folder's, or none at all.
    """
    path = arguments.path("-o", text, "a folder, or a file for JSON")
    if text.endswith(("/", os.sep)) and not is_folder(path):
        raise UsageError(wrong_argument("-o", "a folder, and a file of JSON ends in .json alone", text))
    return path


def is_folder(path: Path) -> bool:
    """Whether a place is a folder, or would be made as one: what is not there, unless its name ends in .json.

    Raises:
        RunDirectoryError: The place cannot be looked at.
    """
    with _writing(path):
        return path.is_dir() or not (path.exists() or path.is_symlink() or path.suffix == ".json")


def check(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Refuse, before any work, what cannot be written or must not be overwritten.

    Args:
        path: Where a result is to be written.
        inputs: Files and folders that are read.

    Raises:
        UsageError: It is one of the inputs, a file of a run, or a folder that holds anything but an earlier comparison.
    """
    with _writing(path):
        if is_folder(path):
            refuse_folder(path)
            return
        if not _replaces(path):
            return
        for place in inputs:
            folder = place if place.is_dir() else None
            if path.samefile(place) or (folder is not None and path.resolve().is_relative_to(folder.resolve())):
                raise UsageError(wrong_argument("-o", f"another file than what is compared ({place})", str(path)))
        _refuse_of_a_run(path)


def file_place(text: str, flag: str) -> Path:
    """The file that the user names, where only a file will do.

    Raises:
        UsageError: It is a folder, or its name; a file of a run; or none at all.
    """
    path = arguments.path(flag, text, "a file")
    with _writing(path, flag):
        if text.endswith(("/", os.sep)) or path.is_dir():
            raise UsageError(wrong_argument(flag, "a file, not a folder", text))
        if _replaces(path):
            _refuse_of_a_run(path, flag)
    return path


def _refuse_of_a_run(path: Path, flag: str = "-o") -> None:
    if _is_of_a_run(path.resolve()):
        raise UsageError(wrong_argument(flag, "another file than those of a run", str(path)))


def refuse_folder(folder: Path) -> None:
    """Refuse, before any work, a folder that holds anything but an earlier comparison.

    Raises:
        UsageError: It does, or lies in a run.
    """
    with _writing(folder):
        of_run = next((place for place in (folder.resolve(), *folder.resolve().parents) if _is_run(place)), None)
        found = sorted(path.name for path in folder.iterdir() if path.name != LOCK) if folder.exists() else []
    if of_run is not None:
        raise UsageError(wrong_argument("-o", f"a folder outside of a run ({of_run})", str(folder)))
    others = [name for name in found if name not in REPORT_FILES and not name.endswith(files.TEMPORARY)]
    if others or (found and not is_of_comparison(folder)):
        what = f"and it holds {some(others or found)}"
        raise UsageError(wrong_argument("-o", f"a new folder, or that of an earlier comparison, {what}", str(folder)))


def _is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file()


def is_of_comparison(folder: Path) -> bool:
    """Whether `loralift compare -o` wrote a folder."""
    place = folder / "comparison.json"
    document = files.read_json(place) if place.is_file() else None
    return isinstance(document, Mapping) and COMPARED in document


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
            files.replace(target, [content], mode)


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
