"""Values that people give as arguments (flags, YAML, Python): what is a number, a text, a list of names.

Python reads far more as a number than anybody means: ``True``, ``1_000``, ``٣``, ``" 5 "``. All of it is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path

from loralift.errors import UsageError, shown, wrong_argument

LARGEST_SEED = 2**53
"""No reader of JSON holds a larger integer for sure, and every library takes it."""

LARGEST_MARGIN = 1e100

_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def whole_number(argument: str, value: object, least: int, most: int, allowed: str = "") -> int:
    """An integer, or its decimal digits.

    Args:
        argument: Its name, for messages.
        value: What came.
        least: Smallest that is allowed.
        most: Largest that is allowed.
        allowed: What is allowed, for messages; empty: the bounds.

    Raises:
        UsageError: It is something else, such as a truth value or 1.0, or out of bounds.
    """
    found: int | None = None
    if isinstance(value, str):
        found = int(value) if _WHOLE.fullmatch(value) else None
    elif isinstance(value, Integral) and not isinstance(value, bool):
        found = int(value)
    if found is None or not least <= found <= most:
        raise UsageError(wrong_argument(argument, allowed or f"an integer from {least:,} to {most:,}", value))
    return found


def number(argument: str, value: object, least: float, most: float, allowed: str, *, above: bool = False) -> float:
    """A number, or a decimal number's text.

    Args:
        argument: Its name, for messages.
        value: What came.
        least: Smallest that is allowed.
        most: Largest that is allowed; finite.
        allowed: What is allowed, for messages.
        above: Whether it must be more than ``least``.

    Raises:
        UsageError: It is something else, such as a truth value or NaN, or out of bounds.
    """
    found: float | None = None
    if isinstance(value, str):
        found = float(value) if _NUMBER.fullmatch(value) else None
    elif isinstance(value, Real) and not isinstance(value, bool) and -LARGEST_MARGIN <= value <= LARGEST_MARGIN:  # type: ignore[operator]
        found = float(value)  # an integer beyond would not fit into a float
    if found is None or not least <= found <= most or (above and found == least):
        raise UsageError(wrong_argument(argument, allowed, value))
    return found


def seed(argument: str, value: object) -> int:
    """A seed.

    Raises:
        UsageError: It is no integer from 0 to LARGEST_SEED.
    """
    return whole_number(argument, value, 0, LARGEST_SEED)


def text(argument: str, value: object, allowed: str) -> str:
    """Any text that can be written as UTF-8.

    Raises:
        UsageError: It is no text, or holds half of a surrogate pair.
    """
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise UsageError(wrong_argument(argument, allowed, value))
    return value


def name(argument: str, value: object, allowed: str) -> str:
    """A text that says something in one line: no control character, no more than 4,096 characters.

    Raises:
        UsageError: It is something else.
    """
    found = text(argument, value, allowed)
    if not found.strip() or _CONTROL.search(found) or len(found) > 4_096:
        raise UsageError(wrong_argument(argument, allowed, value))
    return found


def path(argument: str, value: object, allowed: str) -> Path:
    """A path, from its text or as it is; surrogates are how Python spells a file name that is not UTF-8.

    Raises:
        UsageError: It is neither, or no file can be called so.
    """
    written = str(value) if isinstance(value, str | Path) else ""
    if not written.strip() or _CONTROL.search(written) or len(written) > 4_096:
        raise UsageError(wrong_argument(argument, allowed, value))
    return Path(written)


def names(argument: str, values: object, allowed: str) -> list[str]:
    """Names in an order, each once, at least one.

    Args:
        argument: Its name, for messages.
        values: A list of them, or one of them.
        allowed: What is allowed, for messages.

    Raises:
        UsageError: There is none, one is there twice, or one is no text.
    """
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, Iterable) or isinstance(values, bytes | Mapping | set | frozenset):
        raise UsageError(wrong_argument(argument, allowed, values))
    values = list(values)
    found = [name(argument, value, allowed) for value in values]
    if not found:
        raise UsageError(wrong_argument(argument, allowed, values))
    for one in found:
        if found.count(one) > 1:
            raise UsageError(f"`{argument}` names {one!r} twice; name it once")
    return found


def any_names(argument: str, values: object, allowed: str) -> tuple[str, ...]:
    """Names whose order means nothing, each once, perhaps none.

    Raises:
        UsageError: As `names`.
    """
    if values is None or values in ((), []):
        return ()
    if isinstance(values, set | frozenset):
        values = sorted(values, key=str)
    return tuple(names(argument, values, allowed)) if values else ()


def mapping(argument: str, values: object, allowed: str) -> Mapping[str, object]:
    """A mapping whose keys are names; None is an empty one.

    Raises:
        UsageError: It is something else.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise UsageError(wrong_argument(argument, allowed, values))
    return {name(argument, key, allowed): value for key, value in values.items()}


def pairs[Value](argument: str, texts: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """Names and values as a mapping, each name once.

    Raises:
        UsageError: One is there twice.
    """
    found: dict[str, Value] = {}
    for key, value in texts:
        if key in found:
            raise UsageError(f"`{argument}` names {key!r} twice: {shown(found[key])} and {shown(value)}")
        found[key] = value
    return found


def margins(argument: str, values: object) -> dict[str, float]:
    """Metric to equivalence margin.

    Raises:
        UsageError: It is no mapping, or a margin is no positive number.
    """
    allowed = "METRIC=X with X a positive number"
    given = mapping(argument, values, allowed)
    return {key: margin(argument, value, allowed) for key, value in given.items()}


def margin(argument: str, value: object, allowed: str) -> float:
    """One margin of equivalence.

    Raises:
        UsageError: It is no positive number.
    """
    return number(argument, value, 0.0, LARGEST_MARGIN, allowed, above=True)
