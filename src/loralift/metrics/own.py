"""A metric of somebody's own: a function of prediction, references and question, with what is declared beside it."""

from __future__ import annotations

import difflib
import inspect
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from loralift import arguments
from loralift.errors import MetricError, UsageError, first_line, shown, some
from loralift.metrics.base import Metric, MetricSettings, RowValue
from loralift.metrics.own_source import Source, read_function, read_source
from loralift.records import LARGEST, Answer, Example, Question

DECLARED = ("higher_is_better", "low", "high", "margin", "title", "batch")

TAKEN = ("id", "unscored", "statistics", "method", "question", "reference", "references", "prediction", "answer")
"""Names that a row of scores has for something else."""

ROUNDING = 1e-9
"""How far beyond its range a value may be by rounding, as a part of the bound: it becomes the bound."""

SAME = 1e-3
"""How far apart two values of one row may be that are one value computed twice, as a part of it."""

OWN = "implementation:own"
"""Ends the signature of every metric of somebody's own."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is declared of a function: whether it takes lists, and its range; None: without an end."""

    name: str
    batch: bool
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class OwnScore:
    """A ``Metric.score`` that calls the user's function and believes nothing that it returns.

    It travels to another process by the function's place and the hash of its source, and is loaded there when it is
    needed: only from the very same source.
    """

    where: str
    digest: str
    rules: Rules
    source: Source | None = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return OwnScore, (self.where, self.digest, self.rules)

    def __call__(self, examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
        """The value of every row.

        Raises:
            MetricError: The function fails or returns something else than it must; the message names file, line, row.
        """
        source = self.source or _again(self.where, self.digest)
        here = Path.cwd()
        try:
            found = _called(source, self.rules, examples)
        finally:
            moved = Path.cwd() != here
            os.chdir(here)
        if moved:
            _wrong(
                source, f"{self.rules.name} changed the working directory, where the run's files lie: leave it alone"
            )
        return [_checked(source, self.rules, example, value) for example, value in zip(examples, found, strict=True)]


def own_metric(argument: str, given: str | Callable[..., Any]) -> Metric:
    """The metric that is ``FILE.py:FUNCTION``, the name of an installed one, or a function.

    Args:
        argument: For messages.
        given: What the user named.

    Raises:
        UsageError: It is nothing of that kind.
        MetricError: It cannot be loaded, or what is declared beside it is not what it must be.
    """
    source = read_source(argument, given) if isinstance(given, str) else read_function(given)
    declared = _declared(source)
    name, title = source.name, declared.get("title", source.name)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name) or name.lower() in TAKEN:
        _wrong(source, f"the name {name!r} cannot be a metric's: rename the function")
    low, high, margin = declared.get("low"), declared.get("high"), declared.get("margin")
    if margin is not None and low is not None and high is not None and margin >= high - low:
        _wrong(source, f"`margin` must be a small part of the range of {low:g} to {high:g}, got {margin:g}")
    rules = Rules(name, declared.get("batch", False), low, high)
    signature = "|".join(
        [
            f"source:{source.digest}",
            f"calls:{'batch' if rules.batch else 'row'}",
            *(["with:" + ",".join(source.made_with)] if source.made_with else []),
            OWN,
        ]
    )
    return Metric(
        name,
        title,
        score=OwnScore(source.where, source.digest, rules, source),
        signature=_Fixed(signature),
        low=low,
        high=high,
        higher_is_better=declared.get("higher_is_better"),
        margin=margin,
        decimals=2 if high is not None and high > 1 else 3,
    )


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A signature that no setting changes."""

    text: str

    def __call__(self, settings: MetricSettings) -> str:
        return self.text


def rehearse_own(
    metric: Metric, questions: Sequence[Question], settings: MetricSettings, *, decides: bool = False
) -> list[str]:
    """Call a metric on a few rows before hours of generation, with answers that are right, that are not, and empty.

    Args:
        metric: One that `own_metric` made.
        questions: The rows.
        settings: The metrics'.
        decides: Whether it is the primary one, which must have a value of something.

    Returns:
        What a reader must know, a sentence each.

    Raises:
        MetricError: It cannot score them, or a row's value depends on the rows that are scored with it.
    """
    assert isinstance(metric.score, OwnScore)
    source = metric.score.source or _again(metric.score.where, metric.score.digest)
    examples = [
        Example(question, Answer(question.id, text))
        for question in questions
        for text in (question.reference, question.question, "")
    ]
    together = [cell.value for cell in metric.score(examples, settings)]
    for example, value in reversed(list(zip(examples, together, strict=True))):
        alone = metric.score([example], settings)[0].value
        if _apart(value, alone):
            _wrong(
                source,
                f"{metric.name} gave {value} and then {alone} for the same {_row(example)}: a value must depend on its "
                "row alone, not on chance, earlier calls or the other rows of a batch",
            )
    if decides and all(value is None for value in together):
        _wrong(source, f"{metric.name} decides, and has no value for any of {len(examples)} rehearsed answers")
    notes = []
    if metric.higher_is_better is None:
        notes.append(f"{metric.title} is described and not judged: declare higher_is_better = True or False beside it")
    if all(value is None for value in together):
        notes.append(f"{metric.title} has no value for any of {len(examples)} rehearsed answers")
    return notes


def _apart(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) > SAME * max(1.0, abs(one))


def _called(source: Source, rules: Rules, examples: Sequence[Example]) -> list[Any]:
    """What the function returns, one value a row."""
    if not rules.batch:
        return [_guarded(source, rules, [example], *_columns([example], single=True)) for example in examples]
    if not examples:
        return []
    found = _guarded(source, rules, examples, *_columns(examples))
    values = found.tolist() if isinstance(found, np.ndarray) else found
    if not isinstance(values, list | tuple) or len(values) != len(examples):
        what = f"{len(values)} values" if isinstance(values, list | tuple) else shown(found)
        _wrong(
            source,
            f"{rules.name} must return a list of {len(examples)}, one number or None for each row of its batch, got "
            f"{what} (rows {some(example.question.id for example in examples)})",
        )
    return list(values)


def _columns(examples: Sequence[Example], *, single: bool = False) -> tuple[Any, Any, Any]:
    """The function's arguments, made anew for each call: it may change its lists."""
    columns = (
        [example.answer.text for example in examples],
        [list(getattr(example.question, "references", (example.question.reference,))) for example in examples],
        [example.question.question for example in examples],
    )
    return (columns[0][0], columns[1][0], columns[2][0]) if single else columns


