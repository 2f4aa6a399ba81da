"""The files that hold a model's weights, by headers alone: what is there, and whether an index tells the truth."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralift.errors import ModelError, some
from loralift.reading import ErrorClass, parse_json, reading

LFS = b"version https://git-lfs"
AGAIN = "fetch or save it again"

_SINGLE = ("model.safetensors", "pytorch_model.bin")
_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors' own limit."""

# numbers that need a scale, which transformers applies only where the configuration says how they were quantised
_QUANTISED = frozenset({"I8", "U8", "I4", "U4", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4"})


@dataclass(frozen=True, slots=True)
class Held:
    """What weight files hold.

    Attributes:
        files: The files that transformers reads.
        size: Their bytes.
        tensors: How many tensors they have; None where a file does not say.
    """

    files: tuple[Path, ...]
    size: int
    tensors: int | None


def weights_of(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> Held:
    """What the weight files hold that transformers reads from a local folder.

    Args:
        folder: The model's folder.
        files: Its small JSON files, by their names; config.json among them.

    Raises:
        ModelError: There are none, a file is cut off or a Git LFS pointer, an index names other files or tensors than
            there are, or two sets of weights lie there.
    """
    config = files["config.json"]
    quantised = bool(config.get("quantization_config"))
    if config.get("transformers_weights") is not None:  # the name of another file, which transformers then reads
        raise ModelError(
            f"`--model` must have its weights in {_SINGLE[0]} or its shards, but the config.json of {folder} has "
            "transformers_weights: save it again with save_pretrained"
        )
    for single in _SINGLE:
        name = f"{single}.index.json"
        whole = folder / single
        if whole.is_file() and name in files:
            raise ModelError(f"{folder} has both {single} and {name}: which of them is the model? Remove the other one")
        if whole.is_file():
            return _held([whole], quantised)
        if name in files:
            return _sharded(folder, name, files[name], quantised)
    raise ModelError(
        f"`--model` must have weights: {folder} has none of {', '.join(_SINGLE)}, nor an index of them "
        "(*.index.json): fetch or save it again with save_pretrained"
    )


def read_header(path: Path, error: ErrorClass) -> dict[str, Any]:
    """The header of a safetensors file: each tensor's ``dtype``, ``shape`` and ``data_offsets`` by its name.

    Raises:
        LoraLiftError: ``error``; the file is cut off, a Git LFS pointer, or no safetensors file.
    """
    with reading(path, error, AGAIN):
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            if start == LFS[:8]:
                raise ValueError("it is a Git LFS pointer, not the weights; run `git lfs pull` there")
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(size - 8, _LONGEST_HEADER):
                raise ValueError("it is cut off, or no safetensors file")
            header = parse_json(file.read(length), f"the header of {path}", error)
        header.pop("__metadata__", None)
        if not all(isinstance(tensor["dtype"], str) for tensor in header.values()):
            raise ValueError("its header is no safetensors header")
    return dict(header)


def _sharded(folder: Path, name: str, index: Mapping[str, Any], quantised: bool) -> Held:
    """The shards that an index names, each of which must hold what the index says, and no other."""
    place = folder / name
    mapping = index.get("weight_map")
    if not isinstance(mapping, dict) or not mapping or not all(_is_name(file) for file in mapping.values()):
        raise ModelError(f"{place} must have a weight_map from tensors to files of that folder: {AGAIN}")
    files = sorted({folder / file for file in mapping.values()})
    if gone := [file.name for file in files if not file.is_file()]:
        raise ModelError(f"{place} names {len(gone)} files that are not there ({some(gone, 2)}): fetch them")
    stem, _, suffix = name.removesuffix(".index.json").rpartition(".")
    if left := sorted(set(folder.glob(f"{stem}-*-of-*.{suffix}")) - set(files)):
        names = some((path.name for path in left), 2)
        raise ModelError(
            f"{place} does not name {len(left)} files of weights beside it ({names}): {AGAIN} the index, "
            "or remove them if they are another model's"
        )
    if suffix == "safetensors":
        _refuse_lies(place, mapping, {file.name: read_header(file, ModelError) for file in files})
    return _held(files, quantised)


def _refuse_lies(place: Path, mapping: Mapping[str, str], headers: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse an index by which a tensor lies elsewhere than it does, or in two files."""
    there = [(tensor, file) for file, header in headers.items() for tensor in header]
    wrong = sorted({tensor for tensor, _ in set(there) ^ set(mapping.items())})
    if wrong:
        raise ModelError(
            f"{place} is not the index of the files beside it: {len(wrong)} tensors are not where it says, or lie in "
            f"two files ({some(wrong, 2)}): fetch or save the model again"
        )


def _held(files: Iterable[Path], quantised: bool) -> Held:
    files = tuple(files)
    counts = [_safetensors(file, quantised) if file.suffix == ".safetensors" else _pickled(file) for file in files]
    known = [count for count in counts if count is not None]
    return Held(files, sum(file.stat().st_size for file in files), sum(known) if len(known) == len(counts) else None)


def _safetensors(path: Path, quantised: bool) -> int:
    header = read_header(path, ModelError)
    packed = sorted(
        name
        for name, tensor in header.items()
        if tensor["dtype"] in _QUANTISED and name.endswith(".weight") and len(tensor["shape"]) == 2
    )
    if packed and not quantised:
        raise ModelError(
            f"{path} has {header[packed[0]]['dtype']} numbers in {len(packed)} tensors ({some(packed, 2)}), and the "
            "config.json has no quantization_config that says by what to scale them: fetch the model again, or save it "
            "in bfloat16, float16 or float32"
        )
    return len(header)


def _pickled(path: Path) -> int | None:
    """How many tensors a pickle of torch may hold at most; None for torch's old format, which does not say."""
    with reading(path, ModelError, AGAIN):
        with path.open("rb") as file:
            if file.read(len(LFS)) == LFS:
                raise ValueError("it is a Git LFS pointer, not the weights; run `git lfs pull` there")
        if not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            return len(archive.namelist())


def _is_name(file: object) -> bool:
    return isinstance(file, str) and file not in ("", ".", "..") and not set(file) & {"/", "\\", "\0"}
