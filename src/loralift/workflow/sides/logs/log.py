"""One evaluation as another tool logged it, and what every reader of a log needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loralift.errors import ComparisonError, shown, some
from loralift.records import MetricInfo
from loralift.workflow.codec import UNSCORED
from loralift.workflow.external_formats import Row, Texts, is_number
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.contents import Content

type Known = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Log:
    """One evaluation.

    Attributes:
        tool: What wrote it, in words, with its version where the log says it.
        name: What the side is called; empty: by its file.
        values: One mapping a row: ``id``, each metric that is one number a row, and why one is null (``unscored``).
        metrics: Descriptions of those metrics, in the log's order.
        texts: The rows' texts; empty where an answer or a reference is no text, as in multiple choice. A row that
            ended in an error has none.
        known: Id to what a row says of its document and of how it was asked, under the keys of
            `loralift.workflow.sides.asked`.
        notes: What was chosen and what was left out, one sentence each.
        lines: Id to further columns of the document.
        filters: The filters of lm-evaluation-harness whose lines it has, the one that was taken first; empty where
            none is named.
        id_column: The column of the data that its ids are of, where it chose one.
        repeated: Whether questions were answered several times, under ids like ``q7#2``; None: not known.
        no_ids: Where the rows have no ids but their positions: the sentence that refuses it.
        answers_alone: Whether the tool writes no scores into such a file, so that the answers are scored here.
    """

    tool: str
    name: str
    values: tuple[Row, ...]
    metrics: Mapping[str, MetricInfo]
    texts: tuple[Texts, ...]
    known: Mapping[str, Known]
    notes: tuple[str, ...] = ()
    lines: Mapping[str, Row] = field(default_factory=dict)
    filters: tuple[str, ...] = ()
    id_column: str = ""
    repeated: bool | None = None
    no_ids: str = ""
    answers_alone: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """How the logs of one tool are known and read.

    Attributes:
        is_log: Whether a file is one, by its shape alone.
        read: Reads it; the second argument is the filter that the user chose, None where none was.
    """

    is_log: Callable[[Content], bool]
    read: Callable[[Content, str | None], Log]


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a log.

    Attributes:
        id: Unique in the log.
        values: Metric to value; a metric that it lacks, or None, is not scored.
        texts: Its answer and reference, where it has one of each.
        known: As in Log.
        line: As in Log.
        error: Why it has no answer; empty where it has one. Then nothing of it is scored, whatever the tool wrote.
        unscored: Metric to the reason why it has no value.
    """

    id: str
    values: Mapping[str, float | None]
    texts: Texts | None = None
    known: Known = field(default_factory=dict)
    line: Row = field(default_factory=dict)
    error: str = ""
    unscored: Mapping[str, str] = field(default_factory=dict)


def log_of(
    content: Content,
    tool: str,
    samples: Sequence[Sample],
    infos: Mapping[str, MetricInfo],
    **more: Any,
) -> Log:
    """A log of its rows.

    Args:
        content: The file.
        tool: As in Log.
        samples: The rows.
        infos: Descriptions of the metrics, as far as the tool says more of them than their names.
        more: The other attributes of Log.

    Raises:
        ComparisonError: There is no row.
    """
    if not samples:
        raise ComparisonError(f"{content.path}, {tool}, holds no sample: nothing can be compared")
    names = list(dict.fromkeys(name for sample in samples for name in sample.values))
    answered = [sample for sample in samples if not sample.error]
    texts = tuple(sample.texts for sample in answered if sample.texts is not None)
    notes = list(more.pop("notes", ()))
    if lost := [sample.id for sample in samples if sample.error]:
        first = next(sample.error for sample in samples if sample.error)
        notes.append(
            f"{len(lost)} of {len(samples)} rows of {content.path.name} ended in an error and have no score "
            f"({some(lost, 3)}): {first[:100]}"
        )
    return Log(
        tool=tool,
        name=more.pop("name", ""),
        values=tuple(_row(sample, names) for sample in samples),
        metrics={name: infos.get(name) or column_info(name) for name in names},
        texts=texts if len(texts) == len(answered) else (),
        known={sample.id: sample.known for sample in samples},
        notes=tuple(notes),
        lines={sample.id: sample.line for sample in samples},
        **more,
    )


def _row(sample: Sample, names: Sequence[str]) -> Row:
    values = {name: None if sample.error else sample.values.get(name) for name in names}
    reasons = {name: "it ended in an error" if sample.error else sample.unscored.get(name) for name in names}
    unscored = {name: why for name, why in reasons.items() if why and values[name] is None}
    return {"id": sample.id, **values, **({UNSCORED: unscored} if unscored else {})}


def number(place: str, name: str, value: object) -> float | None:
    """A metric's value; true and false are 1 and 0, null and NaN are None.

    Raises:
        ComparisonError: It is something else.
    """
    if value is None:
        return None
    if not is_number(value):
        raise ComparisonError(f"{place}: {name} must be a number, as in other rows, got {shown(value)}")
    return found if math.isfinite(found := as_float(value)) else None


def as_float(value: Any) -> float:
    """A number as a float; an integer that none can hold is infinite, as a float of that size would be."""
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def wanted[Kind](place: str, holder: object, name: str, kind: type[Kind]) -> Kind:
    """A part of what a tool wrote that must be there.

    Args:
        place: The file, and where in it, for messages.
        holder: What has it.
        name: Its key.
        kind: What it must be.

    Raises:
        ComparisonError: It is not there, or something else.
    """
    value = holder.get(name) if isinstance(holder, Mapping) else None
    if not isinstance(value, kind):
        raise ComparisonError(f"{place}: must have {name} ({_KINDS.get(kind, kind.__name__)}), got {shown(value)}")
    return value


_KINDS: Mapping[type, str] = {str: "text", dict: "an object", list: "a list", int: "an integer", bool: "true or false"}


def model_folder(path: Path, above: str, deep: int) -> str:
    """The model's name where a tool makes a folder of it, ``ABOVE/MODEL/…/FILE``; empty where the file lies elsewhere.

    Args:
        path: The file.
        above: The folder that holds the models'.
        deep: How many folders below that the file lies.
    """
    folders = path.resolve().parents
    return folders[deep - 1].name if len(folders) > deep and folders[deep].name == above else ""


def graded(name: str, signature: str) -> MetricInfo:
    """The description of a metric of which its tool says that 1 is right and 0 is wrong."""
    return MetricInfo(name, name, low=0.0, high=1.0, higher_is_better=True, signature=signature)


def message_text(content: object) -> str | None:
    """The text of a chat message: itself, or that of its parts; None where a part is no text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
    return "".join(map(str, texts)) if all(isinstance(text, str) for text in texts) else None
