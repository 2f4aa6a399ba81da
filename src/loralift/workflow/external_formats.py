"""Read JSON lines, and other rows, of other tools: texts, ids and scores under other column names than ours.

The logs of tools that are known are read in `loralift.workflow.sides.logs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loralift.data.values import without_positions
from loralift.errors import ComparisonError, shown, some
from loralift.records import LARGEST
from loralift.workflow.codec import UNSCORED, reasons_of

Row = Mapping[str, Any]

IDS = ("id", "_id", "qid", "question_id", "query_id", "example_id", "task_id")
"""Column names for a row's id; the first that exists is used."""

QUESTIONS = ("question", "query", "instruction", "prompt", "input", "problem")
PROMPTS = frozenset({"instruction", "prompt", "input"})
"""Those of QUESTIONS that may hold a prompt template around the question, which may differ between files."""

PREDICTIONS = (
    "prediction", "pred", "predict", "prediction_text", "predicted_answer", "generated_text", "generation",
    "model_output", "model_answer", "hypothesis",
)  # fmt: skip
REFERENCES = (
    "reference", "references", "target", "label", "gold", "gold_answer", "ground_truth", "ground_truths", "expected",
    "expected_answer", "expected_output",
)  # fmt: skip
EITHER = ("answer", "answers", "response", "output", "completion")
"""Columns that are the prediction if there is one of REFERENCES, the reference if there is one of PREDICTIONS, and
ambiguous otherwise."""


@dataclass(frozen=True, slots=True)
class Texts:
    """One row's texts.

    Attributes:
        id: The row's id.
        prediction: The answer.
        reference: The right answer.
        question: Empty where the row has none.
        prompt: Whether the question comes from one of PROMPTS, which cannot identify a document across files.
        others: Further right answers, none blank or equal to another.
    """

    id: str
    prediction: str
    reference: str
    question: str = ""
    prompt: bool = False
    others: tuple[str, ...] = ()


def read_texts(name: str, rows: Sequence[Row]) -> tuple[Texts, ...] | None:
    """The texts of lines of predictions; None where the lines hold none, but scores.

    Args:
        name: The file, for messages.
        rows: Its lines with an ``id`` each, not none. The first one's columns count.

    Raises:
        ComparisonError: The prediction or the reference is missing, ambiguous, or no text.
    """
    columns = _columns(name, rows[0])
    if columns is None:
        return None
    prediction, reference = columns
    texts = []
    for number, row in enumerate(rows, start=1):
        answer, right = row.get(prediction), references_of(row.get(reference))
        if not isinstance(answer, str) or right is None:
            raise ComparisonError(
                f"{name}, row {number}: must have texts as prediction and reference ({prediction} and {reference}), "
                f'got {shown(answer)} and {shown(row.get(reference))}: write a number as text, and no answer as ""'
            )
        prompt = _question_column(row) in PROMPTS
        texts.append(Texts(str(row["id"]), answer, right[0], question_in(row), prompt, right[1:]))
    return tuple(texts)


def has_ids(rows: Sequence[Row]) -> bool:
    """Whether any line has one of IDS."""
    return any(row.get(column) is not None for row in rows for column in IDS)


def is_id(value: object) -> bool:
    """Whether a value can be a row's id: text that says something, or a number; a whole float is what pandas makes."""
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def numbered(rows: Sequence[Row]) -> list[Row]:
    """Lines without ids, whose id is their position, counted from 1."""
    return [{**row, "id": str(number)} for number, row in enumerate(rows, start=1)]


def without_ids(name: str, rows: Sequence[Row]) -> str:
    """The error message for lines that have no id."""
    has = f"lines with {some(rows[0])}" if rows else "an empty file"
    return f"{name} must have lines of JSON with an id ({', '.join(IDS)}), got {has}"


def id_columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """Those of IDS by which lines could be known, as every line has another value: the first is taken by `with_ids`."""
    values = {column: [row.get(column) for row in rows] for column in IDS if rows and column in rows[0]}
    others = [column for column, ids in values.items() if all(map(is_id, ids)) and len(set(map(str, ids))) == len(ids)]
    return tuple(dict.fromkeys([*list(values)[:1], *others]))


def with_ids(name: str, rows: Sequence[Row], chosen: str | None = None) -> list[Row]:
    """The same lines, with the id under the name ``id``.

    Args:
        name: The file, for messages.
        rows: Its lines.
        chosen: The column of the ids; None: the first of IDS that it has.

    Raises:
        ComparisonError: A line has none.
    """
    column = chosen or next((column for column in IDS if rows and column in rows[0]), None)
    if column is None or any(row.get(column) is None for row in rows):
        raise ComparisonError(without_ids(name, rows))
    for number, row in enumerate(rows, start=1):
        if not is_id(row[column]):
            wrong = f"the id ({column}) must be text or an integer, got {shown(row[column])}"
            raise ComparisonError(f"{name}, row {number}: {wrong}")
    return [{"id": str(row[column])} | {key: row[key] for key in row if key not in ("id", column)} for row in rows]


