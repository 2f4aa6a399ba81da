"""Metrics: from what a variant answered to a ``Score`` a row.

To add a metric, write one file here that makes a ``Metric`` and one line into ``METRICS``.

>>> from loralift.records import Answer, Example, Question
>>> example = Example(Question("1", "Cash or cheque?", "a cheque"), Answer("1", "The cheque!"))
>>> score_examples(["exact_match", "rouge1"], [example])[0].values
{'exact_match': 1.0, 'rouge1': 0.5}
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from loralift.errors import MetricError, UsageError
from loralift.metrics import answers, degenerate, exact_match, rouge, squad
from loralift.metrics.base import Aggregate, Metric, MetricSettings, RowValue, Unscorable, per_row, sign
from loralift.metrics.bert_score import BERT_SCORE
from loralift.metrics.bleu import BLEU
from loralift.metrics.blindness import MOST_UNSEEN, Blindness, blind_to, blindness
from loralift.metrics.chrf import CHRF
from loralift.metrics.own import own_metric
from loralift.metrics.perplexity import PER_CHARACTER, PERPLEXITY
from loralift.metrics.references import nrefs_of
from loralift.metrics.semantic_similarity import SEMANTIC_SIMILARITY, WINDOWED
from loralift.metrics.tokenizers import TOKENISED, left_for_english
from loralift.metrics.weights import DIGITS
from loralift.records import UNFINISHED, Example, Question, Score, Thinking, part, unopened

__all__ = [
    "DEFAULT_METRICS",
    "FAMILIES",
    "METRICS",
    "MOST_UNSEEN",
    "TOKENISED",
    "Aggregate",
    "Blindness",
    "Metric",
    "MetricSettings",
    "RowValue",
    "bare",
    "blind_to",
    "blindness",
    "expand_names",
    "left_for_english",
    "metric_of",
    "nrefs_of",
    "own_metrics",
    "per_row",
    "score_examples",
    "sign",
    "with_weights",
]

METRICS: dict[str, Metric] = {
    "semantic_similarity": SEMANTIC_SIMILARITY,
    "bert_score": BERT_SCORE,
    "rouge1": rouge.ROUGE_1,
    "rouge2": rouge.ROUGE_2,
    "rougeL": rouge.ROUGE_L,
    "bleu": BLEU,
    "chrf": CHRF,
    "exact_match": exact_match.EXACT_MATCH,
    "f1": exact_match.F1,
    "squad_exact_match": squad.SQUAD_EXACT_MATCH,
    "squad_f1": squad.SQUAD_F1,
    "perplexity": PERPLEXITY,
    "answer_words": answers.ANSWER_WORDS,
    "output_tokens": answers.OUTPUT_TOKENS,
    "thinking_tokens": answers.THINKING_TOKENS,
    "truncated": answers.TRUNCATED,
    "unfinished": answers.UNFINISHED,
    "empty": answers.EMPTY,
    "repeating": degenerate.REPEATING,
    "run_on": degenerate.RUN_ON,
    "copied_prompt": degenerate.COPIED_PROMPT,
    "windowed": WINDOWED,
}
"""Every metric, by name, in the order of reports."""

DEFAULT_METRICS = tuple(name for name in METRICS if name not in ("bert_score", "squad_exact_match", "squad_f1"))
"""All but the one that needs an extra and a large model, and those of SQuAD's script, which published figures need."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "all": tuple(METRICS),
    "default": DEFAULT_METRICS,
    "rouge": ("rouge1", "rouge2", "rougeL"),
    "squad": ("squad_exact_match", "squad_f1"),
    "em": ("exact_match",),
    "ppl": ("perplexity",),
}
"""Names that stand for others."""


def own_metrics(argument: str, given: Iterable[str | Callable[..., Any]]) -> tuple[Metric, ...]:
    """Metrics of the user's own, for ``MetricSettings.own``.

    Args:
        argument: For messages.
        given: Each ``FILE.py:FUNCTION``, the name of an installed one, or a function.

    Raises:
        UsageError: One is nothing of that kind.
        MetricError: One cannot be loaded, or its name or title is one of ours or of another of them.
    """
    taken = {bare(name): f"LoraLift's {name}" for name in [*METRICS, *FAMILIES]}
    taken |= {bare(metric.title): f"LoraLift's {name}" for name, metric in METRICS.items()}
    found = []
    for one in given:
        metric = own_metric(argument, one)
        for called in dict.fromkeys((bare(metric.name), bare(metric.title))):
            if called in taken:
                place = one if isinstance(one, str) else one.__qualname__
                raise MetricError(f"{place}: its name or title is that of {taken[called]}: rename it")
        taken |= dict.fromkeys((bare(metric.name), bare(metric.title)), f"another metric, {metric.name}")
        found.append(metric)
    return tuple(found)


def metric_of(name: str, settings: MetricSettings) -> Metric:
    """A metric by its full name: one of ours, or of the user's own."""
    if name == PERPLEXITY.name and settings.perplexity_per == "character":
        return PER_CHARACTER
    return METRICS.get(name) or next(metric for metric in settings.own if metric.name == name)


def expand_names(names: Iterable[str], own: Iterable[Metric] = ()) -> tuple[str, ...]:
    """Metric names as users write them, as the keys of ``METRICS``: in order, each once.

    >>> expand_names("ROUGE,BERTScore,rouge-1")
    ('rouge1', 'rouge2', 'rougeL', 'bert_score')

    Args:
        names: Names and families; or one text with commas. Case, ``-``, ``_`` and spaces don't matter.
        own: Metrics of the user's own, which are known too.

    Raises:
        UsageError: If a name is unknown, or there is none.
    """
    known = {bare(name): (name,) for name in METRICS} | {bare(name): of for name, of in FAMILIES.items()}
    known |= {bare(metric.name): (metric.name,) for metric in own}
    expanded: dict[str, None] = {}
    for name in names.split(",") if isinstance(names, str) else names:
        if bare(name) not in known:
            raise UsageError(unknown(name))
        expanded.update(dict.fromkeys(known[bare(name)]))
    if not expanded:
        raise UsageError(f"`metrics` must name at least one of {', '.join(METRICS)}")
    return tuple(expanded)


