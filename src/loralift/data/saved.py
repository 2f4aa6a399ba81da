"""Processed questions as text: the run's ``dataset.jsonl``, and the hash that a resume checks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from loralift.records import Question


def dump_questions(questions: Iterable[Question]) -> str:
    """The lines of ``dataset.jsonl``; ``load_questions`` reads them back as they were.

    Text stays readable (no Unicode escapes), so the file must be written as UTF-8.
    """
    return "".join(json.dumps(_as_dict(q), ensure_ascii=False) + "\n" for q in questions)


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
    return row | {"fields": dict(question.fields)} if question.fields else row