def without_texts(name: str, rows: Sequence[Row]) -> list[Row]:
    """Lines of scores without the columns that are no scores: further ids, and what holds no number in any line.

    Args:
        name: The file, for messages.
        rows: Its lines with an ``id`` each; that, the corpus metrics' ``statistics`` and the reasons of what is
            ``unscored`` stay as they are.

    Raises:
        ComparisonError: A column is a number in some lines and something else in others; null is neither.
    """
    kept, other = {"id", "statistics"}, dict[str, int]()
    rows = [{column: value for column, value in row.items() if column == "id" or column not in IDS} for row in rows]
    if any(reasons_of(row) for row in rows):
        kept.add(UNSCORED)
    for number, row in enumerate(rows, start=1):
        for column, value in row.items():
            if value is not None and not is_number(value):
                other.setdefault(column, number)
            elif isinstance(value, int) and abs(value) > LARGEST:
                raise ComparisonError(f"{name}, row {number}: {column} is larger than a number may be; write null")
    for column in dict.fromkeys(column for row in rows for column in row):
        if column in kept or column not in other:
            kept.add(column)
        elif any(is_number(row.get(column)) for row in rows):
            value = repr(rows[other[column] - 1][column])
            raise ComparisonError(
                f"{name}, row {other[column]}: {column} must be a number or null, as in other rows, got {value[:80]}"
            )
        if column in kept and column not in ("id", UNSCORED):
            _refuse_mixed(name, column, rows)
    return [{column: value for column, value in row.items() if column in kept} for row in rows]


def _refuse_mixed(name: str, column: str, rows: Sequence[Row]) -> None:
    """Truth values are 0 and 1; beside 0.3 they are most likely something else."""
    values = [row[column] for row in rows if row.get(column) is not None]
    truths = [isinstance(value, bool) for value in values]
    if any(truths) and any(not truth and value not in (0, 1) for truth, value in zip(truths, values, strict=True)):
        number = next(number for number, row in enumerate(rows, start=1) if isinstance(row.get(column), bool))
        raise ComparisonError(f"{name}, row {number}: {column} must be a number, as in other rows, got a truth value")


def numbers_as_texts(name: str, rows: Sequence[Row]) -> tuple[str, ...]:
    """One sentence on columns that `without_texts` removes although their texts are numbers, e.g. ``"0.53"``."""
    columns = dict.fromkeys(column for row in rows for column in row if column != "id")
    values = {column: [row[column] for row in rows if row.get(column) is not None] for column in columns}
    found = [column for column, texts in values.items() if texts and all(map(_is_written_number, texts))]
    nested = [column for column, objects in values.items() if objects and all(map(_holds_numbers, objects))]
    if nested:
        inner = next(iter(values[nested[0]][0]))
        return (
            f"{name}: {', '.join(nested)} left out, for its numbers are nested: write each as a column of its own, "
            f'{{"id": …, {inner!r}: …}}.',
        )
    if not found:
        return ()
    return (f"{name}: {', '.join(found)} left out, for its values are texts, not numbers: {values[found[0]][0]!r}.",)


def _holds_numbers(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(map(is_number, value.values()))


def _is_written_number(value: object) -> bool:
    try:
        float(value.rstrip(" %") if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def is_number(value: object) -> bool:
    """Whether a value is a number, or true or false."""
    return isinstance(value, int | float)  # a bool is one: acc may be true


def references_of(value: object) -> tuple[str, ...] | None:
    """The right answers of a cell: a text, a list of texts, or SQuAD's object; each once, and none blank beside others.

    None where it is something else.
    """
    given = without_positions(value)
    entries = [entry for entry in given if entry is not None] if isinstance(given, list) else [given]
    texts = [entry for entry in entries if isinstance(entry, str)]
    if not texts or len(texts) < len(entries):
        return None
    return tuple(dict.fromkeys(filter(str.strip, texts))) or (texts[0],)


def question_in(row: Row) -> str:
    """The text of the first of QUESTIONS that a row has; empty where it has none."""
    column = _question_column(row)
    return row[column] if column else ""


def _question_column(row: Row) -> str:
    return next((column for column in QUESTIONS if isinstance(row.get(column), str)), "")


def _columns(name: str, row: Row) -> tuple[str, str] | None:
    """Which columns are prediction and reference; None where there is neither."""
    predictions = ["prediction"] if "prediction" in row else [column for column in PREDICTIONS if column in row]
    references = [column for column in REFERENCES if references_of(row.get(column)) is not None]
    references = ["reference"] if "reference" in references else references
    either = [column for column in EITHER if references_of(row.get(column)) is not None]
    if not predictions and not references and not either:
        return None
    if len(references) == 1 and not predictions:
        predictions = either
    elif len(predictions) == 1 and not references:
        references = either
    if len(predictions) != 1 or len(references) != 1:
        raise ComparisonError(
            f"{name} must have one text that is the answer and one that is right, best called prediction and "
            f"reference, got {some(row, 20)}"
        )
    return predictions[0], references[0]
