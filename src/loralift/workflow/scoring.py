"""What is scored and how: the metrics, whether they can run, and whether they see the data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loralift.comparison import Settings
from loralift.config import RunConfig
from loralift.errors import MetricError, UsageError, some
from loralift.generation import Generator
from loralift.metrics import (
    DEFAULT_METRICS,
    METRICS,
    MOST_UNSEEN,
    TOKENISED,
    Blindness,
    MetricSettings,
    blindness,
    expand_names,
    left_for_english,
    metric_of,
    own_metrics,
    score_examples,
    with_weights,
)
from loralift.metrics.own import rehearse_own
from loralift.records import (
    Answer,
    Example,
    MetricInfo,
    Question,
    ReferenceLikelihood,
    Thinking,
)
from loralift.workflow.comparing import primary_of, remedy
from loralift.workflow.datasets import of_task
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.thinking import thinking_of

PERPLEXITY = "perplexity"

# Descriptive metrics, always computed: they are cheap, and show other explanations of a difference.
CHECKS = tuple(name for name, metric in METRICS.items() if metric.higher_is_better is None and name != "windowed")

REHEARSED = 8
"""On how many questions, spread over the data, metrics of the user's own are tried before a run."""

LOOKED_AT = 1_000
"""How many references, spread over the data, are checked for whether the metrics can score them."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """What is scored and how.

    Attributes:
        metrics: Metric name to what is known of it, in the order of the tables.
        settings: Settings of the metrics.
        primary: The metric that decides.
        benchmark: The benchmark's name in the SDK's bundles.
        seed: Seed of the intervals' bootstrap.
    """

    metrics: Mapping[str, MetricInfo]
    settings: MetricSettings
    primary: str
    benchmark: str
    seed: int

    @property
    def judged(self) -> dict[str, MetricInfo]:
        """The metrics with a direction."""
        return {name: info for name, info in self.metrics.items() if info.higher_is_better is not None}


def scoring_of(config: RunConfig) -> Scoring:
    """The scoring's part of the configuration.

    Raises:
        UsageError: A metric is unknown, or the primary one is not among them or is never judged, or a margin holds the
            whole scale of its metric.
    """
    settings = MetricSettings(
        semantic_similarity_model=config.semantic_similarity_model,
        rouge_stemmer=config.rouge_stemmer,
        tokenizer=config.tokenizer,
        bert_score_model=config.bert_score_model,
        bert_score_layers=config.bert_score_layers,
        batch_size=config.metric_batch_size,
        device=config.device,
        own=own_metrics("--metric", config.own_metrics),
        thinking=Thinking(keep=config.thinking == "keep"),
    )
    own = [metric.name for metric in settings.own]
    asked = DEFAULT_METRICS if config.metrics is None else config.metrics
    names = expand_names([*asked, *own, *(() if config.metrics is None else CHECKS)], settings.own)
    metrics = {name: metric_of(name, settings).info(settings) for name in names}
    judged = [info.name for info in metrics.values() if info.higher_is_better is not None]
    if not judged:
        raise UsageError(f"`--metrics` must name one metric at least that is judged, got {', '.join(names)}")
    primary = config.primary or primary_of(judged)
    own_margins = [name for name in config.margins if not of_task(name)]
    for argument, chosen in (("--primary", [primary]), ("--margin", own_margins)):
        for name in chosen:
            if name not in judged:
                raise UsageError(f"`{argument}` must name one of the metrics {', '.join(judged)}, got {name!r}")
    Settings(margins=config.margins).fit(metrics)
    benchmark = config.dataset.split("?")[0].rstrip("/").rpartition("/")[2].partition(".")[0]
    return Scoring(metrics, settings, primary, benchmark or "data", config.seed)


def model_of(generator: Generator) -> str:
    """A base model and its tokenizer, as perplexity's signature names them.

    A perplexity is per token, so a comparison of two runs must know whether their tokens are the same. Of a served
    model the tokenizer may not be known.
    """
    vocabulary, base = generator.tokenizer.get_vocab(), generator.base_model.identity
    if not vocabulary:
        return base
    return f"{base},tokenizer:{hashlib.sha256(json.dumps(vocabulary, sort_keys=True).encode()).hexdigest()[:12]}"


def settings_of(config: RunConfig, scoring: Scoring) -> Settings:
    """The comparison's settings, from the configuration."""
    # those of tasks are of their data sets' metrics; that each is of some metric is checked where these are known
    margins = {name: margin for name, margin in config.margins.items() if name in scoring.metrics}
    return Settings(primary=scoring.primary, margins=margins, seed=config.seed, resamples=config.resamples)


