"""Which adapters a configuration names: NAME=PLACE, a bare place, or a pattern for all checkpoints of a training."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from loralift.config.fields import whole_line
from loralift.errors import some

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
"""What a folder has that is an adapter, whole or not."""

_PATTERN = re.compile(r"[*?\[]")
_UNUSABLE = re.compile(r"[^A-Za-z0-9._-]+")


def adapters_of(given: Any) -> Any:
    """Name to place, with every pattern replaced by the adapters that it matches.

    Args:
        given: Texts as on the command line, ``NAME=PLACE`` or a bare place, or a mapping of name to place.

    Returns:
        A dictionary; what is neither is given back for pydantic to refuse.

    Raises:
        PydanticCustomError: A pattern matches nothing, or something that is no adapter; a name is there twice.
    """
    if isinstance(given, list | tuple) and all(isinstance(text, str) for text in given):
        pairs = [_parted(text) for text in given]
    elif isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        return given
    found: dict[Any, Any] = {}
    for name, place in pairs:
        for one, where in _expanded(name, place) if isinstance(place, str) else [(name, place)]:
            if one in found:
                raise whole_line(f"names {one!r} twice: {found[one]!r} and {where!r}")
            found[one] = where
    return found


def natural(text: str) -> tuple[tuple[str, int], ...]:
    """A key by which checkpoint-90 comes before checkpoint-100."""
    return tuple((words, int(digits or 0)) for words, digits in re.findall(r"(\D*)(\d{0,4000})", text))


def _parted(text: str) -> tuple[str | None, str]:
    """Name and place; the name is None for a bare place."""
    name, equals, place = text.partition("=")
    return (None, text) if not equals or "/" in name else (name, place)


def _expanded(name: str | None, place: str) -> list[tuple[str, str]]:
    """A place under its name, or all that a pattern matches: in natural order, the name before those of the folders."""
    if not _PATTERN.search(place) or _is_folder(place):
        return [(_name_of(place) if name is None else name, place)]
    matches = _matches(place)
    strange = [match for match in matches if not any((Path(match) / one).is_file() for one in ADAPTER_FILES)]
    if not matches:
        raise whole_line(
            f"matches no folder here with {place!r}: a pattern finds adapters on this machine only; name each "
            "checkpoint of a hub repository, as ORG/NAME:checkpoint-500, or download the repository"
        )
    if strange:
        raise whole_line(
            f"matches with {place!r} what is no adapter ({some(strange, 3)}): let it match folders with an "
            "adapter_config.json alone, as RUN/checkpoint-* does"
        )
    names = _names(matches)
    return [(one if name is None else f"{name}-{one}", match) for one, match in zip(names, matches, strict=True)]


def _matches(pattern: str) -> list[str]:
    """What a pattern matches, in natural order; RUN:checkpoint-* is RUN/checkpoint-*."""
    if "**" in pattern:
        raise whole_line(f"cannot be a pattern with **, got {pattern!r}: write one * for each folder between")
    readings = [str(Path(pattern).expanduser())]
    for at, letter in enumerate(pattern):
        if letter == ":" and _is_folder(pattern[:at]):
            head = glob.escape(str(Path(pattern[:at]).expanduser()))
            readings.append(f"{head}/{pattern[at + 1 :].strip('/')}")
    try:
        # not by Path.glob, which takes no absolute pattern
        found = {match.rstrip("/") for reading in readings for match in glob.glob(reading)}  # noqa: PTH207
    except ValueError:  # a zero byte
        return []
    return sorted(found, key=natural)


def _names(matches: list[str]) -> list[str]:
    """A name for each: the folders in which they differ; of one its own."""
    parts = [PurePath(match).parts for match in matches]
    depth = min(map(len, parts))
    differ = [place for place in range(-depth, 0) if len({part[place] for part in parts}) > 1] or [-1]
    return [_UNUSABLE.sub("-", "-".join(part[place] for place in differ)).lstrip("._-") for part in parts]


def _name_of(place: str) -> str:
    """The name of a bare place: its folder's; of a hub repository that of its subfolder, or of itself."""
    if _is_folder(place):
        return PurePath(place).name
    repository, _, subfolder = place.partition(":")
    return PurePath(subfolder or repository.partition("@")[0]).name


def _is_folder(place: str) -> bool:
    try:
        return Path(place).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):  # too long a name, a zero byte, no such home
        return False
