"""What the tests of all tools do with a log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import LoraLiftError
from loralift.records import Comparison
from loralift.workflow.compare_inputs import Asked, compare_sides
from loralift.workflow.sides.reading import read_side
from loralift.workflow.sides.side import Side

HERE = Path(__file__).parent


def mean(side: Side, metric: str) -> float:
    """The mean over the rows that have a value."""
    values = [value for score in side.scores if (value := score.values[metric]) is not None]
    return sum(values) / len(values)


def verdict(folder: str, suffix: str, metric: str, **asked: Any) -> Comparison:
    """Base against mine by one metric; whether rows are paired, and the verdict, are the same for every tool."""
    sides = (HERE / folder / f"{who}.{suffix}" for who in ("base", "mine"))
    comparison, _ = compare_sides(*sides, [metric], Asked(**asked))
    (row,) = comparison.rows
    assert (row.metric, row.n, row.wins, row.losses) == (metric, 12, 8, 0)
    assert list(comparison.verdicts.values()) == ["better"]
    return comparison


def changed(tmp_path: Path, path: Path, change: Callable[[Any], object]) -> Path:
    """A JSON document, or JSON lines, of which something is another thing."""
    text = path.read_text(encoding="utf-8")
    lines = path.suffix == ".jsonl"
    document = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    change(document)
    new = tmp_path / path.name
    text = "".join(json.dumps(row) + "\n" for row in document) if lines else json.dumps(document, indent=1)
    new.write_text(text, encoding="utf-8")
    return new


def refused(path: Path, said: str, metrics: list[str] | None = None) -> None:
    """A file is refused in one line that names it and says what is wrong."""
    with pytest.raises(LoraLiftError, match=said) as error:
        read_side(path, metrics)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
