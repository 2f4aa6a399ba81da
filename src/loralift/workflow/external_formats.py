"""Read files of other tools: lm-evaluation-harness's sample logs, and JSON lines with other column names than ours.

lm-evaluation-harness writes ``samples_TASK_TIMESTAMP.jsonl`` with ``--log_samples``: one line a document *and* filter,
all lines of the first filter first, with ``doc_id`` (the document's index in the task's data), ``doc``, ``doc_hash``,
``target`` (as ``str()`` makes it), ``resps`` and ``filtered_resps`` (one entry a request), ``filter``, ``metrics``
(their names) and each metric's value. See ``evaluate`` in ``lm_eval/evaluator.py`` and ``save_results_samples`` in
``lm_eval/loggers/evaluation_tracker.py``.

What a line's metric holds is not always a score: for ``bleu``, ``chrf`` and ``ter`` it is the texts, for
``word_perplexity`` a log-likelihood with a count, and both become numbers only over all lines. Such metrics are left
out. ``perplexity`` is the line's log-likelihood, of which more is better.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loralift.data.values import without_positions
from loralift.errors import ComparisonError, UsageError, shown, some, wrong_argument
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

LOG_LIKELIHOOD = "log_likelihood"
NO_METRIC = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash"}
    | {"target_hash", "arguments_hash", "task_hash", "schema_hash", "epoch"}
)


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


@dataclass(frozen=True, slots=True)
class SampleLog:
    """One filter's lines of an lm-evaluation-harness sample log.

    Attributes:
        values: One mapping a line: ``id``, and each metric that is one number a line to its value.
        texts: The lines' texts; empty where an answer or a target is no text, as in multiple choice.
        documents: Id to the document's hash, where the log has hashes.
        notes: What was chosen and what was left out, one sentence each.
        lines: Id to the line as it was written.
    """

    values: tuple[Row, ...]
    texts: tuple[Texts, ...]
    documents: Mapping[str, str]
    notes: tuple[str, ...]
    lines: Mapping[str, Row]


def is_sample_log(rows: Sequence[Row]) -> bool:
    """Whether lines are of lm-evaluation-harness."""
    return bool(rows) and "doc_id" in rows[0] and not {"resps", "filtered_resps"}.isdisjoint(rows[0])


def read_sample_log(name: str, rows: Sequence[Row], chosen: str | None = None) -> SampleLog:
    """Read a sample log.

    A row's id is the document's own (the first of IDS that every document has, with different values), so that a log
    can be paired with a run or a file of the same data; else it is ``doc_id``.

    Args:
        name: The file, for messages.
        rows: Its lines, not none.
        chosen: Which filter's lines to take; None: the first's.

    Raises:
        ComparisonError: A line has no ``doc_id``.
        UsageError: No line is of the chosen filter.
    """
    for number, row in enumerate(rows, start=1):
        if not is_id(row.get("doc_id")):
            raise ComparisonError(f"{name}, row {number}: must have a doc_id, as --log_samples writes it in every line")
        listed = row.get("metrics")
        if listed is not None and not (isinstance(listed, list) and all(isinstance(one, str) for one in listed)):
            raise ComparisonError(f"{name}, row {number}: metrics must be a list of names, got {shown(listed)}")
    kept, notes = _of_one_filter(name, rows, chosen)
    ids = _ids(kept)
    names = list(dict.fromkeys(metric for row in kept for metric in row.get("metrics") or _numeric(row)))
    single = [metric for metric in names if any(_is_number(row.get(metric)) for row in kept)]
    if left := [metric for metric in names if metric not in single]:
        notes.append(f"{name}: {', '.join(left)} left out, for a line holds no single number of it.")
    if "perplexity" in single:
        notes.append(f"{name}: perplexity is each line's log-likelihood, here {LOG_LIKELIHOOD}: more is better.")
    for row in kept:
        _refuse_texts(name, row, single)
    values = tuple({"id": row_id, **_numbers(row, single)} for row_id, row in zip(ids, kept, strict=True))
    texts = [_texts(row_id, row) for row_id, row in zip(ids, kept, strict=True)]
    whole = tuple(text for text in texts if text is not None)
    hashes = {row_id: str(row["doc_hash"]) for row_id, row in zip(ids, kept, strict=True) if row.get("doc_hash")}
    lines = dict(zip(ids, kept, strict=True))
    return SampleLog(values, whole if len(whole) == len(kept) else (), hashes, tuple(notes), lines)


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
        answer, right = row.get(prediction), _references(row.get(reference))
        if not isinstance(answer, str) or right is None:
            raise ComparisonError(
                f"{name}, row {number}: must have texts as prediction and reference ({prediction} and {reference}), "
                f'got {shown(answer)} and {shown(row.get(reference))}: write a number as text, and no answer as ""'
            )
        prompt = _question_column(row) in PROMPTS
        texts.append(Texts(str(row["id"]), answer, right[0], _question(row), prompt, right[1:]))
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


def with_ids(name: str, rows: Sequence[Row]) -> list[Row]:
    """The same lines, with the id under the name ``id``.

    Raises:
        ComparisonError: A line has none.
    """
    column = next((column for column in IDS if rows and column in rows[0]), None)
    if column is None or any(row.get(column) is None for row in rows):
        raise ComparisonError(without_ids(name, rows))
    for number, row in enumerate(rows, start=1):
        if not is_id(row[column]):
            wrong = f"the id ({column}) must be text or an integer, got {shown(row[column])}"
            raise ComparisonError(f"{name}, row {number}: {wrong}")
    return [{"id": str(row[column])} | {key: row[key] for key in row if key != column} for row in rows]


def without_texts(name: str, rows: Sequence[Row]) -> list[Row]:
    """Lines of scores without the columns that hold no number in any line: categories, texts, lists.

    Args:
        name: The file, for messages.
        rows: Its lines with an ``id`` each; that, the corpus metrics' ``statistics`` and the reasons of what is
            ``unscored`` stay as they are.

    Raises:
        ComparisonError: A column is a number in some lines and something else in others; null is neither.
    """
    kept, other = {"id", "statistics"}, dict[str, int]()
    if any(reasons_of(row) for row in rows):
        kept.add(UNSCORED)
    for number, row in enumerate(rows, start=1):
        for column, value in row.items():
            if value is not None and not _is_number(value):
                other.setdefault(column, number)
            elif isinstance(value, int) and abs(value) > LARGEST:
                raise ComparisonError(f"{name}, row {number}: {column} is larger than a number may be; write null")
    for column in dict.fromkeys(column for row in rows for column in row):
        if column in kept or column not in other:
            kept.add(column)
        elif any(_is_number(row.get(column)) for row in rows):
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
    return isinstance(value, Mapping) and bool(value) and all(map(_is_number, value.values()))


def _is_written_number(value: object) -> bool:
    try:
        float(value.rstrip(" %") if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def _of_one_filter(name: str, rows: Sequence[Row], chosen: str | None) -> tuple[list[Row], list[str]]:
    """The lines of one filter, and what there was to choose from."""
    filters = list(dict.fromkeys(str(row["filter"]) for row in rows if "filter" in row))
    if chosen is not None and chosen not in filters:
        raise UsageError(f"{name}: " + wrong_argument("--filter", f"one of {', '.join(filters) or 'none'}", chosen))
    if filters:
        taken = chosen or filters[0]
        others = [other for other in filters if other != taken]
        note = f"{name}: the filter {taken!r} is taken, not {', '.join(others)}; --filter chooses another."
        return [row for row in rows if str(row.get("filter")) == taken], [note] if others else []
    # logs of 2024 and before do not name the filter, but write the first one's lines first
    first = {str(row["doc_id"]): row for row in reversed(rows)}
    kept = [row for row in rows if first[str(row["doc_id"])] is row]
    note = f"{name}: of several lines of one doc_id, the first filter's, the first is taken."
    return kept, [note] if len(kept) < len(rows) else []


def _ids(rows: Sequence[Row]) -> list[str]:
    documents = [row["doc"] if isinstance(row.get("doc"), Mapping) else {} for row in rows]
    for column in IDS:
        own = [document.get(column) for document in documents]
        if all(isinstance(i, str | int) and not isinstance(i, bool) for i in own) and len(set(own)) == len(own):
            return [str(i) for i in own]
    return [str(row["doc_id"]) for row in rows]


def _numeric(row: Row) -> list[str]:
    return [key for key, value in row.items() if key not in NO_METRIC and not isinstance(value, str)]


def _refuse_texts(name: str, row: Row, metrics: Sequence[str]) -> None:
    for metric in metrics:
        if isinstance(row.get(metric), str):
            place = f"{name}, doc_id {row['doc_id']}"
            raise ComparisonError(f"{place}: {metric} must be a number, as in other lines, got {shown(row[metric])}")


def _numbers(row: Row, metrics: Sequence[str]) -> dict[str, float | None]:
    """A line's values of these metrics, None where it holds no number."""
    return {_renamed(metric): _float(row[metric]) if _is_number(row.get(metric)) else None for metric in metrics}


