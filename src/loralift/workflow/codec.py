"""Records as JSON objects and back."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from loralift.errors import RunDirectoryError, shown
from loralift.reading import reading
from loralift.records import Score, Scores

UNSCORED = "unscored"
"""The key, in a line of scores.jsonl, of the reasons why values are null."""


def plain(value: Any) -> Any:
    """A record, or a container of records, as JSON values; infinity and NaN become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset | set):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def decode[Record](kind: type[Record], value: Any) -> Record:
    """A record from the JSON value that `plain` made of it.

    Raises:
        RunDirectoryError: The value does not have the record's fields; the message names the first wrong one.
    """
    with reading(f"a {kind.__name__}", RunDirectoryError):
        try:
            record: Record = _adapter(cast(Hashable, kind)).validate_python(value)
            return record
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            said = f"not a {kind.__name__}: field {where!r}: {first['msg']}, got {shown(first['input'])}"
            raise RunDirectoryError(said) from None


def score_row(score: Score) -> dict[str, Any]:
    """A line of scores.jsonl: id, metric values, sufficient statistics of corpus metrics, and why a value is null."""
    # not by `plain`, which inspects every value and is slow: this is called for every answer
    row: dict[str, Any] = {"id": score.id, **{name: _finite(value) for name, value in score.values.items()}}
    if score.statistics:
        row["statistics"] = {name: [_finite(value) for value in of] for name, of in score.statistics.items()}
    if score.unscored:
        row[UNSCORED] = dict(score.unscored)
    return row


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def score_of(row: Mapping[str, Any]) -> Score:
    """The score of a line of scores.jsonl, or of any line of {"id", METRIC: value, ...}.

    Raises:
        RunDirectoryError: There is no id, or a value is neither a number nor null.
    """
    # interned, so that 100,000 rows share the strings of names and reasons
    reasons = reasons_of(row)
    apart = ("id", "statistics", UNSCORED) if reasons else ("id", "statistics")
    values = {sys.intern(name): value for name, value in row.items() if name not in apart}
    fields = {"id": row.get("id"), "values": values, "statistics": row.get("statistics", {})}
    score = decode(Score, fields)
    return dataclasses.replace(score, unscored=reasons) if reasons else score


def scores_of(place: object, rows: Iterable[Mapping[str, Any]]) -> Scores:
    """The scores of a file's lines.

    Args:
        place: The file, for messages.
        rows: Its lines.

    Raises:
        RunDirectoryError: A line is no score, its id was there before, or its statistics of a metric are not as many
            finite numbers as in other lines; the message names the line.
    """
    scores = Scores.of(_checked(place, rows))
    if scores.ids.twice:
        number = scores.ids.twice[0]
        raise RunDirectoryError(
            f"{place}, row {number + 1}: the id {scores.ids[number]} is there more than once; keep one row"
        )
    return scores


def _checked(place: object, rows: Iterable[Mapping[str, Any]]) -> Iterator[Score]:
    sizes: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        try:
            score = score_of(row)
        except RunDirectoryError as error:
            raise RunDirectoryError(f"{place}, row {number}: {error}") from None
        for metric, of in score.statistics.items():
            if len(of) != sizes.setdefault(metric, len(of)) or not all(map(math.isfinite, of)):
                wanted = f"{sizes[metric]} finite numbers, as in other rows"
                raise RunDirectoryError(f"{place}, row {number}: the statistics of {metric} must be {wanted}")
        yield score


def reasons_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Why a line's values are null, by metric: its ``unscored``, where that is a mapping of texts."""
    found = row.get(UNSCORED)
    if not isinstance(found, Mapping) or not all(isinstance(reason, str) for reason in found.values()):
        return {}
    return {sys.intern(str(name)): sys.intern(reason) for name, reason in found.items()}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
