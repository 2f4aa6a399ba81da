"""What a chart is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Section = Literal["change", "where", "why"]

_NO_FILE_NAME = re.compile(r"[^\w.-]+")


MOST_IN_NAME = 60
"""Characters, of up to four bytes; a file system admits 255 bytes."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture, drawn.

    Attributes:
        name: Its file's stem, e.g. ``effects`` or ``scatter-my-lora``.
        title: What it shows.
        caption: How to read it, one or two sentences.
        alt: The figures in words, for those who cannot see the picture.
        svg: A well-formed document without scripts, styles or ids, so that many can stand in one page; every colour
            is one of ``PALETTE``.
        section: The question that it helps to answer: what changed, where, or why.
        candidate: The adapter that it is about; None: all.
    """

    name: str
    title: str
    caption: str
    alt: str
    svg: str
    section: Section
    candidate: str | None = None


def stem(*parts: str) -> str:
    """A file's stem; a metric that came from elsewhere may have any name, of any length."""
    return _NO_FILE_NAME.sub("_", "-".join(parts))[:MOST_IN_NAME]
