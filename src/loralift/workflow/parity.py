"""`loralift check --parity`: one model answers the same questions in every mode in which LoraLift may run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from loralift.config import RunConfig
from loralift.data import CHAT_SEPARATOR, PLAIN_SEPARATOR
from loralift.errors import UsageError, some, wrong_argument
from loralift.generation import Generator, inspect_adapter, inspect_base
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.model.base_model import BaseModel
from loralift.generation.parity import modes as modes
from loralift.generation.parity.probe import Asked, Given, ask
from loralift.generation.transformers_engine.batching import release_memory
from loralift.generation.transformers_engine.load import load_model
from loralift.records import BASE, Parity, Question
from loralift.workflow.checking import check_adapters, questions_to_check
from loralift.workflow.comparing_modes import compare_modes, judged_metrics
from loralift.workflow.generating import generation_settings, render_prompts
from loralift.workflow.scoring import rehearse, scoring_of
from loralift.workflow.watching import Watcher

QUESTIONS = 32
"""Questions where --limit says nothing: some modes take one at a time, and a small model on a CPU a minute for all."""

TOKENS = 64
"""Most tokens of an answer where --max-new-tokens says nothing."""


@dataclass(eq=False)
class _Model:
    """What is asked of which model, and what came of it so far.

    Attributes:
        config: Of the check.
        watcher: Told what is done.
        base: The base.
        infos: Its adapters.
        given: Mode to variant to what it gave.
        numerics: Of transformers.
        merging_lost: As of ``Parity``.
        notes: Likewise.
    """

    config: RunConfig
    watcher: Watcher
    base: BaseModel
    infos: Sequence[AdapterInfo]
    given: dict[str, dict[str, Given]] = field(default_factory=dict)
    numerics: dict[str, str] = field(default_factory=dict)
    merging_lost: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def placed(self) -> tuple[str, str]:
        """Dtype and device."""
        return self.config.dtype or "auto", self.config.device or "auto"


def check_parity(config: RunConfig, watcher: Watcher) -> Parity:
    """Answer the same questions in every mode, greedily, and compare each with the reference mode.

    Raises:
        UsageError: There is no adapter.
        LoraLiftError: One line on what is wrong with the model, an adapter, a metric or the data.
    """
    if not config.adapters:
        raise UsageError(wrong_argument("--adapter", "given at least once", "none"))
    if "max_new_tokens" not in config.model_fields_set:
        config = config.model_copy(update={"max_new_tokens": TOKENS})
    scoring = scoring_of(config)
    questions, source = questions_to_check(config)
    if config.limit is None:
        questions = questions[:: max(len(questions) // QUESTIONS, 1)][:QUESTIONS]
    rehearse(scoring, questions[0])
    base = inspect_base(config.model, config.revision)
    infos = [inspect_adapter(name, path, base.config) for name, path in config.adapters.items()]
    model = _Model(config, watcher, base, infos)
    asked = _ask_transformers(model, questions)
    release_memory()
    _ask_vllm(model, asked)
    watcher.say(f"scoring {len(questions)} answers of every mode that differ")
    noise, found = compare_modes(model.given, questions, scoring, config)
    return Parity(
        reference=modes.REFERENCE.name,
        noise_mode=modes.BATCHED.name,
        questions=source,
        max_new_tokens=config.max_new_tokens,
        numerics=model.numerics,
        variants=(BASE, *config.adapters),
        metrics=judged_metrics(scoring),
        noise=noise,
        modes=found,
        merging_lost=model.merging_lost,
        notes=tuple(model.notes),
    )


def _ask_transformers(model: _Model, questions: Sequence[Question]) -> Asked:
    """Ask in all modes of transformers; the model is gone when this returns: its memory is vLLM's then."""
    config, watcher = model.config, model.watcher
    watcher.say(f"model: loading {config.model}")
    loaded = load_model(model.base, model.infos, *model.placed)
    with modes.opened(loaded, modes.REFERENCE) as generator:
        prompts = render_prompts(generator, questions, config)
        check_adapters(generator, prompts, watcher, chat_template=config.chat_template)
        model.numerics = {name: str(value) for name, value in generator.describe().numerics.items()}
    separator = CHAT_SEPARATOR if config.chat_template else PLAIN_SEPARATOR
    settings = replace(generation_settings(config), temperature=0.0)
    asked = Asked(prompts, [question.reference for question in questions], separator, settings)
    layered = [name for name in loaded.adapters if not modes.merges(loaded, name)]
    for mode in modes.transformers_modes(loaded, len(questions)):
        variants = [name for name in (BASE, *loaded.adapters) if not mode.merged or name not in layered]
        with modes.opened(loaded, mode) as generator:
            _ask(model, generator, mode, variants, asked)
    if layered:
        dtype = model.numerics["dtype"]
        model.notes.append(f"transformers: left in PEFT's layers, here as in a run ({dtype}): {some(layered)}.")
    return asked


def _ask_vllm(model: _Model, asked: Asked) -> None:
    found = modes.vllm_modes(model.base, model.infos, model.config.engine, *model.placed)
    if not found and model.config.engine == "auto":
        model.notes.append("vLLM: not here, as a run would not take it; it needs its extra, a CUDA GPU and 16 bits.")
    for mode in found:
        _ask_vllm_mode(model, mode, asked)
        release_memory()


def _ask_vllm_mode(model: _Model, mode: modes.Mode, asked: Asked) -> None:
    """Ask in one mode of vLLM; its engine is gone when this returns."""
    model.watcher.say(f"model: starting {mode.name}")
    generator = modes.start_vllm(model.base, model.infos, model.placed[0], mode, len(asked.prompts))
    _ask(model, generator, mode, generator.variants, asked)
    model.merging_lost |= modes.merging_lost(generator)


def _ask(model: _Model, generator: Generator, mode: modes.Mode, variants: Sequence[str], asked: Asked) -> None:
    """Let variants answer in a mode; the base comes last, and so shows whether an adapter left anything behind."""
    reference = model.given.get(modes.REFERENCE.name, {})
    model.given[mode.name] = {}
    for variant in reversed(variants):
        watched = reference[variant].watched if variant in reference else None
        with model.watcher.task(f"{mode.name}: {variant}", len(asked.prompts)) as advance:
            given = ask(generator, variant, asked, rows=mode.batch_size, watched=watched, on_progress=advance)
        model.given[mode.name][variant] = given
