"""Whether folders are all shards of one run: each there once, none missing, none of another run."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralift.errors import RunDirectoryError, some
from loralift.workflow.damage import within
from loralift.workflow.run_directory import RunDirectory, differences
from loralift.workflow.sharding import Shard

MAY_DIFFER = (
    *("output_dir", "batch_size", "device"),
    *("endpoint", "endpoint_key_env", "endpoint_wait", "concurrency"),
    *("workers", "ray_address"),
)
"""Of the configuration: where a shard lies and how it runs, which a resume too may change."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One shard's folder.

    Attributes:
        directory: The folder.
        shard: Which shard it is.
        run: Its run.json.
    """

    directory: RunDirectory
    shard: Shard
    run: dict[str, Any]

    @property
    def kept(self) -> dict[str, Any]:
        """What it kept for the merge."""
        kept: dict[str, Any] = self.run["shard"]
        return kept

    @property
    def parts(self) -> list[str]:
        """The folders of the parts of the run, the one that decides first."""
        others = [f"protocols/{name}" for name in self.run.get("protocols", [])[1:]]
        return ["", *others, *(f"also/{name}" for name in self.run.get("also", []))]

    def of(self, part: str) -> RunDirectory:
        """The folder of one of its parts."""
        return RunDirectory(self.directory.root / part)


def pieces_of(places: Sequence[Path], held: ExitStack) -> list[Piece]:
    """The shards that lie in folders, in order; no other process writes to them while `held` is open.

    Raises:
        RunDirectoryError: A folder is no shard or is there twice, or the shards are not all of one N, each once.
    """
    known: dict[str, Path] = {}
    for place in places:
        real = os.path.realpath(place)
        if real in known:
            raise RunDirectoryError(f"{place} is given twice (as {known[real]} before): give each shard once")
        known[real] = place
    pieces = []
    for place in places:
        directory = RunDirectory(place)
        held.enter_context(directory.at_rest())
        pieces.append(_piece(directory))
    _refuse_incomplete(pieces)
    return sorted(pieces, key=lambda piece: piece.shard.index)


def _piece(directory: RunDirectory) -> Piece:
    run = directory.read_run()
    if "shard" not in run:
        raise RunDirectoryError(
            f"{directory.root} is no shard, but a whole run, which has its verdict: leave it out; shards are made by "
            "`loralift run … --shard I/N`"
        )
    if run.get("part"):
        raise RunDirectoryError(f"{directory.root} is the {run['part']} of a shard: give the shard's own folder")
    return Piece(directory, Shard(run["shard"]["index"], run["shard"]["of"]), run)


def _refuse_incomplete(pieces: Sequence[Piece]) -> None:
    """Refuse shards of several N, one that is there twice, and missing ones."""
    first = pieces[0]
    seen: dict[int, Piece] = {}
    for piece in pieces:
        if piece.shard.of != first.shard.of:
            raise RunDirectoryError(
                f"{piece.directory.root} is shard {piece.shard} and {first.directory.root} shard {first.shard}: all "
                "must be of one N; leave out those of the other"
            )
        other = seen.setdefault(piece.shard.index, piece)
        if other is not piece:
            raise RunDirectoryError(
                f"{other.directory.root} and {piece.directory.root} are both shard {piece.shard}: leave one out"
            )
    if missing := [str(Shard(index, first.shard.of)) for index in range(first.shard.of) if index not in seen]:
        raise RunDirectoryError(
            f"{len(missing)} of {first.shard.of} shards are missing ({some(missing)}): give their folders too, or run "
            f"them by `loralift run … --shard {missing[0]}`"
        )


def refuse_different(pieces: Sequence[Piece]) -> None:
    """Make sure that all shards are of one run: the same fingerprint, configuration, and all that they kept.

    Raises:
        RunDirectoryError: Two differ; the message names what, with both values.
    """
    first = pieces[0]
    for piece in pieces:  # the first too, so that all that is read of it is there
        for part in first.parts:
            before, now = (_alike(each, part) for each in (first, piece))
            if found := differences(before, now):
                raise RunDirectoryError(
                    f"shard {piece.shard} in {piece.of(part).root} is of another run than {first.of(part).root}: "
                    f"{'; '.join(found)}: run it again in a new folder as the others were run"
                )


def _alike(piece: Piece, part: str) -> dict[str, Any]:
    """Everything in a part's run.json that must be the same in all shards."""
    run = piece.of(part).read_run()
    with within(piece.of(part).run):
        return _same_of(run, piece.kept)


def _same_of(run: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared."""
    names = ("fingerprint", "protocol", "protocols", "also", "thinking", "variants", "data")
    asked = {name: value for name, value in run["config"].items() if name not in MAY_DIFFER}
    ran = {
        name: {key: one.get(key) for key in ("numerics", "eos_token_ids")}
        for name, one in run.get("candidates", {}).items()
    }
    return {
        **{name: run.get(name) for name in names},
        "config": asked,
        "refused": sorted(run.get("refused", {})),
        "eos_token_ids": run["hardware"].get("eos_token_ids"),
        "candidates": ran,
        "kept": {name: kept[name] for name in ("of", "perplexity_of", "numbers", "training")},
    }


def asked_otherwise(pieces: Sequence[Piece]) -> list[str]:
    """What a reader must know where shards were not asked alike, in one sentence; none where they were."""
    told = list(_told(pieces))
    if not told:
        return []
    return [
        f"The shards were not all asked in the same way: {'; '.join(told)}. All variants' answers to a question are of "
        "one shard, so they are compared as they were, but the last digits may be others than those of one run."
    ]


def _told(pieces: Sequence[Piece]) -> Iterator[str]:
    machines: list[tuple[Piece, dict[str, Any]]] = []
    for piece in pieces:
        with within(piece.directory.run):
            machines += [(piece, dict(session["hardware"])) for session in piece.run["sessions"]]
    on_cpu = pieces[0].run["fingerprint"].get("numerics", {}).get("device") == "cpu"
    for name in ("device_name", "cuda_graphs", *(("threads",) if on_cpu else ())):
        yield from _several(name, [(piece, str(machine.get(name))) for piece, machine in machines])
    yield from _several("batch_size", [(piece, str(piece.run["config"].get("batch_size"))) for piece in pieces])


def _several(name: str, found: Collection[tuple[Piece, str]]) -> Iterator[str]:
    """A value that is not the same everywhere, and the shards of each."""
    values = dict.fromkeys(value for _, value in found)
    if len(values) > 1:
        each = [
            f"{value} in {some(dict.fromkeys(str(piece.shard) for piece, one in found if one == value))}"
            for value in values
        ]
        yield f"{name} {', '.join(each)}"
