"""A tracker of our own making, and an export to give to it; needs nothing but the light package."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from loralift.records import Export, TrackedRun, TrackedTable

PAGE = "<!doctype html><title>é</title><p>−0.077 [−0.093, −0.060] worse"


def png() -> bytes:
    """A picture of one red pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head, pixel = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0), zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


@pytest.fixture
def made(tmp_path: Path) -> Export:
    """An export of a base and one adapter."""
    (tmp_path / "run" / "charts").mkdir(parents=True)
    (tmp_path / "run" / "report.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "run" / "charts" / "effects.png").write_bytes(png())
    files = {name: tmp_path / "run" / name for name in ("report.html", "charts/effects.png")}
    table = TrackedTable(("metric", "difference", "verdict"), (("rougeL", -0.077, "worse"), ("words", None, None)))
    whole = TrackedRun(
        "base on data",
        {"evaluation": "base on data", "base model": "b · 7B", "prompt": "long " * 90},
        {"mine/rougeL/difference": -0.077, "mine/rougeL/difference_low": -0.0931234567890123},
        {"verdict/mine": "worse, in doubt", "headline/mine": "mine is WORSE than base: −0.077"},
        {"comparison": table},
        files,
    )
    figures = {"rougeL/value": 0.1, "rougeL/difference": -0.077, "Éf 1.5-x_/value": 2.0}
    variants = (
        TrackedRun("base", {"variant": "base"}, {"rougeL/value": 0.177, "rougeL/rows": 648.0}),
        TrackedRun("mine", {"variant": "mine"}, figures, {"verdict": "worse, in doubt"}),
    )
    return Export("0123456789abcdef0123456789abcdef", whole, variants)
