"""Worked examples of few-shot protocols: the same for every variant and question, and never rows that are evaluated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from loralift.config import RunConfig
from loralift.data import LoadedData, find_leaks, load_questions
from loralift.errors import DataError, UsageError
from loralift.records import Protocol, Question
from loralift.workflow.asking import Examples

AT_ONCE = 64
"""Candidates that are looked for among the evaluated rows together."""


def load_shots(config: RunConfig, protocols: Sequence[Protocol], evaluated: Sequence[Question]) -> Examples:
    """Choose worked examples at random, by the seed alone, from --shots or else --train-data.

    Args:
        config: Where they are.
        protocols: The one with the most of them says how many.
        evaluated: The rows that are evaluated; no example has the question or the reference of one, exactly or nearly.

    Returns:
        The examples; none where no protocol has any.

    Raises:
        DataError: The file cannot be read, or has no question and answer in its rows.
        UsageError: There are too few that are not evaluated.
    """
    wanted = max(protocol.shots for protocol in protocols)
    if not wanted:
        return Examples()
    flag, place = ("--shots", config.shots) if config.shots is not None else ("--train-data", config.train_data)
    assert place is not None  # the configuration makes sure
    # earlier turns would have to be shown too, and no form has a place for them
    # the same row twice would be one example shown twice
    read = _read(flag, place, config)
    rows = [row for row in read.questions if not row.turns]
    candidates = list({_folded(f"{row.question}\n{row.reference}"): row for row in rows}.values())
    random.Random(config.seed).shuffle(candidates)
    known = _Evaluated(evaluated)
    chosen: list[Question] = []
    left_out = 0
    for start in range(0, len(candidates), AT_ONCE):
        fine = known.others(candidates[start : start + AT_ONCE])
        left_out += len(candidates[start : start + AT_ONCE]) - len(fine)
        chosen += fine
        if len(chosen) >= wanted:
            break
    if len(chosen) < wanted:
        raise UsageError(
            f"`{flag}` must have {wanted} rows that are not evaluated, got {len(chosen)} in {place} ({left_out} are "
            "among the evaluated ones): give another file with --shots, or lower --num-shots"
        )
    chosen = chosen[:wanted]
    named = ", ".join(question.id for question in chosen)
    columns = " and ".join(repr(read.columns[part]) for part in ("question", "reference") if part in read.columns)
    of = f" (columns {columns})" if columns else ""
    said = f"The worked examples are rows {named} of {place}{of}, chosen by the seed"
    return Examples(
        tuple(chosen), f"{said}; {left_out} that are evaluated were passed over." if left_out else f"{said}."
    )


class _Evaluated:
    """The evaluated rows, to keep examples apart from."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self._texts = [f"{question.question}\n{question.reference}" for question in questions]
        # what is too short for n-grams too
        self._folded = {_folded(text) for question in questions for text in (question.question, *question.references)}

    def others(self, candidates: Sequence[Question]) -> list[Question]:
        """Those candidates that are none of them, nor nearly."""
        numbered = [replace(each, id=str(place)) for place, each in enumerate(candidates)]
        leaked = {leak.id for leak in find_leaks(numbered, self._texts)}
        fine = [
            each
            for place, each in enumerate(candidates)
            if str(place) not in leaked and not {_folded(each.question), _folded(each.reference)} & self._folded
        ]
        # and the other way round: an evaluated row may stand in a longer example; each is told of one example at once
        while found := find_leaks(self._questions, [f"{each.question}\n{each.reference}" for each in fine]):
            holding = {leak.train_row - 1 for leak in found}
            fine = [each for place, each in enumerate(fine) if place not in holding]
        return fine


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _read(flag: str, place: Path, config: RunConfig) -> LoadedData:
    if place.suffix.lower() == ".txt":
        raise UsageError(
            f"`{flag}` must be a file of questions and answers for worked examples, got {place}: give one with --shots"
        )
    if config.columns:
        # those of the data first: in rows of the same kind the automatic ones may be a model's output
        with suppress(DataError):
            return load_questions(str(place), columns=config.columns, wanted=config.format)
    try:
        return load_questions(str(place))
    except DataError as error:
        raise DataError(f"`{flag}`, for worked examples: {error}") from error
