"""Where an adapter lies: a folder, or ``ORG/NAME@REVISION:SUBFOLDER`` on the hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from loralift.errors import AdapterError
from loralift.generation.model.base_model import ADAPTER_CONFIG
from loralift.generation.model.hub import find_folder

FORM = "ORG/NAME@REVISION:SUBFOLDER"

_HUB = re.compile(r"(?P<source>[^@:]+)(?:@(?P<revision>[^@:]+))?(?::(?P<subfolder>[^@:]+))?")
_PATTERN = re.compile(r"[*?\[]")


def find_adapter(argument: str, place: str, revision: str | None, patterns: Sequence[str]) -> tuple[Path, str | None]:
    """The local folder of an adapter, fetched from the hub if it is not one already.

    A folder of that very name comes first, whatever letters it has. Then ``FOLDER:SUBFOLDER`` on the disk, then the
    hub: the revision comes before the subfolder, since a revision has no colon and a subfolder may have slashes.

    Args:
        argument: What the user wrote, for the message.
        place: A folder, FOLDER:SUBFOLDER, or ORG/NAME with ``@REVISION`` and ``:SUBFOLDER`` or without.
        revision: A hub branch, tag or commit, where the place names none.
        patterns: Which files of a hub repository are wanted.

    Returns:
        The folder, and the commit if it came from the hub.

    Raises:
        AdapterError: There is none, or the place can be read in two ways.
    """
    if Path(place).expanduser().exists():
        return find_folder(argument, place, revision, patterns, AdapterError)
    if (folder := _inside_a_folder(argument, place)) is not None:
        return folder, None
    head, at, _ = place.partition("@")
    if at and Path(head).expanduser().is_dir():
        raise AdapterError(f"`{argument}` names a revision of a folder on this machine, which has none: leave out @…")
    parts = _HUB.fullmatch(place)
    if place.startswith((".", "/", "~")) or (":" not in place and "@" not in place):
        return find_folder(argument, place, revision, patterns, AdapterError)
    if parts is None:
        raise AdapterError(f"`{argument}` must be an existing folder, or {FORM} on the hub, in this order")
    if parts["revision"] and revision not in (None, parts["revision"]):
        raise AdapterError(f"`{argument}` names the revision {parts['revision']!r}, and {revision!r} was asked for too")
    subfolder = _plain(argument, parts["subfolder"] or "")
    wanted = [f"{subfolder}/{pattern}" for pattern in patterns] if subfolder else patterns
    root, commit = find_folder(argument, parts["source"], parts["revision"] or revision, wanted, AdapterError)
    if not (root / subfolder).is_dir():
        raise AdapterError(
            f"`{argument}` must name a folder of {parts['source']}: it has no {subfolder}/{ADAPTER_CONFIG} at "
            f"{commit}, as far as it was downloaded"
        )
    return root / subfolder, commit


def checkpoints_in(folder: Path) -> list[str]:
    """Names of the checkpoints that a training left in its output folder, by their steps."""
    found = [path.parent.name for path in folder.glob(f"checkpoint-*/{ADAPTER_CONFIG}")]
    return sorted(found, key=lambda name: (len(name), name))


def _inside_a_folder(argument: str, place: str) -> Path | None:
    """FOLDER:SUBFOLDER on this machine; None where no part before a colon is a folder."""
    cuts = [at for at, letter in enumerate(place) if letter == ":" and Path(place[:at]).expanduser().is_dir()]
    if not cuts:
        return None
    readings = [Path(place[:at]).expanduser() / _plain(argument, place[at + 1 :]) for at in cuts]
    found = [path for path in readings if path.is_dir()]
    if len(found) > 1:
        both = " and ".join(map(str, found))
        raise AdapterError(f"`{argument}` can be read in two ways, {both}: write the one that is meant as its path")
    if not found:
        raise AdapterError(f"`{argument}` must be a folder: there is no {readings[0]}")
    return found[0]


def _plain(argument: str, subfolder: str) -> str:
    """A subfolder that stays inside its folder and is no pattern."""
    if subfolder.startswith("/") or ".." in PurePosixPath(subfolder).parts:
        raise AdapterError(f"`{argument}` must have behind the colon a folder inside the first one, got {subfolder!r}")
    if _PATTERN.search(subfolder):
        raise AdapterError(f"`{argument}` names a pattern in a hub repository, which is not listed: name each folder")
    return subfolder.strip("/")
