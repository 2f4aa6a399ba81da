"""The files of a stranger's folder, looked at before transformers or PEFT open any of them."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loralift.reading import ErrorClass, read_json, read_text, reading

JSON_FILES = (
    *("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "chat_template.json", "model.safetensors.index.json", "pytorch_model.bin.index.json"),
)
"""Read by transformers, and by us before: each must be an object whose keys are there once. Not tokenizer.json and
vocab.json, which are large, and whose own parsers are strict."""

TEXTS = ("*.jinja", "additional_chat_templates/*.jinja")


def refuse_irregular(folder: Path, patterns: Sequence[str], error: ErrorClass) -> None:
    """Refuse a folder in which what should be a file is none: who opens a pipe waits for ever.

    Args:
        folder: A model or an adapter.
        patterns: Which of its files will be read.
        error: The class to raise.

    Raises:
        LoraLiftError: ``error``; a file is a folder, a pipe, a device, or a link to nothing, or may not be read.
    """
    with reading(folder, error):
        found = sorted({path for pattern in (*patterns, *TEXTS) for path in folder.glob(pattern)})
    for path in found:
        with reading(path, error, "put the file there, or remove it"):
            kind = path.stat().st_mode
            if stat.S_ISDIR(kind):
                raise IsADirectoryError
            if not stat.S_ISREG(kind):
                raise ValueError("it is no regular file")
            path.open("rb").close()


def read_objects(folder: Path, error: ErrorClass) -> dict[str, dict[str, Any]]:
    """The small JSON files of a model's folder by their names, each an object; the texts beside them are UTF-8.

    Raises:
        LoraLiftError: ``error``; one cannot be read, is not JSON, has a key twice, or is no object.
    """
    for pattern in TEXTS:
        for path in folder.glob(pattern):
            read_text(path, error)
    found = {name: read_json(folder / name, error) for name in JSON_FILES if (folder / name).is_file()}
    for name, value in found.items():
        if not isinstance(value, dict):
            raise error(f"{folder / name} must be a JSON object ({{…}}), got {_kind(value)}: fetch or save it again")
    return found


def _kind(value: object) -> str:
    return {list: "a list", str: "a text", type(None): "null", bool: "a truth value"}.get(type(value), "a number")