def _float(value: float) -> float:
    """A number as a float; an integer that none can hold is infinite, as a float of that size would be."""
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)  # a bool is one: acc may be true


def _renamed(metric: str) -> str:
    return LOG_LIKELIHOOD if metric == "perplexity" else metric


def _texts(row_id: str, row: Row) -> Texts | None:
    """A line's answer and target, where there is one of each and both are texts."""
    answers, target = row.get("filtered_resps", row.get("resps")), row.get("target")
    while isinstance(answers, list) and len(answers) == 1:  # one request, answered once
        answers = answers[0]
    if not isinstance(answers, str) or not isinstance(target, str) or not target:
        return None
    document = row.get("doc")
    right = _references(_of_list(target)) or (target,)
    question = _question(document) if isinstance(document, Mapping) else ""
    return Texts(row_id, answers, right[0], question, others=right[1:])


def _of_list(target: str) -> list[str]:
    """The references; several of them are written by the harness as a Python list."""
    if target.startswith("["):
        try:
            with warnings.catch_warnings(action="ignore"):  # of "\\d" and the like, which formulas are full of
                found = ast.literal_eval(target)
        except (ValueError, SyntaxError, MemoryError, RecursionError):  # text that only begins so, perhaps a stranger's
            return [target]
        if isinstance(found, list) and found and isinstance(found[0], str):
            return found
    return [target]


def _references(value: object) -> tuple[str, ...] | None:
    """The right answers of a cell: a text, a list of texts, or SQuAD's object; each once, and none blank beside others.

    None where it is something else.
    """
    given = without_positions(value)
    entries = [entry for entry in given if entry is not None] if isinstance(given, list) else [given]
    texts = [entry for entry in entries if isinstance(entry, str)]
    if not texts or len(texts) < len(entries):
        return None
    return tuple(dict.fromkeys(filter(str.strip, texts))) or (texts[0],)


def _question(row: Row) -> str:
    column = _question_column(row)
    return row[column] if column else ""


def _question_column(row: Row) -> str:
    return next((column for column in QUESTIONS if isinstance(row.get(column), str)), "")


def _columns(name: str, row: Row) -> tuple[str, str] | None:
    """Which columns are prediction and reference; None where there is neither."""
    predictions = ["prediction"] if "prediction" in row else [column for column in PREDICTIONS if column in row]
    references = [column for column in REFERENCES if _references(row.get(column)) is not None]
    references = ["reference"] if "reference" in references else references
    either = [column for column in EITHER if _references(row.get(column)) is not None]
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