def bare(name: str) -> str:
    """A name's letters and digits, in lower case."""
    return re.sub(r"[\W_]", "", name).lower()


def unknown(name: str) -> str:
    """What to say of a name that is no metric's: the nearest one, and all."""
    from difflib import get_close_matches

    spelled = {bare(known): known for known in [*METRICS, *FAMILIES]}
    near = get_close_matches(bare(name), spelled, n=1)
    hint = f"; did you mean {spelled[near[0]]!r}?" if near else ""
    return f"`metrics` must be of {', '.join([*METRICS, *FAMILIES])}, got {name!r}{hint}"


def score_examples(
    names: Iterable[str], examples: Sequence[Example], settings: MetricSettings | None = None
) -> list[Score]:
    """Scores one variant's rows with the named metrics.

    Args:
        names: As ``expand_names`` takes them.
        examples: The rows.
        settings: Defaults where None.

    Returns:
        One score a row, in order. A value that is not finite becomes None, and so does that of a row that the metric
        is blind to, or whose answer never came since its thinking did not finish, with the reason; a row that a corpus
        metric cannot score has no statistics of it.

    Raises:
        UsageError: If a name is unknown (``MissingExtraError`` if it needs a package that is not installed).
        ModelError: If an embedding model cannot be loaded.
        MetricError: If a metric of the user's own fails.
    """
    settings = settings or MetricSettings()
    names = expand_names(names, settings.own)
    columns = _columns([metric_of(name, settings) for name in names], examples, settings)
    scores = []
    for i, example in enumerate(examples):
        row = {name: plain(column[i]) for name, column in columns.items()}
        values = {name: cell.value for name, cell in row.items()}
        statistics = {name: cell.statistics for name, cell in row.items() if cell.statistics}
        reasons = {name: cell.reason for name, cell in row.items() if cell.reason}
        scores.append(
            Score(example.question.id, values, statistics, reasons)
            if reasons
            else Score(example.question.id, values, statistics)
        )
    return scores


def with_weights(settings: MetricSettings, names: Iterable[str]) -> MetricSettings:
    """The same settings, which say what the models that metrics ask are made of; loads those.

    Raises:
        ModelError: One cannot be loaded.
    """
    metrics = (metric_of(name, settings) for name in names)
    found = ((each.name, each.weights(settings)[:DIGITS]) for each in metrics if each.weights is not None)
    return replace(settings, weights=tuple(found))


def _columns(
    metrics: Sequence[Metric], examples: Sequence[Example], settings: MetricSettings
) -> dict[str, list[RowValue]]:
    """What each metric makes of each row; those of texts see the answers alone, parted from their thinking."""
    parted = [answer_of(example, settings) for example in examples]
    answered = [example for example in parted if example is not None]
    of_texts = {
        metric.name: metric.score(answered, settings) if answered else [] for metric in metrics if metric.of_text
    }
    blank_out(of_texts, answered, settings)
    others = {metric.name: metric.score(examples, settings) for metric in metrics if not metric.of_text}
    blank_out(others, examples, settings)
    for name, column in of_texts.items():
        values = iter(column)
        of_texts[name] = [_NO_ANSWER if example is None else next(values) for example in parted]
    return {metric.name: (of_texts | others)[metric.name] for metric in metrics}


def answer_of(example: Example, settings: MetricSettings) -> Example | None:
    """A row whose texts are the answers alone, of its references too; None where an answer never came."""
    answer = part(example.answer.text, settings.thinking).answer
    if answer is None:
        return None
    question = _right(example.question, settings.thinking)
    if answer == example.answer.text and question is example.question:
        return example
    return Example(question, replace(example.answer, text=answer), example.likelihood)


def _right(question: Question, how: Thinking) -> Question:
    """A question whose references have no thinking before them; one that has nothing behind it stays."""
    texts = [part(text, unopened(how)).answer or text for text in question.references]
    if tuple(texts) == question.references:
        return question
    return replace(question, reference=texts[0], others=tuple(texts[1:]))


_NO_ANSWER = RowValue(None, reason=UNFINISHED)


def blank_out(columns: Mapping[str, list[RowValue]], examples: Sequence[Example], settings: MetricSettings) -> None:
    """Put what a metric cannot score, and why, in place of what it made of it; each kind of blindness is asked once."""
    asked: dict[Unscorable, Sequence[str | None]] = {}
    for name, column in columns.items():
        blind = metric_of(name, settings).unscorable
        if blind is None:
            continue
        if blind not in asked:
            asked[blind] = blind(examples, settings)
        for i, reason in enumerate(asked[blind]):
            if reason:
                column[i] = RowValue(None, reason=reason)


def plain(cell: RowValue) -> RowValue:
    """A cell in Python's own floats; one that cannot be scored where anything in it is not finite."""
    if cell.value is None or not all(math.isfinite(x) for x in (cell.value, *cell.statistics)):
        return RowValue(None, reason=cell.reason)
    value = float(cell.value)
    return RowValue(_COMMON.get(value, value), tuple(float(x) for x in cell.statistics))


_COMMON = {0.0: 0.0, 1.0: 1.0}
"""Half of all values: 100,000 rows share them."""
