"""`loralift check --parity`: one model answers the same questions in every mode in which LoraLift may run it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from loralift.comparison import compare, first_divergence, judge_mode, noise_floor
from loralift.config import RunConfig
from loralift.errors import UsageError, some, wrong_argument
from loralift.generation import Generator, inspect_adapters
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.model.base_model import BaseModel
from loralift.generation.parity import modes
from loralift.generation.parity.modes import BATCHED, REFERENCE
from loralift.generation.parity.probe import Asked, Given, ask
from loralift.generation.transformers_engine.batching import release_memory
from loralift.generation.transformers_engine.load import load_model
from loralift.generation.transformers_engine.self_check import checked_capability
from loralift.metrics import score_examples
from loralift.records import (
    BASE,
    Example,
    MetricComparison,
    ModeParity,
    NoiseFloor,
    Parity,
    Question,
    ReferenceLikelihood,
    Score,
)
from loralift.workflow.asking import generation_settings
from loralift.workflow.checking import ask_first, check_adapters, questions_to_check
from loralift.workflow.comparing import corpus_aggregates
from loralift.workflow.generating import inspect_model
from loralift.workflow.progress import Watcher
from loralift.workflow.scoring import PERPLEXITY, Scoring, scoring_of, settings_of, try_metrics

QUESTIONS = 32
"""Number of questions without --limit: some modes answer one at a time, a small model on a CPU in a minute in all."""

TOKENS = 64
"""Most tokens of an answer without --max-new-tokens."""


PERPLEXITY_SHARE = 0.01
"""Perplexity's margin without --margin, as a share of its value: a hundredth of a nat a token."""


