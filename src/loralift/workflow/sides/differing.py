"""Were both sides asked the same? What differs is refused, unless the user allows it; what is not known is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from loralift import arguments
from loralift.errors import ComparisonError, UsageError, some, wrong_argument
from loralift.records import AllowedDifference
from loralift.workflow.sides.asked import DATA, FIELDS, TEXT
from loralift.workflow.sides.side import ALL_REFERENCES, DOC_HASH, Side

SHOWN = 40
"""Characters of a value that a message shows."""

_DATA_KEYS = frozenset({"question", "reference", ALL_REFERENCES, DOC_HASH})
_UNREADABLE = ("hash", "token ids")


def allowed_fields(names: Collection[str]) -> frozenset[str]:
    """What `--allow-different` names.

    Raises:
        UsageError: One is none of FIELDS.
    """
    fields = arguments.any_names("--allow-different", names, f"of {', '.join(FIELDS)}, each once")
    for name in fields:
        if name not in FIELDS:
            raise UsageError(wrong_argument("--allow-different", f"one of {', '.join(FIELDS)}", name))
    return frozenset(fields)


def asked_alike(before: Side, after: Side, sides: str, allowed: Collection[str] = ()) -> Side:
    """The candidate with what it was asked otherwise, as far as that is allowed, and a note on what is not known.

    Args:
        before: The baseline.
        after: The candidate.
        sides: What error messages call the two.
        allowed: Those of FIELDS that may differ.

    Raises:
        ComparisonError: Something else differs; the message names each field and both values.
    """
    if before.root is not None and before.root == after.root:  # a run asks all its variants alike
        return after
    both = [row for row in before.documents if row in after.documents]
    found = dict(_differences(before, after, both))
    if refused := [field for field in found if field not in allowed]:
        said = "; ".join(_said(before, after, field, found[field], len(both)) for field in refused)
        asked = "; were they asked the same data? Make" if DATA in refused else ": make"
        flags = " ".join(f"--allow-different {field}" for field in refused)
        raise ComparisonError(f"{sides}: {said}{asked} both alike, or add {flags}, and the verdict says so")
    differs = tuple(_difference(before, after, field, found[field]) for field in found)
    unknown = _unknown(before, after)
    return replace(after, allowed=differs, notes=(*after.notes, *unknown))


def field_of(key: str) -> str:
    """The field of FIELDS that a key of a row's document is of."""
    return DATA if key in _DATA_KEYS else key.partition(":")[0]


def other_document(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """In what two documents differ, as far as both are known; how they were asked does not count."""
    return [key for key in one if key in _DATA_KEYS and key in other and one[key] != other[key]]


type _Rows = dict[str, list[str]]
"""Key to the rows in which it differs, the most telling key first."""


def _differences(before: Side, after: Side, both: Collection[str]) -> Iterator[tuple[str, _Rows]]:
    """Each field that differs, in the order of FIELDS."""
    found: _Rows = {}
    for row in both:
        one, other = before.documents[row], after.documents[row]
        if one is not other:
            for key in one:
                if key in other and one[key] != other[key]:
                    found.setdefault(key, []).append(row)
    for field in FIELDS:
        keys = [key for key in found if field_of(key) == field]
        # text that a reader can compare before its hash, and what differs on most rows
        keys.sort(key=lambda key: (key.partition(":")[2].startswith(_UNREADABLE), key != TEXT, -len(found[key])))
        if keys:
            yield field, {key: found[key] for key in keys}


def _said(before: Side, after: Side, field: str, rows: _Rows, shared: int) -> str:
    """One field in words, with both values and on how many rows."""
    one, differing = _difference(before, after, field, rows), dict.fromkeys(row for of in rows.values() for row in of)
    if field != DATA:
        where = "" if len(differing) == shared else f" on {len(differing)} of {shared} rows"
        return f"{field} differs{where} ({one.baseline} and {one.candidate})"
    count = f"{len(differing)} of {shared} ids"
    if DOC_HASH in rows:
        what = f"{count} stand for another document on the other side ({DOC_HASH} differs): {some(differing)}"
        return f"data differs: {what}"
    what = f"for {count}, the same id stands for another question or reference on the other side: {some(differing)}"
    return f"data differs: {what} ({one.baseline} and {one.candidate})"


def _difference(before: Side, after: Side, field: str, rows: _Rows) -> AllowedDifference:
    key, (row, *_) = next(iter(rows.items()))
    # the form without what it is of
    name = key.partition(":")[2].partition(" on ")[0] if field != DATA else f"{key} of {row}:"
    label = "" if name in ("", "text", "example") else f"{name} "
    texts = _apart(before.documents[row][key], after.documents[row][key])
    return AllowedDifference(field, *(f"{label}{text}" for text in texts))


def _apart(one: str, other: str) -> tuple[str, str]:
    """Both texts in one line, from shortly before where they part."""
    place = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, place - SHOWN // 4) if max(len(one), len(other)) > SHOWN else 0
    return _short(one, start), _short(other, start)


def _short(text: str, start: int) -> str:
    part = text[start : start + SHOWN]
    shown = part.replace("\n", "\\n") or "nothing"
    return f"{'… ' if start else ''}{shown}{' …' if start + SHOWN < len(text) else ''}"


def _unknown(before: Side, after: Side) -> tuple[str, ...]:
    """One sentence on the fields that cannot be compared on all shared rows; none where all can."""
    shared = {score.id for score in before.scores} & {score.id for score in after.scores}
    compared, has = Counter[str](), (set[str](), set[str]())
    for row in shared:
        documents = before.documents.get(row, {}), after.documents.get(row, {})
        compared.update({field_of(key) for key in documents[0] if key in documents[1]})
        for fields, document in zip(has, documents, strict=True):
            fields.update(map(field_of, document))
    why: dict[str, list[str]] = {}
    for field in FIELDS:
        if compared[field] < len(shared):
            why.setdefault(_why(before, after, field, has, compared[field], len(shared)), []).append(field)
    if not why:
        return ()
    said = "; ".join(f"{reason}: {', '.join(fields)}" for reason, fields in why.items())
    return (f"Whether both were asked alike is not known of all. {said[0].upper()}{said[1:]}.",)


def _why(before: Side, after: Side, field: str, has: tuple[set[str], set[str]], compared: int, shared: int) -> str:
    """Why a field is not compared on every row."""
    if compared:
        return f"on {compared} of {shared} rows alone both say it"
    match field in has[0], field in has[1]:
        case False, False:
            return "neither side says it"
        case True, True:
            return "each says it in its own way"
        case True, False:
            return f"only {before.name} says it"
        case _:
            return f"only {after.name} says it"
