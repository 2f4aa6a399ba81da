"""One architecture: what the engine answers, beside the plain truth."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.architectures import tiny
from benchmarks.architectures.engine import (
    Asked,
    as_if_tested,
    compare_answers,
    differences,
    load,
    one_thread,
    side_by_side,
    way_of,
)
from benchmarks.architectures.lora import NotAdaptedError, adapts_experts, expert_parameters, save_adapter
from benchmarks.architectures.prompts import NEW_TOKENS, questions
from benchmarks.architectures.reference import Plain
from benchmarks.architectures.results import Compared, Result, one_line
from loralift.errors import LoraLiftError
from loralift.generation import GenerationSettings
from loralift.records import BASE

SLOTS = 64
"""Rows at once, fewer than there are questions; so many are dealt out to two threads on a CPU."""

SHARING = 16
"""Questions of a second kind, which all begin with the same tokens."""

FEW_SLOTS = 6
"""For these: rows follow on rows several times."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A tiny model as a user has it.

    Attributes:
        base: Its folder.
        adapters: Their folders, by the variants' names.
    """

    base: Path
    adapters: dict[str, Path]


@dataclass(frozen=True, slots=True)
class Truth:
    """What one variant gives.

    Attributes:
        mixed: Questions of different lengths, with answers.
        sharing: Questions that share their beginning, with answers.
        likelihoods: Of the former's references, of each ``one_in``-th one.
        one_in: Of so many one.
    """

    mixed: Asked
    sharing: Asked
    likelihoods: list[float]
    one_in: int = 1


def examine(name: str, new_tokens: int = NEW_TOKENS, one_in: int = 1, *, untested: bool = False) -> Result:
    """Build an architecture's tiny model and adapters, answer everything, and compare; in float32 on the CPU.

    Args:
        name: One of ``tiny.names()``.
        new_tokens: Most tokens of an answer.
        one_in: Of so many answers and references one is compared; the truth takes nearly all of the time.
        untested: Whether the engine may take its fast ways as if it had been tested with this type of model.
    """
    result = Result(name)
    as_tested = as_if_tested() if untested else nullcontext()
    with tempfile.TemporaryDirectory() as folder, one_thread(), as_tested:
        saved = save_all(name, Path(folder), result)
        if saved is None:
            return result
        true_base = None
        for variant in (BASE, *saved.adapters):
            found = result.variants.setdefault(variant, Compared())
            truth = _truth(saved, variant, new_tokens, one_in, result)
            if truth is not None:
                true_base = true_base or truth
                found.changed = _changed(truth, true_base)
                _compare(saved, variant, truth, new_tokens, result)
    return result


def save_all(name: str, folder: Path, result: Result, calm: float = 1.0) -> Saved | None:
    """Build a tiny model and all adapters that PEFT makes of it, and save them.

    Args:
        name: One of ``tiny.names()``.
        folder: Where.
        result: Told the class, and what cannot be made.
        calm: As of ``tiny.build``.

    Returns:
        None where there is no such model.
    """
    try:
        model = tiny.build(name, calm)
    except tiny.NotBuiltError as cause:
        result.notes.append(str(cause))
        return None
    result.model_class, result.way = type(model).__name__, "crashed"
    return Saved(tiny.save(model, folder / "base"), _save_adapters(model, folder, calm, result))


def _save_adapters(model: Any, folder: Path, calm: float, result: Result) -> dict[str, Path]:
    """One of all linear layers; for experts one of these too, unless PEFT's ``all-linear`` has them already."""
    try:
        lora = save_adapter(model, folder / "lora", calm=calm)
        if adapts_experts(lora):
            return {"experts": lora}
        found = {"lora": lora}
        if experts := expert_parameters(model):
            found["experts"] = save_adapter(model, folder / "experts", experts, calm=calm)
    except NotAdaptedError as cause:
        result.notes.append(str(cause))
        return {}
    return found


def _truth(saved: Saved, variant: str, new_tokens: int, one_in: int, result: Result) -> Truth | None:
    """What plain transformers and PEFT give; None where they cannot, which the result is told."""
    mixed, sharing = questions(), questions(SHARING, shared=True)
    try:
        plain = Plain(saved.base, saved.adapters.get(variant))
        answers = {one.id: plain.answer(one, new_tokens) for one in mixed[::one_in]}
        sharing_answers = {one.id: plain.answer(one, new_tokens) for one in sharing[::one_in]}
        likelihoods = [plain.likelihood(question) for question in mixed[::one_in]]
    except Exception as cause:  # noqa: BLE001 - whatever a model's own code raises
        result.variants[variant].error = f"plain transformers: {one_line(cause)}"
        result.way = "not asked" if variant == BASE else result.way
        return None
    return Truth(Asked(mixed, answers), Asked(sharing, sharing_answers), likelihoods, one_in)


def _changed(truth: Truth, other: Truth) -> int:
    """How many answers are not the other's."""
    return sum(mine.tokens != other.mixed.truth[name].tokens for name, mine in truth.mixed.truth.items())


def _compare(saved: Saved, variant: str, truth: Truth, new_tokens: int, result: Result) -> None:
    """Fill in what the engine makes of one variant."""
    found = result.variants[variant]
    try:
        with side_by_side():
            generator = load(saved.base, variant, saved.adapters.get(variant))
            if variant == BASE:
                result.way = way_of(generator)
            for asked, slots in ((truth.mixed, SLOTS), (truth.sharing, FEW_SLOTS)):
                settings = GenerationSettings(max_new_tokens=new_tokens, batch_size=slots)
                compare_answers(generator, variant, asked, settings, found)
            found.worst = differences(generator, variant, truth.mixed.questions, truth.likelihoods, truth.one_in)[-1]
    except LoraLiftError as cause:
        result.way = "refused" if variant == BASE else result.way
        found.error = one_line(cause).replace(str(saved.base.parent), "")
    except Exception as cause:  # noqa: BLE001 - an engine's traceback is a result here
        found.error = f"traceback: {one_line(cause)}"
