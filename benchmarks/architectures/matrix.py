"""One architecture: what the engine answers, beside the plain truth."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.architectures import tiny
from benchmarks.architectures.lora import NotAdaptedError, adapts_experts, expert_parameters, save_adapter
from benchmarks.architectures.prompts import NEW_TOKENS, Question, questions, tokenizer
from benchmarks.architectures.reference import Plain, TrueAnswer, first_differing
from benchmarks.architectures.sizes import BOS, ENDS, PAD, UNKNOWN
from loralift.errors import LoraLiftError
from loralift.generation import GenerationSettings, load_transformers
from loralift.records import BASE

SLOTS = 64
"""Rows at once, fewer than there are questions; so many are dealt out to two threads on a CPU."""

SHARING = 16
"""Questions of a second kind, which all begin with the same tokens."""

FEW_SLOTS = 6
"""For questions that share their beginning: rows follow on rows several times."""

THREADS = 2
NEAR_TIE = 1e-4
"""Two logits so close may change places by rounding alone."""

TOLERANCE = 1e-4
"""Nats a token, in float32."""

BFLOAT16_TOLERANCE = 0.02
"""Nats a token, between bfloat16 and float32."""

_SPECIAL = (PAD, BOS, UNKNOWN)


@dataclass(slots=True)
class Compared:
    """One variant beside the truth.

    Attributes:
        differing: Answers that are not the truth's, near ties left out.
        near_ties: Answers that part where the truth's best two logits are less than ``NEAR_TIE`` apart.
        answers: How many there are.
        changed: How many of them are not the base's, by the truth.
        worst: The largest difference of a reference's log-likelihood, in nats a token; NaN where one is none.
        error: What went wrong instead, in one line.
        tolerance: What ``worst`` may be.
    """

    differing: int = 0
    near_ties: int = 0
    answers: int = 0
    changed: int = 0
    worst: float = 0.0
    error: str | None = None
    tolerance: float = TOLERANCE

    @property
    def equal(self) -> bool:
        """Whether it is the truth's."""
        return self.error is None and self.differing == 0 and self.worst <= self.tolerance


@dataclass(slots=True)
class Result:
    """One architecture.

    Attributes:
        name: Of ``tiny.names()``.
        model_class: transformers' name of its class.
        way: ``loop``, ``generate``, or ``refused``; ``crashed`` where the engine cannot say for a traceback, ``not
            built`` where there is no tiny model, ``not asked`` where transformers itself cannot answer, ``died`` where
            the process did.
        variants: By name: ``base``, ``lora``, ``experts``.
        notes: What else is to be told, a sentence each.
    """

    name: str
    model_class: str = ""
    way: str = "not built"
    variants: dict[str, Compared] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def way_of(generator: Any) -> str:
    """Which way the engine takes for this model. The one place that asks the engine for it."""
    from loralift.generation.lanes import can_fly

    return "loop" if can_fly(generator._loaded.base) else "generate"


def examine(name: str, rows: int | None = None) -> Result:
    """Build an architecture's tiny model and adapters, answer everything, and compare; in float32 on the CPU.

    Args:
        name: One of ``tiny.names()``.
        rows: Questions; None: all.
    """
    result = Result(name)
    with tempfile.TemporaryDirectory() as place, threads(1):
        try:
            model = tiny.build(name)
        except tiny.NotBuiltError as cause:
            result.notes.append(str(cause))
            return result
        result.model_class, result.way = type(model).__name__, "crashed"
        folder = Path(place)
        base = tiny.save(model, folder / "base")
        adapters = make_adapters(model, folder, result)
        asked = [questions(rows) if rows else questions(), questions(min(rows or SHARING, SHARING), shared=True)]
        _examine_saved(base, adapters, asked, result)
    return result


def make_adapters(model: Any, folder: Path, result: Result) -> dict[str, Path]:
    """The adapters that PEFT makes of a model, saved; of the others the result's notes tell."""
    experts = tuple(expert_parameters(model))
    found: dict[str, Path] = {}
    for name, parameters in {"lora": (), "experts": experts}.items():
        if name == "experts" and not experts:
            continue
        if "lora" in found and adapts_experts(found["lora"]):
            # the adapter of all linear layers is that of the experts too
            return {"experts": found["lora"]}
        try:
            found[name] = save_adapter(model, folder / name, parameters)
        except NotAdaptedError as cause:
            result.notes.append(f"{name}: {cause}")
    return found


