"""Evaluation data: where it comes from, what is asked, what the right answer is.

::

    --dataset --parse_spec--> Spec --read_*--> Table --selection, columns--> LoadedData

>>> data = load_questions("fiqa")  # doctest: +SKIP
>>> data.source  # doctest: +SKIP
'explodinggradients/fiqa, config main, split test, revision …'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from loralift.data.beir import read_beir_directory, read_beir_hub
from loralift.data.files import read_file
from loralift.data.formats import Format
from loralift.data.hub import read_hub
from loralift.data.leakage import find_leaks, read_training_texts
from loralift.data.notes import notes_on
from loralift.data.prompts import (
    ALPACA_SYSTEM_PROMPT,
    CHAT_SEPARATOR,
    DEFAULT_SYSTEM_PROMPT,
    PLACE_OF_QUESTION,
    PLAIN_SEPARATOR,
    Example,
    chat_messages,
    render_alpaca,
    render_own,
    render_prompt,
    separator_of,
    training_text,
)
from loralift.data.saved import dump_questions, hash_questions
from loralift.data.selection import HeldOut, SavedIndices, Selection
from loralift.data.spec import FIQA, BeirDirectory, BeirHub, HubDataset, LocalFile, Spec, parse_spec
from loralift.data.table import Dropped, Table, to_questions
from loralift.errors import DataError, UsageError, some, wrong_argument
from loralift.records import Question

__all__ = [
    "ALPACA_SYSTEM_PROMPT",
    "CHAT_SEPARATOR",
    "DEFAULT_SYSTEM_PROMPT",
    "PLACE_OF_QUESTION",
    "PLAIN_SEPARATOR",
    "Dropped",
    "Example",
    "Format",
    "HeldOut",
    "LoadedData",
    "SavedIndices",
    "Selection",
    "chat_messages",
    "dump_questions",
    "find_leaks",
    "hash_questions",
    "load_questions",
    "parse_spec",
    "read_training_texts",
    "render_alpaca",
    "render_own",
    "render_prompt",
    "separator_of",
    "training_text",
]


@dataclass(frozen=True, slots=True)
class LoadedData:
    """Questions, and everything that a run must record of where they came from.

    Attributes:
        questions: What is evaluated, in order; never empty, ids unique.
        source: For people: name, configuration, split, revision.
        selection: For people, which of the source's rows: ``all 648 rows``, ``the first 50 of all 648 rows``.
        sha256: Of the questions as canonical JSON; what a resume checks.
        columns: ``id`` (absent: the row index), ``question`` and ``reference`` to the source's column, and Alpaca's
            ``input``, ``system`` and ``history`` where they are there.
        dropped: Rows that were selected but cannot be evaluated, and why.
        notes: What else a reader must be told, a sentence each: columns that the prompt lacks, equal questions with
            different references, several references and whether all are used.
    """

    questions: Sequence[Question]
    source: str
    selection: str
    sha256: str
    columns: Mapping[str, str]
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()


def load_questions(
    spec: str = "fiqa",
    *,
    columns: Mapping[str, str] | None = None,
    selection: Selection | None = None,
    limit: int | None = None,
    strict: bool = False,
    references: Literal["all", "first"] | None = None,
    wanted: Format | None = None,
    every_turn: bool = False,
) -> LoadedData:
    """Load evaluation data.

    Nothing is truncated or reordered, and nothing stripped but the white space around BEIR's queries. A row without a
    question or a reference is left out and counted; the other rows keep their indices. A file that does not exist is
    an error, never a name to look up on the hub.

    Args:
        spec: ``fiqa``, a file, ``beir:DIR``, ``beir://NAME`` or ``hf://ORG/NAME``; see ``data/spec.py``.
        columns: Any of ``id``, ``question``, ``reference`` to the source's column, where the automatic names
            (``CANDIDATES`` in ``data/columns.py``) do not find it. A reference may be a list of several.
        selection: Which rows, where training took the others; None: all.
        limit: At most this many questions, the first ones after the selection; None: all.
        strict: Whether a row that must be dropped is an error.
        references: Which of a row's several references count; None: all, but of FiQA the first.
        wanted: The format; None: the one whose shape the rows have; see ``data/formats.py``.
        every_turn: Whether each of the assistant's turns in a conversation is a reference, or the last one alone.

    Returns:
        The questions and their provenance. Further columns with plain values are in ``Question.fields``.

    Raises:
        UsageError: An argument is not what it must be.
        DataError: The data cannot be read, a value is neither text nor a number, or no row can be evaluated.
    """
    if limit is not None and limit < 1:
        raise UsageError(wrong_argument("--limit", "a positive integer", limit))
    source = parse_spec(spec)
    table = _read(source)
    if not table.rows:
        raise DataError(f"{table.name}: there are no rows in it")
    indices = selection.choose(len(table.rows)) if selection else range(len(table.rows))
    first_only = (references or _usual(source)) == "first"
    reading = to_questions(
        table.name, table.rows, indices, columns or {}, first_only=first_only, wanted=wanted, every_turn=every_turn
    )
    if reading.dropped and (strict or not reading.questions):
        named = some(f"{row.id}: {row.reason}" for row in reading.dropped)
        way = "; without --strict they are left out" if reading.questions else ""
        cannot = f"{len(reading.dropped)} of {len(indices)} questions cannot be evaluated ({named}){way}"
        raise DataError(f"{table.name}: {cannot}")
    questions = reading.questions[:limit]
    limited = len(questions) if len(questions) < len(reading.questions) else None
    return LoadedData(
        questions,
        table.source,
        _describe(selection, len(table.rows), limited),
        hash_questions(questions),
        reading.columns,
        reading.dropped,
        (*table.notes, *notes_on(reading, set(columns or {}), len(questions))),
    )


def _read(spec: Spec) -> Table:
    match spec:
        case LocalFile(path):
            return read_file(path)
        case BeirDirectory():
            return read_beir_directory(spec)
        case BeirHub():
            return read_beir_hub(spec)
        case HubDataset():
            return read_hub(spec)


def _usual(spec: Spec) -> Literal["all", "first"]:
    """Which references count where nobody says: of FiQA the first ground truth, with which its figures are made."""
    return "first" if isinstance(spec, HubDataset) and spec.dataset == FIQA.dataset else "all"


def _describe(selection: Selection | None, rows: int, limited_to: int | None) -> str:
    what = f"the {selection}, of {rows} rows" if selection else f"all {rows} rows"
    if limited_to is None:
        return what
    return f"the first {limited_to} of {what}"
