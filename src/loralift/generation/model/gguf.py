"""A base in one GGUF file, as llama.cpp writes it: transformers reads it, its weights dequantised."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

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
    from gguf import GGUFReader

    with reading(path, ModelError, "fetch it again"):
        field = GGUFReader(path).get_field("tokenizer.ggml.add_bos_token")
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
