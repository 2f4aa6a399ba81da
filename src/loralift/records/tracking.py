"""What an experiment tracker is given of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrackedTable:
    """One table.

    Attributes:
        columns: The headings.
        rows: Each with one cell for each column; None where there is no value.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What one run in a tracker holds.

    Attributes:
        name: As the tracker lists it.
        settings: How it was made.
        figures: Slashed name to a finite number; what has no value is not there.
        words: Verdicts and sentences, by slashed names.
        tables: Title to table.
        files: Slashed name to the file on the disk.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, TrackedTable] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Export:
    """One evaluation as runs in a tracker.

    Attributes:
        key: Digest of what was evaluated and found: the same figures again have the same one.
        whole: The run that stands for all: verdicts, tables, files.
        variants: One a variant, the baseline first: its metrics.
        left_out: What a tracker is not given, or is given under another name, a sentence each.
    """

    key: str
    whole: TrackedRun
    variants: tuple[TrackedRun, ...]
    left_out: tuple[str, ...] = ()
