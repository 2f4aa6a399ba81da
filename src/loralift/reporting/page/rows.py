"""The rows as the page's script reads them: JSON, compressed, within a budget."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Any

from loralift.records import TRAINING, Report, Row
from loralift.reporting.charts.pairs import difference_of
from loralift.reporting.failures import tallied
from loralift.reporting.page.word_differences import Unmarked, compact, word_differences
from loralift.visible import visible

FailureModes = Callable[[Row, str], tuple[str, ...]]

# Base64 of gzip beside the text: where the first guess of the ratio is wrong, it is measured again.
_RATIO = 0.6
_TRIES = 6

# Rows in a row that do not fit, after which there is no room for any other: most rows of a large run are never made.
_MISSES = 100


@dataclass(frozen=True, slots=True)
class PackedRows:
    """What the page carries.

    Attributes:
        data: JSON, gzip, base64; so nothing that a model wrote stands in the page as markup.
        kept: How many rows it holds.
        total: How many there are.
    """

    data: str
    kept: int
    total: int


def pack(report: Report, failure_modes: FailureModes, budget: int) -> PackedRows:
    """Pack as many rows as the budget takes.

    Args:
        report: Its rows.
        failure_modes: The names of the ways in which a variant's answer to a row fails.
        budget: Bytes that ``data`` may have.

    Returns:
        All rows, or a part of them in the data's order: in turn the row with the largest difference on the primary
        metric and one of an even spread over the data. A row is there under every protocol, or not at all.

    Raises:
        ValueError: The rows under a further protocol are not the report's.
    """
    _check_asked(report)
    dictionary = _Dictionary()
    total = len(report.rows)

    @cache
    def made(position: int) -> str:
        further = [rows[position] for rows in report.asked.values()]
        return _json(_row(report, [report.rows[position], *further], failure_modes, dictionary))

    ratio = _RATIO
    for _ in range(_TRIES):
        kept = _kept(_preferred(report), made, budget / ratio - len(_json(_head(report, dictionary))))
        content = _content(_head(report, dictionary), [made(position) for position in kept])
        data = _packed(content)
        if len(data) <= budget and (len(kept) == total or len(data) > 0.8 * budget):
            break
        # A little above what was measured, so that the next try fits.
        ratio = 1.03 * len(data) / len(content)
    if len(data) <= budget:
        return PackedRows(data, len(kept), total)
    return PackedRows(_packed(_content(_head(report, dictionary), [])), 0, total)


def asked_names(report: Report) -> tuple[str, ...]:
    """The protocols under which the rows can be read, the report's own first; none where there is but one."""
    if not report.asked:
        return ()
    first = report.protocols.names[0] if report.protocols is not None else TRAINING
    return (first, *report.asked)


def _check_asked(report: Report) -> None:
    """A row shown beside another one's answers would be a wrong number that nobody sees."""
    ids = [row.id for row in report.rows] if report.asked else []
    for name, rows in report.asked.items():
        if [row.id for row in rows] != ids:
            raise ValueError(f"Report.asked[{name!r}] has other rows than Report.rows, or in another order")


