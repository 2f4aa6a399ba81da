"""What the ways of a model gave, compared with the reference way: tokens, likelihoods, metrics."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from loralift.comparison import compare, first_divergence, judge_way, noise_floor
from loralift.config import RunConfig
from loralift.generation.asking import Given
from loralift.generation.ways import BATCHED, REFERENCE
from loralift.metrics import score_examples
from loralift.records import (
    BASE,
    Example,
    MetricComparison,
    MetricInfo,
    NoiseFloor,
    Question,
    ReferenceLikelihood,
    Score,
    WayParity,
)
from loralift.workflow.comparing import corpus_aggregates
from loralift.workflow.scoring import Scoring

PERPLEXITY = "perplexity"

PERPLEXITY_SHARE = 0.01
"""Perplexity's margin where --margin says nothing, as a share of its value: a hundredth of a nat a token."""


def judged_metrics(scoring: Scoring) -> dict[str, MetricInfo]:
    """The metrics with a direction."""
    return {name: info for name, info in scoring.metrics.items() if info.higher_is_better is not None}


def compare_ways(
    given: Mapping[str, Mapping[str, Given]], questions: Sequence[Question], scoring: Scoring, config: RunConfig
) -> tuple[dict[str, dict[str, float]], tuple[WayParity, ...]]:
    """Compare every way of every variant with the reference way of that variant.

    Args:
        given: Way to variant to what it gave.
        questions: What was asked.
        scoring: The metrics.
        config: Margins, seed and resamples.

    Returns:
        Variant to metric to the noise floor, and every way of every variant, by variant.
    """
    noise, found = {}, []
    for variant in (BASE, *config.adapters):
        reference = given[REFERENCE.name][variant]
        ways = {way: of[variant] for way, of in given.items() if variant in of}
        scores = _score(ways, questions, scoring)
        margins = _margins(scores[REFERENCE.name], scoring, config)
        floors = _floors(scores, scoring)
        noise[variant] = {name: floor.floor for name, floor in floors.items()}
        for way in [name for name in ways if name != REFERENCE.name]:
            rows = _compare(way, scores, scoring, margins, config)
            found.append(_way(way, variant, reference, ways[way], rows, None if way == BATCHED.name else floors))
    return noise, tuple(found)


def _score(ways: Mapping[str, Given], questions: Sequence[Question], scoring: Scoring) -> dict[str, list[Score]]:
    """Each way's scores; an answer that several ways gave is scored once."""
    names = [name for name in judged_metrics(scoring) if name != PERPLEXITY]
    of_texts = {
        (question.id, given.answers[question.id].text): Example(question, given.answers[question.id])
        for given in ways.values()
        for question in questions
    }
    rows = score_examples(names, list(of_texts.values()), scoring.settings) if names else []
    known = dict(zip(of_texts, rows, strict=bool(names)))
    found = {}
    for way, given in ways.items():
        texts = {question.id: given.answers[question.id].text for question in questions}
        found[way] = [known.get((key, text), Score(key, {})) for key, text in texts.items()]
        if PERPLEXITY in scoring.metrics:
            found[way] = _with_perplexity(found[way], given, questions, scoring)
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
    way: str,
    scores: Mapping[str, Sequence[Score]],
    scoring: Scoring,
    margins: Mapping[str, float],
    config: RunConfig,
) -> tuple[MetricComparison, ...]:
    """A way against the reference: a family of its own, or ways without a difference would hide one with some."""
    metrics = judged_metrics(scoring)
    return compare(
        REFERENCE.name,
        scores[REFERENCE.name],
        {way: scores[way]},
        metrics,
        primary=scoring.primary,
        aggregates=corpus_aggregates(metrics),
        margins=margins,
        seed=config.seed,
        resamples=config.resamples,
    ).rows


def _floors(scores: Mapping[str, Sequence[Score]], scoring: Scoring) -> dict[str, NoiseFloor]:
    metrics = judged_metrics(scoring)
    floors = noise_floor(scores[REFERENCE.name], scores[BATCHED.name], metrics, corpus_aggregates(metrics))
    return {floor.metric: floor for floor in floors}


def _way(
    way: str,
    variant: str,
    reference: Given,
    given: Given,
    rows: tuple[MetricComparison, ...],
    floors: Mapping[str, NoiseFloor] | None,
) -> WayParity:
    places = [first_divergence(tokens, given.tokens[key]) for key, tokens in reference.tokens.items()]
    diverging = [place for place in places if place is not None]
    apart = _nats_apart(reference.likelihoods, given.likelihoods)
    verdict, moved = judge_way(rows, floors, identical=not diverging)
    return WayParity(
        way=way,
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
    """How far the references' log-likelihoods are apart, in nats a token; of those that both ways could score."""
    pairs = ((one, other[key]) for key, one in reference.items())
    return [
        abs(one.log_likelihood - two.log_likelihood) / one.tokens
        for one, two in pairs
        if one.log_likelihood is not None and two.log_likelihood is not None and one.tokens
    ]
