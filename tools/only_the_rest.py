"""Takes out of the second requirements file what the first one pins already: ``only_the_rest.py FIRST SECOND``."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def pins(text: str) -> list[str]:
    """A requirements file as its pins, each with its hashes and continuation lines."""
    return re.findall(r"^\S.*(?:\n[ \t]+.*)*", text, flags=re.MULTILINE)


def main(first: str, second: str) -> None:
    """Rewrite ``second`` without the pins of ``first``."""
    known = set(pins(Path(first).read_text(encoding="utf-8")))
    rest = [pin for pin in pins(Path(second).read_text(encoding="utf-8")) if pin not in known]
    Path(second).write_text("\n".join(rest) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
