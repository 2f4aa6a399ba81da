"""Was an adapter trained on weights of the precision that it is evaluated on, as far as its files say?

A LoRA trained on a quantised base (QLoRA) has learnt to make up for that base's rounding: on the same weights in
bfloat16 it is another model. PEFT's configuration does not say on what it was trained. The model card of an older PEFT
does, and so do files of Axolotl and LLaMA-Factory, or the name of its base; a card of PEFT 0.21 says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.quantization import BITSANDBYTES, ON_LOAD, Quantization

CARDS = ("README.md", "*.yaml", "*.yml")
MOST_READ = 1 << 20
"""Bytes of a file that are looked at."""

_SETTING = re.compile(
    r"^[ \t>#*-]*`?(load_in_4bit|load_in_8bit|bnb_4bit_quant_type|bnb_4bit_use_double_quant)`?[ \t]*[:=][ \t]*"
    r"[\"'`]?(true|false|nf4|fp4)\b",
    re.IGNORECASE | re.MULTILINE,
)
"""As PEFT wrote it (``- load_in_4bit: True``), and Axolotl does (``load_in_4bit: true``)."""

_FACTORY = re.compile(r"^[ \t>-]*quantization_bit[ \t]*:[ \t]*(4|8)\b", re.MULTILINE)
"""As LLaMA-Factory's configuration has it; its 4 bits are NF4 with double quantisation where nothing else is said."""

_IN_NAME = re.compile(
    r"(?<![a-z0-9])(bnb-4bit|4-?bit|int4|w4a16|nf4|bnb-8bit|8-?bit|int8|w8a8|fp8|gptq|awq)(?![a-z0-9])"
)


def trained_on(folder: Path, base: str | None) -> tuple[str, Quantization | None]:
    """How the base of an adapter's training was quantised.

    Args:
        folder: The adapter's folder.
        base: Its base's name, as its configuration has it.

    Returns:
        Where it is said in words, and the quantisation with the settings that are said there; ``("", None)`` where
        nothing says any.
    """
    for path in sorted(path for pattern in CARDS for path in folder.glob(pattern)):
        if settings := _of_card(path):
            return f"its {path.name}", Quantization({"quant_method": BITSANDBYTES, **settings})
    if base and (named := _IN_NAME.search(base.casefold())):
        found = named.group(1)
        settings = {"load_in_4bit": "4" in found, "load_in_8bit": "8" in found}
        return f"the name of its base, {base!r}", Quantization({"quant_method": "", "named": found, **settings})
    return "", None


def compare_precision(folder: Path, trained_base: str | None, base: BaseModel) -> tuple[str, ...]:
    """What differs between the precision of an adapter's training and of its evaluation, one sentence at most.

    Args:
        folder: The adapter's folder.
        trained_base: Its base's name, as its configuration has it.
        base: The base in use.
    """
    said, trained = trained_on(folder, trained_base)
    used = base.quantization
    if trained is None:
        if used is None:
            return ()
        return (
            f"Nothing in its folder says that it was trained on a quantised base, and it is evaluated on one "
            f"({used.name}): on the base's own numbers it is another model.",
        )
    told = str(trained.settings.get("named") or trained.name)
    if used is None:
        remedy = _remedy(trained)
        return (
            f"It was trained on a base quantised to {told} ({said}) and is evaluated on one that is not: with its "
            f"base's rounding it may answer otherwise{remedy}.",
        )
    if "named" in trained.settings or trained.name == used.name:
        return ()
    return (f"It was trained on a base quantised to {told} ({said}) and is evaluated on {used.name}.",)


def _remedy(trained: Quantization) -> str:
    if "named" in trained.settings:
        return "; give --model the base it was trained on"
    return f"; --quantization {trained.name} evaluates it so" if trained.name != "fp4" else ""


def _of_card(path: Path) -> Mapping[str, object]:
    """The settings of bitsandbytes in a model card that say that weights were quantised; empty: it says none."""
    try:
        if not path.is_file():
            return {}
        with path.open("rb") as file:
            text = file.read(MOST_READ).decode("utf-8", "replace")
    except OSError:  # nothing depends on it but a sentence
        return {}
    if bits := _FACTORY.search(text):
        return dict(ON_LOAD["nf4-double" if bits.group(1) == "4" else "int8"])
    found = {key.lower(): value.lower() for key, value in reversed(_SETTING.findall(text))}
    settings = {key: value == "true" if value in ("true", "false") else value for key, value in found.items()}
    return settings if settings.get("load_in_4bit") or settings.get("load_in_8bit") else {}
