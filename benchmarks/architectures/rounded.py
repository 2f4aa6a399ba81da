"""The engine in 16 bits beside plain transformers in float32: how likely references are, within rounding."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.architectures.engine import differences, load, way_of
from benchmarks.architectures.matrix import Saved, save_all
from benchmarks.architectures.prompts import questions
from benchmarks.architectures.reference import Plain
from benchmarks.architectures.results import BFLOAT16_TOLERANCE, Compared, Result, one_line
from benchmarks.architectures.tiny import GENTLE
from loralift.errors import LoraLiftError
from loralift.records import BASE

WITHIN = 0.95
"""Of the references must be within the tolerance: rounding sends a token to another expert now and then."""


def examine_rounded(name: str, dtype: str = "bfloat16", device: str = "cuda") -> Result:
    """Build an architecture's tiny model and adapters, and compare likelihoods in 16 bits with those of float32.

    Args:
        name: One of ``tiny.names()``.
        dtype: Of the engine.
        device: Of the engine; the truth is computed on the CPU.
    """
    result = Result(name)
    with tempfile.TemporaryDirectory() as folder:
        saved = save_all(name, Path(folder), result, GENTLE)
        if saved is None:
            return result
        for variant in (BASE, *saved.adapters):
            result.variants[variant] = _compared(saved, variant, (dtype, device), result)
    return result


def _compared(saved: Saved, variant: str, place: tuple[str, str], result: Result) -> Compared:
    found = Compared(tolerance=BFLOAT16_TOLERANCE)
    asked = questions()
    try:
        plain = Plain(saved.base, saved.adapters.get(variant))
        truth = [plain.likelihood(question) for question in asked]
        generator = load(saved.base, variant, saved.adapters.get(variant), *place)
        if variant == BASE:
            result.way = way_of(generator)
        ordered = differences(generator, variant, asked, truth)
        found.worst = ordered[int(WITHIN * (len(ordered) - 1))]
    except LoraLiftError as cause:
        result.way = "refused" if variant == BASE else result.way
        found.error = one_line(cause).replace(str(saved.base.parent), "")
    except Exception as cause:  # noqa: BLE001 - whatever a model's own code or the engine raises is the result
        found.error = f"traceback: {one_line(cause)}"
    return found
