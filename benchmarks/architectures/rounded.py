"""The engine in bfloat16 beside itself in float32: how likely references are, within rounding."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.architectures import tiny
from benchmarks.architectures.matrix import (
    BFLOAT16_TOLERANCE,
    Compared,
    Result,
    compare_likelihoods,
    make_adapters,
    one_line,
    way_of,
)
from benchmarks.architectures.prompts import questions
from benchmarks.architectures.reference import Plain
from loralift.generation import load_transformers
from loralift.records import BASE


def examine_rounded(name: str, dtype: str = "bfloat16", device: str = "cuda", rows: int | None = None) -> Result:
    """Build an architecture's tiny model and adapters, and compare likelihoods in 16 bits with those of float32.

    Args:
        name: One of ``tiny.names()``.
        dtype: Of the engine.
        device: Of the engine; the truth is computed on the CPU.
        rows: Questions; None: all.
    """
    result = Result(name)
    with tempfile.TemporaryDirectory() as place:
        try:
            model = tiny.build(name, tiny.GENTLE)
        except tiny.NotBuiltError as cause:
            result.notes.append(str(cause))
            return result
        result.model_class, result.way = type(model).__name__, "crashed"
        folder = Path(place)
        base = tiny.save(model, folder / "base")
        for variant, adapter in {BASE: None, **make_adapters(model, folder, result)}.items():
            found = result.variants.setdefault(variant, Compared(tolerance=BFLOAT16_TOLERANCE))
            _compare(base, adapter, variant, result, found, dtype, device, rows)
    return result


def _compare(
    base: Path,
    adapter: Path | None,
    variant: str,
    result: Result,
    found: Compared,
    dtype: str,
    device: str,
    rows: int | None,
) -> None:
    asked = questions(rows) if rows else questions()
    try:
        plain = Plain(base, adapter)
        truth = [plain.likelihood(question) for question in asked]
        generator = load_transformers(str(base), {variant: str(adapter)} if adapter else {}, dtype=dtype, device=device)
        result.way = way_of(generator)
        compare_likelihoods(generator, variant, asked, truth, found)
    except Exception as cause:  # noqa: BLE001 - whatever a model's own code or the engine raises is the result
        found.error = one_line(cause)