def rehearse(scoring: Scoring, questions: Sequence[Question]) -> list[str]:
    """Score made-up answers, so that a metric that cannot run says so before hours of generation.

    Args:
        scoring: The metrics.
        questions: The data, at least one; metrics of the user's own are tried on REHEARSED of them.

    Returns:
        What a reader must know of metrics of the user's own.

    Raises:
        LoraLiftError: The metric cannot run.
    """
    question = questions[0]
    answer = Answer(question.id, question.question, "stop", 1, 1, 0.0)
    likelihood = ReferenceLikelihood(question.id, -1.0, 1)
    score_examples(list(scoring.metrics), [Example(question, answer, likelihood)], scoring.settings)
    some_of = questions[:: -(-len(questions) // REHEARSED)]
    settings, decides = scoring.settings, scoring.primary
    tried = [rehearse_own(metric, some_of, settings, decides=metric.name == decides) for metric in settings.own]
    return [note for notes in tried for note in notes]


def refuse_blind(scoring: Scoring, questions: Sequence[Question]) -> list[str]:
    """Refuse a primary metric that cannot score most of the references, before weights are loaded.

    Each metric is asked about references as if they were also the answers; of more data, about LOOKED_AT of them.

    Args:
        scoring: The metrics.
        questions: The data, at least one.

    Returns:
        What the other judged metrics cannot score, one sentence for each reason, and that a tokenizer for English was
        left for other scripts.

    Raises:
        UsageError: The primary metric is blind to more than half of the references; the message names those that are
            not.
    """
    step = -(-len(questions) // LOOKED_AT)
    asked = questions[::step]
    judged = [name for name, info in scoring.metrics.items() if info.higher_is_better is not None]
    found = {name: blindness(metric_of(name, scoring.settings), asked, scoring.settings) for name in judged}
    if (of := found[scoring.primary]).share > MOST_UNSEEN:
        can_see = [name for name in judged if found[name].share <= MOST_UNSEEN]
        by_words = blindness(
            metric_of(scoring.primary, scoring.settings), asked, replace(scoring.settings, tokenizer="unicode")
        )
        helps = scoring.primary in TOKENISED and by_words.share <= MOST_UNSEEN
        parted = ", or give --tokenizer unicode" if helps else ""
        raise UsageError(
            f"`--primary` must be a metric that sees the data, and {scoring.primary} cannot score {of.unseen} of "
            f"{of.references} references ({of.reason}): "
            f"{remedy(can_see, primary=scoring.primary)}{parted}"
        )
    titles: dict[Blindness, list[str]] = {}
    for name, of in found.items():
        titles.setdefault(of, []).append(scoring.metrics[name].title)
    english = left_for_english(judged, asked, scoring.settings)
    return ([english] if english else []) + [
        f"{', '.join(named)} cannot score {of.unseen} of {of.references} references: {of.reason}"
        for of, named in titles.items()
        if of.unseen
    ]


@dataclass(frozen=True, slots=True)
class Tried:
    """What is known of metrics that can run.

    Attributes:
        notes: What a reader must know of them, one sentence each.
        weights: What their models are made of, as `MetricSettings` has it.
    """

    notes: list[str]
    weights: tuple[tuple[str, str], ...]


def try_metrics(scoring: Scoring, questions: Sequence[Question], decisive: Sequence[Question]) -> Tried:
    """Make sure that the metrics can run, and that the primary one can see the data.

    Args:
        scoring: The metrics.
        questions: Of all data sets that are scored.
        decisive: Of the one that decides.

    Raises:
        LoraLiftError: What `rehearse` and `refuse_blind` raise.
    """
    notes = [*rehearse(scoring, questions), *refuse_blind(scoring, decisive)]
    return Tried(notes, weights_of(scoring))


def weights_of(scoring: Scoring) -> tuple[tuple[str, str], ...]:
    """What the metrics' models are made of, as `MetricSettings` has it; loads them."""
    return with_weights(scoring.settings, scoring.metrics).weights


def refuse_other_weights(scoring: Scoring) -> None:
    """Refuse models of metrics that are no longer what they were when the metrics were tried.

    Raises:
        MetricError: Another process loaded another one.
    """
    known = scoring.settings.weights
    if known and (other := set(known) - set(weights_of(scoring))):
        names = some(sorted(name for name, _ in other))
        raise MetricError(f"the model of {names} changed while it was in use")


def with_model(scoring: Scoring, described: str) -> Scoring:
    """The same scoring, whose perplexity names the model that it is of.

    Args:
        scoring: As it was before the base model was inspected.
        described: The base model and its tokenizer, e.g. ``org/model@revision,tokenizer:1f3a…``; no ``|`` in it.
    """
    return with_settings(scoring, perplexity_of=described)


def per_character(scoring: Scoring) -> Scoring:
    """The same scoring for variants with several tokenizers: perplexity is of characters."""
    return with_settings(scoring, perplexity_per="character")


def with_settings(scoring: Scoring, **changed: Any) -> Scoring:
    """The same scoring with other settings of its metrics, and so with other signatures."""
    settings = replace(scoring.settings, **changed)
    metrics = {name: metric_of(name, settings).info(settings) for name in scoring.metrics}
    return replace(scoring, metrics=metrics, settings=settings)


def parting_settings(directory: RunDirectory, scoring: Scoring) -> MetricSettings:
    """The metrics' settings for answers of one part of a run, whose prompts may open thinking as others' do not."""
    return replace(scoring.settings, thinking=thinking_of(directory))
