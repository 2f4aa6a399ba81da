"""Sample logs of lm-evaluation-harness.

It writes ``samples_TASK_TIMESTAMP.jsonl`` with ``--log_samples``: one line a document *and* filter,
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
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

from loralift.errors import ComparisonError, UsageError, shown, wrong_argument
from loralift.workflow.external_formats import IDS, Row, Texts, is_id, is_number, question_in, references_of
from loralift.workflow.sides.asked import of_sample
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.contents import Content
from loralift.workflow.sides.logs.log import Log, Tool, as_float
from loralift.workflow.sides.side import DOC_HASH

SIGNATURE = "tool:lm-evaluation-harness"
LOG_LIKELIHOOD = "log_likelihood"
NO_METRIC = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash"}
    | {"target_hash", "arguments_hash", "task_hash", "schema_hash", "epoch"}
)


def is_sample_log(rows: Sequence[Row]) -> bool:
    """Whether lines are of lm-evaluation-harness."""
    return bool(rows) and "doc_id" in rows[0] and not {"resps", "filtered_resps"}.isdisjoint(rows[0])


def read_sample_log(name: str, rows: Sequence[Row], chosen: str | None = None) -> Log:
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
    kept, filters, notes = _of_one_filter(name, rows, chosen)
    signature = "|".join([SIGNATURE, *(f"filter:{taken}" for taken in filters[:1])])
    column, ids = _ids(kept)
    names = list(dict.fromkeys(metric for row in kept for metric in row.get("metrics") or _numeric(row)))
    single = [metric for metric in names if any(is_number(row.get(metric)) for row in kept)]
    if left := [metric for metric in names if metric not in single]:
        notes.append(f"{name}: {', '.join(left)} left out, for a line holds no single number of it.")
    if "perplexity" in single:
        notes.append(f"{name}: perplexity is each line's log-likelihood, here {LOG_LIKELIHOOD}: more is better.")
    for row in kept:
        _refuse_texts(name, row, single)
    values = tuple({"id": row_id, **_numbers(row, single)} for row_id, row in zip(ids, kept, strict=True))
    texts = [_texts(row_id, row) for row_id, row in zip(ids, kept, strict=True)]
    whole = tuple(text for text in texts if text is not None)
    by_id = dict(zip(ids, kept, strict=True))
    known = {row_id: of_sample(row) for row_id, row in by_id.items()}
    known = {
        row_id: of | ({DOC_HASH: str(digest)} if (digest := by_id[row_id].get("doc_hash")) else {})
        for row_id, of in known.items()
    }
    return Log(
        tool="lm-evaluation-harness",
        name="",
        values=values,
        metrics={name: column_info(name, signature) for name in values[0] if name != "id"},
        texts=whole if len(whole) == len(kept) else (),
        known=known,
        notes=tuple(notes),
        lines={row_id: of for row_id, row in by_id.items() if isinstance(of := row.get("doc"), Mapping)},
        filters=filters,
        id_column=column,
    )


def _of_one_filter(name: str, rows: Sequence[Row], chosen: str | None) -> tuple[list[Row], tuple[str, ...], list[str]]:
    """The lines of one filter, all filters' names, that one's first, and a note on what there was to choose from."""
    filters = list(dict.fromkeys(str(row["filter"]) for row in rows if "filter" in row))
    if chosen is not None and chosen not in filters:
        raise UsageError(f"{name}: " + wrong_argument("--filter", f"one of {', '.join(filters) or 'none'}", chosen))
    if filters:
        taken = chosen or filters[0]
        others = [other for other in filters if other != taken]
        note = f"{name}: the filter {taken!r} is taken, not {', '.join(others)}; --filter chooses another."
        return [row for row in rows if str(row.get("filter")) == taken], (taken, *others), [note] if others else []
    # logs of 2024 and before do not name the filter, but write the first one's lines first
    first = {str(row["doc_id"]): row for row in reversed(rows)}
    kept = [row for row in rows if first[str(row["doc_id"])] is row]
    note = f"{name}: of several lines of one doc_id, the first filter's, the first is taken."
    return kept, (), [note] if len(kept) < len(rows) else []


def _ids(rows: Sequence[Row]) -> tuple[str, list[str]]:
    """The column of the ids, and each row's."""
    documents = [row["doc"] if isinstance(row.get("doc"), Mapping) else {} for row in rows]
    for column in IDS:
        own = [document.get(column) for document in documents]
        if all(isinstance(i, str | int) and not isinstance(i, bool) for i in own) and len(set(own)) == len(own):
            return column, [str(i) for i in own]
    return "doc_id", [str(row["doc_id"]) for row in rows]


def _numeric(row: Row) -> list[str]:
    return [key for key, value in row.items() if key not in NO_METRIC and not isinstance(value, str)]


def _refuse_texts(name: str, row: Row, metrics: Sequence[str]) -> None:
    for metric in metrics:
        if isinstance(row.get(metric), str):
            place = f"{name}, doc_id {row['doc_id']}"
            raise ComparisonError(f"{place}: {metric} must be a number, as in other lines, got {shown(row[metric])}")


def _numbers(row: Row, metrics: Sequence[str]) -> dict[str, float | None]:
    """A line's values of these metrics, None where it holds no number."""
    return {_renamed(metric): as_float(row[metric]) if is_number(row.get(metric)) else None for metric in metrics}


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
    right = references_of(_of_list(target)) or (target,)
    question = question_in(document) if isinstance(document, Mapping) else ""
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


def _read(content: Content, chosen: str | None) -> Log:
    log = read_sample_log(str(content.path), content.rows, chosen)
    return replace(log, name=content.path.resolve().parent.name)  # the harness makes one folder for each model


TOOL = Tool(is_log=lambda content: is_sample_log(content.rows), read=_read)