class _Dictionary:
    """Words that many rows share, each written once."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def place(self, word: str) -> int:
        return self.places.setdefault(word, len(self.places))


def _head(report: Report, dictionary: _Dictionary) -> dict[str, Any]:
    comparison = report.comparison
    # Slices in the order in which the comparison names them, not in that in which rows happen to come.
    parts: dict[str, list[str]] = {}
    for each in report.confounds.slices:
        if each.part not in parts.setdefault(each.column, []):
            parts[each.column].append(each.part)
    for column, present in tallied(report).parts.items():
        parts.setdefault(column, []).extend(part for part in present if part not in parts[column])
    return {
        "variants": report.variants,
        "asked": asked_names(report),
        "primary": comparison.primary if comparison else next(iter(report.metrics), ""),
        "metrics": [
            {
                "name": info.name,
                "title": info.title,
                "unit": info.unit,
                "decimals": info.decimals,
                "direction": {True: 1, False: -1, None: 0}[info.higher_is_better],
            }
            for info in report.metrics.values()
        ],
        "parts": parts,
        "words": list(dictionary.places),
        "called": report.of_candidates,
        "references": report.has("reference"),
        "answering": [name in report.answering for name in report.variants],
    }


def in_sight(row: Row) -> Row:
    """The row with the control characters and direction marks of its texts shown escaped."""
    return replace(
        row,
        question=visible(row.question, lines=True),
        reference=visible(row.reference, lines=True),
        answers={variant: visible(text, lines=True) for variant, text in row.answers.items()},
        thinking={variant: visible(text, lines=True) for variant, text in row.thinking.items()},
    )


def _row(report: Report, ways: Sequence[Row], failure_modes: FailureModes, dictionary: _Dictionary) -> dict[str, Any]:
    """A row under every protocol: once what was asked, and as often as it was asked what came back."""
    row = in_sight(ways[0])
    return {
        "id": row.id,
        **({"question_id": row.question_id} if row.question_id else {}),
        "question": row.question,
        "reference": row.reference,
        "parts": {column: dictionary.place(part) for column, part in row.parts.items()},
        "ways": [_answered(report, way, failure_modes, dictionary) for way in ways],
    }


def _answered(report: Report, asked: Row, failure_modes: FailureModes, dictionary: _Dictionary) -> dict[str, Any]:
    base, *adapters = report.variants
    row = in_sight(asked)
    return {
        # null: it thought and never answered, or what was compared has no answer
        "answers": [row.answers.get(name) for name in report.variants],
        **({"thinking": [row.thinking.get(name) for name in report.variants]} if row.thinking else {}),
        # null: the variant does not have the row, and the page lists it under the others alone
        "values": [
            [_number(row, variant, name, base) for name in report.metrics]
            if variant in row.values or not row.values
            else None
            for variant in report.variants
        ],
        "modes": [[dictionary.place(mode) for mode in failure_modes(asked, variant)] for variant in report.variants],
        "marks": [_marks(row.answers.get(base, ""), row.answers.get(adapter, "")) for adapter in adapters],
    }


def _marks(before: str, after: str) -> list[list[int]] | Unmarked:
    found = word_differences(before, after)
    return found if isinstance(found, str) else [compact(before, found[0]), compact(after, found[1])]


def _number(row: Row, variant: str, metric: str, base: str) -> float | None:
    """A value in nine digits, equal to the base's only where the comparison finds a tie: the script need but compare.

    None where it is not finite: JSON knows no infinity.
    """
    value, before = (row.values.get(side, {}).get(metric) for side in (variant, base))
    return _written(value, None if variant == base else before)


def _written(value: float | None, before: float | None) -> float | None:
    """As `_number`; `before` is the base's value, None where the value is the base's own."""
    if value is None or not math.isfinite(value):
        return None
    written = float(f"{value:.9g}")
    if before is None or not math.isfinite(before):
        return written
    written_before = float(f"{before:.9g}")
    difference = difference_of(before, value)
    if difference == 0:
        return written_before
    return written if written != written_before else written_before + difference


def _kept(order: Iterable[int], made: Callable[[int], str], room: float) -> list[int]:
    """Positions of the rows that fit, in the data's order."""
    kept, left, misses = [], room, 0
    for position in order:
        size = len(made(position))
        if size <= left:
            kept.append(position)
            left -= size
            misses = 0
        elif (misses := misses + 1) == _MISSES:
            break
    return sorted(kept)


def _preferred(report: Report) -> Iterator[int]:
    """Every row's position: in turn one of a large difference and one of an even spread."""
    count, taken = len(report.rows), set[int]()
    # Bit-reversed counting visits an even spread however early it is stopped.
    bits = max(1, (count - 1).bit_length())
    spread = (int(f"{position:0{bits}b}"[::-1], 2) for position in range(2**bits))
    turns = zip(_by_difference(report), (p for p in spread if p < count), strict=True)
    for position in chain.from_iterable(turns):
        if position not in taken:
            taken.add(position)
            yield position


def _by_difference(report: Report) -> list[int]:
    """The rows' positions, those with the largest differences first; in the data's order where they are equal."""
    import numpy as np

    largest = np.array(list(_largest_differences(report)), dtype=np.float64)
    return [int(place) for place in np.argsort(-largest, kind="stable")]


def _largest_differences(report: Report) -> Iterator[float]:
    """Of any candidate from the baseline on the primary metric, without its sign; -1 where there is none."""
    values = tallied(report).primary
    base, *others = (map(_known, values[variant].tolist()) for variant in report.variants)
    for before, *after in zip(base, *others, strict=True):
        written = _written(before, None)
        differences = (_written(value, before) for value in after)
        known = (abs(value - written) for value in differences if value is not None and written is not None)
        yield max(known, default=-1.0) if report.comparison is not None else -1.0


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _json(value: Any) -> str:
    # ASCII: half a surrogate pair, which a model can write, has no UTF-8.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _content(head: dict[str, Any], rows: Sequence[str]) -> str:
    """One JSON object of the head and of rows that are JSON already."""
    return f'{_json(head)[:-1]},"rows":[{",".join(rows)}]}}'


def _packed(content: str) -> str:
    # Without a time stamp, so that the same run gives the same page.
    return base64.b64encode(gzip.compress(content.encode("ascii"), mtime=0)).decode("ascii")