def _guarded(source: Source, rules: Rules, examples: Sequence[Example], *given: Any) -> Any:
    """What the function returns; whatever it raises is an error of ours."""
    try:
        return source.function(*given)
    except (Exception, SystemExit) as error:
        if len(examples) > 1:
            for example in examples:  # which row it is
                _guarded(source, rules, [example], *_columns([example]))
        row = _row(examples[0]) if len(examples) == 1 else f"rows {some(example.question.id for example in examples)}"
        why = f"{type(error).__name__}: {first_line(error)}"
        raise MetricError(f"{source.file}:{source.line_of(error)}: {rules.name} failed on {row}: {why}") from error


def _checked(source: Source, rules: Rules, example: Example, value: Any) -> RowValue:
    if value is None:
        return RowValue(None, reason=f"{rules.name} gave no value")
    number: float | None = None
    if isinstance(value, Real | np.bool_):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    must, got = f"{rules.name} must return", f"got {shown(value)} for {_row(example)}"
    if number is None:
        hint = "" if rules.batch or not isinstance(value, list | tuple) else "; one that takes lists has batch = True"
        _wrong(source, f"{must} a number or None, {got}{hint}")
    if not abs(number) <= LARGEST:
        _wrong(source, f"{must} a finite number, or None for what cannot be scored, {got}")
    for bound, beyond in ((rules.low, -1), (rules.high, 1)):
        if bound is not None and beyond * (number - bound) > 0:
            if beyond * (number - bound) > ROUNDING * max(1.0, abs(bound)):
                ends = f"from {_end(rules.low, '−∞')} to {_end(rules.high, '∞')}"
                _wrong(source, f"{must} numbers {ends}, as `low` and `high` beside it say, {got}")
            number = bound
    return RowValue(number)


def _end(bound: float | None, without: str) -> str:
    return without if bound is None else f"{bound:g}"


def _row(example: Example) -> str:
    return f"row {example.question.id} (answer {shown(example.answer.text[:60])})"


@cache
def _again(where: str, digest: str) -> Source:
    """The same function in another process.

    Raises:
        MetricError: Its source changed meanwhile.
    """
    source = read_source("--metric", where)
    if source.digest != digest:
        raise MetricError(f"{source.file} changed while it was in use: start again")
    return source


def _declared(source: Source) -> dict[str, Any]:
    """What is declared on the function, or else beside it; only what is."""
    if inspect.iscoroutinefunction(source.function) or inspect.isgeneratorfunction(source.function):
        _wrong(source, f"{source.name} must return its value: no async def and no yield")
    try:
        inspect.signature(source.function).bind("prediction", ["reference"], "question")
    except TypeError:
        _wrong(source, f"{source.name} must take three arguments: prediction, references, question")
    on, beside = vars(source.function), source.beside
    _refuse_misspelled(source, {**beside, **on})
    found = {key: on.get(key, beside.get(key)) for key in DECLARED if on.get(key, beside.get(key)) is not None}
    checks: Mapping[str, Callable[[str, object], Any]] = {
        "higher_is_better": _truth,
        "batch": _truth,
        "title": lambda key, value: arguments.name(key, value, "a text"),
        "margin": lambda key, value: arguments.margin(key, _no_text(value), "a positive number"),
        "low": _bound,
        "high": _bound,
    }
    try:
        checked = {key: checks[key](key, value) for key, value in found.items()}
    except UsageError as error:
        _wrong(source, str(error))
    low, high = checked.get("low"), checked.get("high")
    if low is not None and high is not None and not low < high:
        _wrong(source, f"`low` must be less than `high`, got {low:g} and {high:g}")
    return checked


def _refuse_misspelled(source: Source, known: Mapping[str, object]) -> None:
    """A direction that is spelled otherwise would be none, without a word."""
    if "higher_is_better" in known:
        return
    for key in known:
        if key == "lower_is_better" or difflib.get_close_matches(key.lower(), ["higher_is_better"], cutoff=0.85):
            _wrong(source, f"{key!r} says nothing: write higher_is_better = True, or False where less is better")


def _truth(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"`{key}` must be True or False, got {shown(value)}")
    return value


def _bound(key: str, value: object) -> float | None:
    if isinstance(value, float) and math.isinf(value):
        return None
    return arguments.number(key, _no_text(value), -LARGEST, LARGEST, "a number")


def _no_text(value: object) -> object:
    """A text becomes what no number is: the digits of a flag may be one, of Python code not."""
    return [value] if isinstance(value, str) else value


def _wrong(source: Source, what: str) -> NoReturn:
    raise MetricError(f"{source.file}:{source.line}: {what}")
