"""A row of the table, and the shorthands that its pages share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One bad input.

    Attributes:
        name: What is wrong with it; unique on its page.
        given: The input; each page says how it is put in.
        culprit: What the error line must name; case does not matter.
        code: The exit code.
    """

    name: str
    given: Any
    culprit: str
    code: int = 2


DEEP = 100_000
"""Levels of nesting beyond any stack."""

DIGITS = "9" * 5_000
"""A whole number that Python refuses to read."""

UTF16 = "utf-16"
GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
BOM = b"\xef\xbb\xbf"

Make = Callable[[Path], object]


def lines(*rows: Any) -> str:
    """JSON lines; a text is a line as it stands."""
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def nested(opening: str = "[", closing: str = "]", inside: str = "1") -> str:
    """JSON that is valid, and too deep to read."""
    return opening * DEEP + inside + closing * DEEP


def put(path: Path, content: Any) -> Path:
    """Write an input where it belongs: text, bytes, or whatever a function makes of the path."""
    if callable(content):
        content(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
    return path


def a_folder(path: Path) -> None:
    """A folder where a file must be."""
    path.unlink(missing_ok=True)
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    """A link whose target was removed."""
    path.unlink(missing_ok=True)
    path.symlink_to(path.with_name("removed"))


def a_link_to_itself(path: Path) -> None:
    """A link that never ends."""
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def a_pipe(path: Path) -> None:
    """A pipe that nobody writes to: who opens it waits for ever."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def setting(**fields: Any) -> Make:
    """A JSON file with other values; `a__b` is the field b of the field a, `a__0` the first entry of a."""

    def change(path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        for name, value in fields.items():
            *above, last = name.split("__")
            place = document
            for part in above:
                place = place[int(part) if isinstance(place, list) else part]
            place[int(last) if isinstance(place, list) else last] = value
        path.write_text(json.dumps(document), encoding="utf-8")

    return change


def lacking(*fields: str) -> Make:
    """A JSON file without some of its fields."""

    def change(path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        for name in fields:
            del document[name]
        path.write_text(json.dumps(document), encoding="utf-8")

    return change


def edited(edit: Callable[[list[str]], list[str]]) -> Make:
    """A file of lines with other lines."""

    def change(path: Path) -> None:
        content = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(edit(content)), encoding="utf-8")

    return change


def removed(path: Path) -> None:
    """No file."""
    path.unlink()


def cut(bytes_kept: int) -> Make:
    """Only the beginning of a file; a negative number leaves out so much of its end."""
    return lambda path: path.write_bytes(path.read_bytes()[:bytes_kept])
