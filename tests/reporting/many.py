"""Reports with everything that a chart must bear: many adapters, long names, gaps, markup."""

from __future__ import annotations

import random
from collections.abc import Sequence

from loralift.comparison import (
    Settings,
    compare,
    compare_slices,
    contributions,
    question_of,
    repeat_id,
    summarise,
)
from loralift.records import Confounds, MetricInfo, Report, Row, Score

LONG = "nemotron-8b-fiqa-lora-r16-lr0.0001-ep-{:02d}"
MARKUP = 'Score <b> & "quotes" of forty letters ☂'
INFOS = {
    "f1": MetricInfo("f1", MARKUP, margin=0.01),
    "ppl": MetricInfo("ppl", "Perplexity", high=None, higher_is_better=False, decimals=2, unit="nats"),
    "same": MetricInfo("same", "Exact match", margin=0.01),
    "truncated": MetricInfo("truncated", "Cut off", higher_is_better=None),
    "empty": MetricInfo("empty", "Empty", higher_is_better=None),
}


def report_of(adapters: Sequence[str], rows: int, *, slices: bool = True, repeats: int = 1) -> Report:
    """A report on answers made up; the first adapter's are better, the second one's worse, some are not scored.

    With ``repeats`` each question is answered so often, and all its answers together are ``rows``.
    """
    variants = ("base", *adapters)
    scores = {name: _scores(place, name, rows, repeats) for place, name in enumerate(variants)}
    candidates = {name: scores[name] for name in adapters}
    clusters = None if repeats == 1 else question_of
    base = scores["base"]
    settings = Settings("f1", resamples=100)
    comparison = compare("base", base, candidates, INFOS, settings, clusters=clusters)
    parts = {'<column> & "more" that is rather long': {row_id(i): "odd" if i % 2 else "even" for i in range(rows)}}
    sliced = compare_slices(scores["base"], candidates, INFOS["f1"], parts, settings) if slices else ()
    parted = contributions(base, candidates, INFOS["f1"], ("empty",), settings, clusters=clusters)
    return Report(
        title="made up",
        variants=variants,
        metrics=INFOS,
        summaries={v: {name: summarise(s, info) for name, info in INFOS.items()} for v, s in scores.items()},
        comparison=comparison,
        confounds=Confounds(slices=sliced, contributions=parted),
        rows=tuple(_row(i, variants, scores, repeats) for i in range(rows)),
    )


def row_id(position: int, repeats: int = 1) -> str:
    """An id that is markup; of a repeated question with the answer's number, as a run writes it."""
    question = f'<{position // repeats}> & "id"'
    return question if repeats == 1 else repeat_id(question, position % repeats)


def _row(i: int, variants: Sequence[str], scores: dict[str, list[Score]], repeats: int) -> Row:
    answers = {variant: "word " * (1 + (i * 7 + place) % 30) for place, variant in enumerate(variants)}
    return Row(
        id=row_id(i, repeats),
        question="Why?",
        reference="reference " * 12,
        answers=answers,
        values={v: scores[v][i].values for v in variants},
        question_id="" if repeats == 1 else row_id(i // repeats),
    )


def _scores(place: int, name: str, rows: int, repeats: int) -> list[Score]:
    draw = random.Random(name)
    shift = {0: 0.0, 1: 0.1, 2: -0.1}.get(place, 0.0)
    return [
        Score(
            row_id(i, repeats),
            {
                "f1": None if place == 2 and i == 3 else 0.3 + shift + draw.gauss(0, 0.05),
                "ppl": 9 - 10 * shift + draw.gauss(0, 1),
                "same": 0.0,
                "truncated": float(i % 5 == place % 5),
                "empty": float(i % 9 == place == 1),
            },
        )
        for i in range(rows)
    ]