@dataclass(eq=False)
class _Model:
    """The model under test, and the results so far.

    Attributes:
        config: Configuration of the check.
        watcher: Told what is done.
        base: The base model.
        infos: Its adapters.
        given: Mode to variant to what it answered.
        numerics: ``Description.numerics`` of the transformers engine.
        merging_lost: As in ``Parity``.
        notes: As in ``Parity``.
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
    if config.candidates:
        raise UsageError("`--candidate` has no modes to compare: leave it out")
    if config.endpoint is not None:
        raise UsageError("`--engine` endpoint has no modes to compare: the server decides how a model is run")
    if not config.adapters:
        raise UsageError(wrong_argument("--adapter", "given at least once", "none"))
    if "max_new_tokens" not in config.model_fields_set:
        config = config.model_copy(update={"max_new_tokens": TOKENS})
    # modes are compared on all that they generate, and so few tokens are often thinking alone
    config = config.model_copy(update={"thinking": "keep"})
    scoring = scoring_of(config)
    questions, source = questions_to_check(config)
    if config.limit is None:
        questions = questions[:: max(len(questions) // QUESTIONS, 1)][:QUESTIONS]
    for note in try_metrics(scoring, questions, questions).notes:
        watcher.say(f"metrics: {note}")
    base = inspect_model(config)
    infos = inspect_adapters(base, config.adapters)
    model = _Model(config, watcher, base, infos)
    asked = _ask_transformers(model, questions)
    release_memory()
    _ask_vllm(model, asked)
    watcher.say(f"scoring {len(questions)} answers of every mode that differ")
    noise, found = compare_modes(model.given, questions, scoring, config)
    return Parity(
        reference=REFERENCE.name,
        noise_mode=BATCHED.name,
        questions=source,
        max_new_tokens=asked.settings.max_new_tokens,
        numerics=model.numerics,
        variants=(BASE, *config.adapters),
        metrics=scoring.judged,
        noise=noise,
        modes=found,
        merging_lost=model.merging_lost,
        notes=tuple(model.notes),
    )


def _ask_transformers(model: _Model, questions: Sequence[Question]) -> Asked:
    """Run all modes of transformers; frees the model before it returns, since vLLM needs the memory."""
    config, watcher = model.config, model.watcher
    watcher.say(f"model: loading {config.model}")
    loaded = load_model(model.base, model.infos, *model.placed)
    capability = checked_capability(loaded, config.decoding)
    model.notes.extend(capability.notes)
    with modes.opened(loaded, capability, REFERENCE) as generator:
        first = ask_first(generator, questions, config)
        check_adapters(generator, first.prompts, watcher, chat_template=first.asking.chat)
        model.numerics = {name: str(value) for name, value in generator.describe().numerics.items()}
    settings = replace(generation_settings(first.asking.protocol, config), temperature=0.0)
    references = [question.reference for question in questions]
    asked = Asked(first.prompts, references, first.asking.separator, settings)
    layered = [name for name in loaded.adapters if not modes.merges(loaded, capability, name)]
    for mode in modes.transformers_modes(loaded, capability, len(questions)):
        variants = [name for name in (BASE, *loaded.adapters) if not mode.merged or name not in layered]
        with modes.opened(loaded, capability, mode) as generator:
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
    """Run one mode of vLLM; its engine is shut down when this returns."""
    model.watcher.say(f"model: starting {mode.name}")
    generator = modes.start_vllm(model.base, model.infos, model.placed[0], mode, len(asked.prompts))
    _ask(model, generator, mode, generator.variants, asked)
    model.merging_lost |= modes.merging_lost(generator)


def _ask(model: _Model, generator: Generator, mode: modes.Mode, variants: Sequence[str], asked: Asked) -> None:
    """Let variants answer in a mode; the base is last, which shows whether adapters are removed without a trace."""
    reference = model.given.get(REFERENCE.name, {})
    model.given[mode.name] = {}
    for variant in reversed(variants):
        watched = reference[variant].watched if variant in reference else None
        with model.watcher.task(f"{mode.name}: {variant}", len(asked.prompts)) as advance:
            given = ask(generator, variant, asked, rows=mode.batch_size, watched=watched, on_progress=advance)
        model.given[mode.name][variant] = given


def compare_modes(
    given: Mapping[str, Mapping[str, Given]], questions: Sequence[Question], scoring: Scoring, config: RunConfig
) -> tuple[dict[str, dict[str, float]], tuple[ModeParity, ...]]:
    """Compare every mode of every variant with the reference mode of that variant.

    Args:
        given: Mode to variant to what it answered.
        questions: The questions.
        scoring: The metrics.
        config: Margins, seed and resamples.

    Returns:
        Variant to metric to the noise floor, and every mode of every variant, by variant.
    """
    noise, found = {}, []
    for variant in (BASE, *config.adapters):
        reference = given[REFERENCE.name][variant]
        of_variant = {mode: of[variant] for mode, of in given.items() if variant in of}
        scores = _score(of_variant, questions, scoring)
        margins = _margins(scores[REFERENCE.name], scoring, config)
        floors = _floors(scores, scoring)
        noise[variant] = {name: floor.floor for name, floor in floors.items()}
        for mode in [name for name in of_variant if name != REFERENCE.name]:
            rows = _compare(mode, scores, scoring, margins, config)
            known = None if mode == BATCHED.name else floors
            found.append(_mode(mode, variant, reference, of_variant[mode], rows, known))
    return noise, tuple(found)


def _score(given: Mapping[str, Given], questions: Sequence[Question], scoring: Scoring) -> dict[str, list[Score]]:
    """Each mode's scores; equal answers of several modes are scored once."""
    names = [name for name in scoring.judged if name != PERPLEXITY]
    of_texts = {
        (question.id, one.answers[question.id].text): Example(question, one.answers[question.id])
        for one in given.values()
        for question in questions
    }
    rows = score_examples(names, list(of_texts.values()), scoring.settings) if names else []
    known = dict(zip(of_texts, rows, strict=bool(names)))
    found = {}
    for mode, one in given.items():
        texts = {question.id: one.answers[question.id].text for question in questions}
        found[mode] = [known.get((key, text), Score(key, {})) for key, text in texts.items()]
        if PERPLEXITY in scoring.metrics:
            found[mode] = _with_perplexity(found[mode], one, questions, scoring)
    return found


