"""lm_eval's sample logs as answers and scores of ours, a row a document."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loralift.errors import DataError, some
from loralift.harness.questions import CHOICE, choices_of, row_id
from loralift.records import Answer, Score

if TYPE_CHECKING:
    from loralift.harness.tasks import StandardTask

CUT = "cut"
"""The key, in a line, of whether a request of the row lost its beginning."""

NO_VALUE = "lm_eval gave it no value"
NO_NUMBER = "lm_eval's value is no finite number"

type Lines = Mapping[str, Sequence[Mapping[str, Any]]]


def scored(task: StandardTask, samples: Lines) -> tuple[list[Answer], list[Score]]:
    """Every row's answer, and its value of every metric by every filter, in the order of the questions.

    Args:
        task: What was asked.
        samples: A task's name to its sample log, as `evaluate` gives them; a line a document and filter.

    Raises:
        DataError: The log does not have each row once for each filter.
    """
    answers, scores = [], []
    for name, one in task.tasks.items():
        by_document: dict[int, dict[str, Mapping[str, Any]]] = {}
        lines = 0
        for line in samples[name]:
            by_document.setdefault(line["doc_id"], {})[str(line["filter"])] = line
            lines += 1
        filters = dict.fromkeys(metric.filter for metric in task.metrics)
        whole = all(set(filters) <= set(of) for of in by_document.values())
        if not whole or sum(map(len, by_document.values())) != lines:
            raise DataError(f"lm_eval's samples of {name} do not have each row once for each of {some(filters)}")
        for number, document in one.doc_iterator(limit=task.limit):
            of = by_document.pop(number, None)
            if of is None:
                raise DataError(f"lm_eval's samples of {name} lack document {number}")
            row = row_id(name, number, several=len(task.tasks) > 1)
            answers.append(Answer(row, _said(one, document, next(iter(of.values())))))
            scores.append(_score(row, task, of))
        if by_document:
            raise DataError(f"lm_eval's samples of {name} have documents that it does not have: {some(by_document)}")
    return answers, scores


def asked(samples: Lines) -> dict[str, list[list[Any]]]:
    """What each row is and was asked, by lm_eval's hashes: the same for every variant, or their rows are no pairs."""
    return {
        name: [[line["doc_id"], line["filter"], line["doc_hash"], line["prompt_hash"]] for line in lines]
        for name, lines in samples.items()
    }


def cut_rows(samples: Lines) -> int:
    """How many rows had a request that lost its beginning."""
    return len({(name, line["doc_id"]) for name, lines in samples.items() for line in lines if line.get(CUT)})


def _score(row: str, task: StandardTask, of: Mapping[str, Mapping[str, Any]]) -> Score:
    values: dict[str, float | None] = {}
    unscored: dict[str, str] = {}
    for metric in task.metrics:
        value = of[metric.filter].get(metric.metric)
        number = float(value) if isinstance(value, int | float) else None
        values[metric.name] = number if number is not None and math.isfinite(number) else None
        if values[metric.name] is None:
            unscored[metric.name] = NO_VALUE if value is None else NO_NUMBER
    return Score(row, values, unscored=unscored)


def _said(task: Any, document: Any, line: Mapping[str, Any]) -> str:
    """What the model answered: the text that it wrote, the choice that it finds likeliest, or its likelihoods."""
    first = [answers[0] if isinstance(answers, list) and answers else answers for answers in line["resps"]]
    choices = choices_of(task, document) if task.OUTPUT_TYPE == CHOICE else []
    if choices and len(first) >= len(choices):
        likelihoods = [float(pair[0]) for pair in first[: len(choices)]]
        return choices[likelihoods.index(max(likelihoods))].strip()
    if len(first) == 1 and isinstance(first[0], str):
        return first[0].strip()
    return "; ".join(_pair(pair) for pair in first)


def _pair(pair: Any) -> str:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return str(pair)
    return f"log-likelihood {pair[0]}, {'' if pair[1] == 'True' else 'not '}what it would write"


def missing(scores: Mapping[str, Sequence[Score]], names: Sequence[str]) -> Iterator[str]:
    """Metrics of which no row of any variant has a value."""
    for name in names:
        if all(score.values[name] is None for of in scores.values() for score in of):
            yield name
