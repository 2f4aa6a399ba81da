"""A base in one GGUF file, as llama.cpp writes it: transformers reads it, its weights dequantised."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loralift.errors import MissingExtraError, ModelError
from loralift.generation.model.held import LFS, Held
from loralift.reading import reading

SUFFIX = ".gguf"
MAGIC = b"GGUF"


def is_gguf(model: str) -> bool:
    """Whether ``--model`` names a GGUF file."""
    return model.lower().endswith(SUFFIX) and not Path(model).is_dir()


def adds_bos(path: Path) -> bool | None:
    """Whether the file says that a prompt begins with the BOS token; None: it says nothing.

    transformers does not read it, and so would ask a model otherwise than llama.cpp does.

    Raises:
        ModelError: Its header cannot be read.
    """
    with reading(path, ModelError, "fetch it again"):
        field = _reader(os.path.realpath(path), *_state(path)).get_field("tokenizer.ggml.add_bos_token")
        found = None if field is None else field.contents()
    return None if found is None else bool(found)


def held_in(path: Path) -> Held:
    """The file, if it looks like one; how many tensors it has is not looked at.

    Raises:
        ModelError: It is not there, cut off, or something else.
        MissingExtraError: The packages that read it are not installed.
    """
    with reading(path, ModelError, "give --model a GGUF file, fetched whole"):
        if not path.is_file():
            raise FileNotFoundError("there is no such file")
        with path.open("rb") as file:
            start = file.read(len(LFS))
        if start == LFS:
            raise ValueError("it is a Git LFS pointer, not the weights; run `git lfs pull` there")
        if not start.startswith(MAGIC):
            raise ValueError("it is no GGUF file")
    if find_spec("gguf") is None:
        raise MissingExtraError(f"`--model` {path.name}", "gguf")
    return Held((path,), path.stat().st_size, None)


@contextmanager
def read_once() -> Iterator[None]:
    """Within it transformers parses a file's header no further time, and makes no table of names twice.

    It parses the header anew for the configuration, for the tokenizer and twice for the weights, seconds each, and
    makes the same table of names for every module of the model: 26 s of a model with 135M parameters, now 9 s.
    """
    package: Any = import_module("gguf")
    before = package.GGUFReader, package.get_tensor_name_map

    def reader(path: str | os.PathLike[str]) -> Any:
        return _reader(os.path.realpath(path), *_state(path))

    package.GGUFReader, package.get_tensor_name_map = reader, cache(before[1])
    try:
        yield
    finally:
        package.GGUFReader, package.get_tensor_name_map = before


def _state(path: str | os.PathLike[str]) -> tuple[int, int]:
    """By which a file that was written to is another one."""
    found = Path(path).stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=1)
def _reader(path: str, size: int, written_ns: int) -> Any:
    from gguf.gguf_reader import GGUFReader

    return GGUFReader(path)


def forget() -> None:
    """Let go of the last file's header: tens of megabytes."""
    _reader.cache_clear()
