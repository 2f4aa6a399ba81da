"""Results in words: a line each while they come, and the table of the documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
import transformers

from benchmarks.architectures.results import BFLOAT16_TOLERANCE, TOLERANCE, Compared, Result

COLUMNS = ("model type", "class", "way", "base", "LoRA", "LoRA with experts", "worst, nats a token", "note")

INTRODUCTION = """# Architectures

Made by `make architectures`: a tiny random model of every causal language model of transformers {version}, asked 86
prompts by the transformers engine, in float32. *equal*: all answers are those of plain `generate` with PEFT's layers,
one row at a time, and references are as likely to {tolerance:g} nats a token. *loop* is the engine's own decoding loop,
*generate* transformers' own, *refused* what the engine declines with a message, *not asked* what plain transformers
cannot answer either. Which model takes which way is written in one place,
`src/loralift/generation/transformers_engine/capability.py`, and confirmed on the model itself when it is loaded. On a
GPU in bfloat16: [architectures-gpu.md](architectures-gpu.md).
"""

INTRODUCTION_ROUNDED = """# Architectures in bfloat16 on a GPU

Made by `python -m benchmarks.architectures --dtype bfloat16 --device cuda` on an {device} with transformers {version}
and torch {torch}: the same tiny random models, with calmer weights, asked for the likelihoods of 70 references.
*equal*: 95 % of the references are within {tolerance:g} nats a token of the same model in float32 on a CPU, one row
at a time. *loop* is packed attention with recorded steps where the model allows them. Answers, sampling with rows that
follow on rows, and variants in turns are tested on a GPU by `pytest -m gpu`. flex_olmo is as far in plain padded
scoring (0.021 and 0.037): bfloat16 rounds it so. In float32: [architectures.md](architectures.md).
"""


def line(result: Result) -> str:
    """A result in one line."""
    parts = [f"{name} {cell(one)}" for name, one in result.variants.items()]
    return f"{result.name:28} {result.way:10} {'; '.join(parts)}{_join(notes(result), ' | ')}"


def cell(compared: Compared | None) -> str:
    """What became of one variant, in a few words."""
    if compared is None:
        return "–"
    if compared.error is not None:
        return "no answer"
    found = []
    if compared.differing:
        found.append(f"{compared.differing} of {compared.answers} answers differ")
    if not compared.worst <= compared.tolerance:
        found.append("likelihoods differ")
    return ", ".join(found) or "equal"


def notes(result: Result) -> list[str]:
    """All that is to be told of a result beside its cells."""
    told = list(result.notes)
    for name, one in result.variants.items():
        if one.error is not None:
            told.append(f"{name}: {one.error}")
        if one.near_ties:
            told.append(f"{name}: {one.near_ties} answers part at a near tie")
    return told


def page(results: Sequence[Result], device: str | None = None) -> str:
    """The documentation's page.

    Args:
        results: Of all architectures.
        device: The GPU's name, where they are of likelihoods in bfloat16.
    """
    rows = [_row(result) for result in results]
    lines = [_table_row(COLUMNS), _table_row(["---"] * len(COLUMNS)), *map(_table_row, rows)]
    top = INTRODUCTION.format(version=transformers.__version__, tolerance=TOLERANCE)
    if device is not None:
        known = {"version": transformers.__version__, "torch": torch.__version__, "tolerance": BFLOAT16_TOLERANCE}
        top = INTRODUCTION_ROUNDED.format(device=device, **known)
    return "\n".join([top, summary(results), "", *lines, ""])


def summary(results: Sequence[Result]) -> str:
    """How many went which way, and how many are equal."""
    ways = Counter(result.way for result in results)
    asked = [result for result in results if result.way in ("loop", "generate")]
    equal = sum(result.equal for result in asked)
    told = ", ".join(f"{count} {way}" for way, count in ways.most_common())
    return f"{len(results)} architectures: {told}. Equal in all that was asked: {equal} of {len(asked)}."


def _row(result: Result) -> list[str]:
    variants = result.variants
    worst = [one.worst for one in variants.values() if one.error is None]
    cells = [cell(variants.get(name)) for name in ("base", "lora", "experts")]
    told = _join(notes(result), "", "; ")
    return [result.name, result.model_class, result.way, *cells, f"{max(worst):.1e}" if worst else "–", told]


def _table_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(text.replace('|', '/') for text in cells)} |"


def _join(parts: Sequence[str], before: str, between: str = "; ") -> str:
    return before + between.join(parts) if parts else ""