def _examine_saved(base: Path, adapters: dict[str, Path], asked: Sequence[Sequence[Question]], result: Result) -> None:
    """Fill in what the engine makes of a saved model, each adapter loaded by itself so that one cannot hide another."""
    true_base: list[TrueAnswer] = []
    for variant in (BASE, *adapters):
        found = result.variants.setdefault(variant, Compared())
        try:
            plain = Plain(base, adapters.get(variant))
            truth = [[plain.answer(question, NEW_TOKENS) for question in some] for some in asked]
            likely = [plain.likelihood(question) for question in asked[0]]
        except Exception as cause:  # noqa: BLE001 - whatever a model's own code raises
            found.error = f"plain transformers: {one_line(cause)}"
            result.way = "not asked" if variant == BASE else result.way
            continue
        true_base = true_base or truth[0]
        found.changed = sum(one.tokens != other.tokens for one, other in zip(truth[0], true_base, strict=True))
        try:
            chosen = {} if variant == BASE else {variant: str(adapters[variant])}
            with threads(THREADS):
                generator = load_transformers(str(base), chosen, dtype="float32", device="cpu")
                if variant == BASE:
                    result.way = way_of(generator)
                for some, true in zip(asked, truth, strict=True):
                    compare_answers(generator, variant, some, true, found)
                compare_likelihoods(generator, variant, asked[0], likely, found)
        except LoraLiftError as cause:
            result.way = "refused" if variant == BASE else result.way
            found.error = one_line(cause).replace(str(base.parent), "")
        except Exception as cause:  # noqa: BLE001 - an engine's traceback is a result here
            found.error = f"traceback: {one_line(cause)}"


def compare_answers(
    generator: Any, variant: str, asked: Sequence[Question], truth: Sequence[TrueAnswer], found: Compared
) -> None:
    """Let the engine answer, and count what is not the truth's."""
    slots = SLOTS if len(asked) > SLOTS else FEW_SLOTS
    settings = GenerationSettings(max_new_tokens=NEW_TOKENS, batch_size=slots)
    given = {
        answer.id: answer
        for answer in generator.generate(variant, [question.as_prompt() for question in asked], settings)
    }
    for question, true in zip(asked, truth, strict=True):
        found.answers += 1
        answer = given[question.id]
        # an end of sequence is no word: which of them ended an answer is not told
        ended = true.tokens[-1] in ENDS
        words = [token for token in (true.tokens[:-1] if ended else true.tokens) if token not in _SPECIAL]
        made = tokenizer().convert_tokens_to_ids(answer.text.split())
        if made == words and (answer.finish_reason == "stop") == ended:
            continue
        place = first_differing(TrueAnswer(tuple(words), ()), made)
        gap = min(true.gaps[: (len(words) if place is None else place) + 1][-1:], default=0.0)
        if gap < NEAR_TIE:
            found.near_ties += 1
        else:
            found.differing += 1


def compare_likelihoods(
    generator: Any, variant: str, asked: Sequence[Question], truth: Sequence[float], found: Compared
) -> None:
    """Let the engine score the references, and keep the worst difference, in nats a token."""
    from benchmarks.architectures.prompts import text

    prompts = [question.as_prompt() for question in asked]
    references = [text(question.reference) for question in asked]
    given = {one.id: one for one in generator.reference_likelihoods(variant, prompts, references, " ")}
    for question, true in zip(asked, truth, strict=True):
        one = given[question.id]
        if one.log_likelihood is None:  # beyond the context window, which the engine says
            continue
        differs = abs(one.log_likelihood - true) / len(question.reference)
        found.worst = differs if not differs <= found.worst else found.worst


def one_line(cause: BaseException) -> str:
    """An exception in one line."""
    lines = str(cause).strip().splitlines() or [""]
    return f"{type(cause).__name__}: {lines[0].strip()}"[:240]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch on so many threads: one for models this small, two where the engine works side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
