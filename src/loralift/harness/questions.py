"""The documents of a task as questions with references, for reading; lm_eval scores by its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loralift.records import Question

NO_TARGET = "(the task names no target)"
CHOICE = "multiple_choice"


def row_id(task: str, document: int, *, several: bool) -> str:
    """A row's id: the document's number in its task, behind the task's name where there are several."""
    return f"{task}/{document}" if several else str(document)


def questions_of(tasks: Mapping[str, Any], limit: int | None) -> tuple[Question, ...]:
    """One question a document of tasks whose requests are built.

    Args:
        tasks: Name to lm_eval's task.
        limit: Most documents of each.
    """
    return tuple(
        _question(row_id(name, number, several=len(tasks) > 1), name if len(tasks) > 1 else "", task, document, first)
        for name, task in tasks.items()
        for number, document, first in _documents(task, limit)
    )


def _documents(task: Any, limit: int | None) -> Iterator[tuple[int, Any, Any]]:
    """Number, document and first request of each document."""
    first: dict[int, Any] = {}
    for instance in task.instances:
        first.setdefault(instance.doc_id, instance)
    for number, document in task.doc_iterator(limit=limit):
        yield number, document, first[number]


def _question(row: str, name: str, task: Any, document: Any, first: Any) -> Question:
    asked = task.doc_to_text(document)
    # what is no text is the number of a choice; then the request says what is asked
    text = asked if isinstance(asked, str) and asked.strip() else str(first.args[0])
    references = [one for one in dict.fromkeys(_targets(task, document)) if one.strip()] or [NO_TARGET]
    fields = {"task": name} if name else {}
    return Question(row, text if text.strip() else "(empty)", references[0], fields, tuple(references[1:]))


def _targets(task: Any, document: Any) -> list[str]:
    target = task.doc_to_target(document)
    targets = target if isinstance(target, list | tuple) else [target]
    choices = choices_of(task, document)
    return [
        choices[one] if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < len(choices) else str(one)
        for one in targets
    ]


def without_choice(task: Any, limit: int | None) -> int:
    """How many documents have a target that is none of their choices; lm_eval scores every answer to them as wrong."""
    if task.OUTPUT_TYPE != CHOICE:
        return 0
    strange = 0
    for _, document in task.doc_iterator(limit=limit):
        choices, target = choices_of(task, document), task.doc_to_target(document)
        targets = target if isinstance(target, list | tuple) else [target]
        strange += not all(
            one in choices if isinstance(one, str) else isinstance(one, int) and 0 <= one < len(choices)
            for one in targets
        )
    return strange


def choices_of(task: Any, document: Any) -> Sequence[str]:
    """The texts that a model chooses from; none where it writes its answer."""
    if task.OUTPUT_TYPE != CHOICE:
        return []
    own = getattr(task, "doc_to_choice", None)
    choices = own(document) if own is not None else document.get("choices", [])
    return [str(choice) for choice in choices]