def _with_perplexity(
    scores: Sequence[Score], given: Given, questions: Sequence[Question], scoring: Scoring
) -> list[Score]:
    examples = [Example(q, given.answers[q.id], given.likelihoods[q.id]) for q in questions]
    extra = score_examples([PERPLEXITY], examples, scoring.settings)
    return [
        Score(
            one.id,
            {**one.values, **more.values},
            {**one.statistics, **more.statistics},
            {**one.unscored, **more.unscored},
        )
        for one, more in zip(scores, extra, strict=True)
    ]


def _margins(reference: Sequence[Score], scoring: Scoring, config: RunConfig) -> dict[str, float]:
    """The configuration's margins, and perplexity's, which has none of its own."""
    sums = [row.statistics[PERPLEXITY] for row in reference if PERPLEXITY in row.statistics]
    if PERPLEXITY in config.margins or not sums:
        return dict(config.margins)
    aggregate = corpus_aggregates(scoring.metrics)[PERPLEXITY]
    value = float(aggregate(np.sum(sums, axis=0)))
    return {**config.margins, PERPLEXITY: PERPLEXITY_SHARE * value} if np.isfinite(value) else dict(config.margins)


def _compare(
    mode: str,
    scores: Mapping[str, Sequence[Score]],
    scoring: Scoring,
    margins: Mapping[str, float],
    config: RunConfig,
) -> tuple[MetricComparison, ...]:
    """Compare a mode with the reference, as a family of its own, so that modes without a difference do not hide one."""
    metrics = scoring.judged
    return compare(
        REFERENCE.name,
        scores[REFERENCE.name],
        {mode: scores[mode]},
        metrics,
        replace(settings_of(config, scoring), margins=margins),
        aggregates=corpus_aggregates(metrics),
    ).rows


def _floors(scores: Mapping[str, Sequence[Score]], scoring: Scoring) -> dict[str, NoiseFloor]:
    metrics = scoring.judged
    floors = noise_floor(scores[REFERENCE.name], scores[BATCHED.name], metrics, corpus_aggregates(metrics))
    return {floor.metric: floor for floor in floors}


def _mode(
    mode: str,
    variant: str,
    reference: Given,
    given: Given,
    rows: tuple[MetricComparison, ...],
    floors: Mapping[str, NoiseFloor] | None,
) -> ModeParity:
    places = [first_divergence(tokens, given.tokens[key]) for key, tokens in reference.tokens.items()]
    diverging = [place for place in places if place is not None]
    apart = _nats_apart(reference.likelihoods, given.likelihoods)
    verdict, moved = judge_mode(rows, floors, identical=not diverging)
    return ModeParity(
        mode=mode,
        variant=variant,
        n=len(places),
        identical=len(places) - len(diverging),
        earliest_divergence=min(diverging, default=None),
        median_divergence=statistics.median(diverging) if diverging else None,
        log_likelihood_mean=statistics.fmean(apart) if apart else None,
        log_likelihood_max=max(apart, default=None),
        next_token_max=float(np.abs(given.log_probabilities - reference.log_probabilities).max()),
        metrics=rows,
        moved=moved,
        verdict=verdict,
    )


def _nats_apart(reference: Mapping[str, ReferenceLikelihood], other: Mapping[str, ReferenceLikelihood]) -> list[float]:
    """Absolute differences of the references' log-likelihoods, in nats a token, where both modes have one."""
    pairs = ((one, other[key]) for key, one in reference.items())
    return [
        abs(one.log_likelihood - two.log_likelihood) / one.tokens
        for one, two in pairs
        if one.log_likelihood is not None and two.log_likelihood is not None and one.tokens
    ]
