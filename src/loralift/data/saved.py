"""Processed questions as text: the run's ``dataset.jsonl``, and the hash that a resume checks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from loralift.records import Question, Style, Turn

ASKED = "asked"
"""The key of all that a question has besides where it is not asked by LoraLift's own prompt."""


def dump_questions(questions: Iterable[Question]) -> Iterator[str]:
    """The lines of ``dataset.jsonl``, one after the other; ``load_questions`` reads them back as they were.

    Text stays readable (no Unicode escapes), so the file must be written as UTF-8.
    """
    return (json.dumps(_as_dict(question), ensure_ascii=False) + "\n" for question in questions)


def hash_questions(questions: Iterable[Question]) -> str:
    """SHA-256, in hex, of the questions as canonical JSON lines: keys sorted, no spaces, UTF-8."""
    digest = hashlib.sha256()
    for question in questions:
        line = json.dumps(_as_dict(question), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest.update(line.encode("utf-8") + b"\n")
    return digest.hexdigest()


def hash_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """SHA-256, in hex, of questions and references in order, whatever their ids: the content of a data set."""
    digest = hashlib.sha256()
    for question, reference in pairs:
        digest.update(json.dumps([question, reference], ensure_ascii=False).encode("utf-8") + b"\n")
    return digest.hexdigest()


def _as_dict(question: Question) -> dict[str, object]:
    row: dict[str, object] = {
        "id": question.id,
        "question": question.question,
        # a list only of several: what has one keeps its hash
        "reference": list(question.references) if question.others else question.reference,
    }
    row |= {"fields": dict(question.fields)} if question.fields else {}
    return row | {ASKED: asked} if (asked := _asked(question)) else row


def _asked(question: Question) -> dict[str, object]:
    """Style, system message, earlier turns and input; empty for a plain question, which keeps its hash."""
    turns = [[turn.role, turn.content] for turn in question.turns]
    said = {"system": question.system, "turns": turns, "input": question.input}
    found: dict[str, object] = {name: value for name, value in said.items() if value}
    return {"style": question.style, **found} if found or question.style != "plain" else {}


def asked_of(row: Mapping[str, object]) -> dict[str, Any]:
    """The same fields of a line of ``dataset.jsonl``, as ``Question`` takes them; empty where it has none.

    What is not just as we write it is a column of somebody else's.
    """
    said = row.get(ASKED)
    if not isinstance(said, Mapping) or said.get("style") not in get_args(Style):
        return {}
    turns, texts = said.get("turns", []), {name: said.get(name, "") for name in ("style", "system", "input")}
    if not set(said) <= {"turns", *texts} or not all(isinstance(text, str) for text in texts.values()):
        return {}
    if not isinstance(turns, list) or not all(map(_is_turn, turns)):
        return {}
    return {**texts, "turns": tuple(Turn(*turn) for turn in turns)}


def _is_turn(value: object) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and value[0] in ("user", "assistant") and isinstance(value[1], str)
    )
