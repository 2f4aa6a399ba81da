"""The fields of an adapter_config.json: PEFT takes them as they come, so that a text "false" would be true."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from peft import PEFT_TYPE_TO_CONFIG_MAPPING

from loralift.errors import AdapterError, first_line
from loralift.generation.model.base_model import ADAPTER_CONFIG

PATIENCE = 3.0
"""Seconds that all patterns together may take, once a process is there: those of real adapters take milliseconds."""

_PLAIN = re.compile(r"[A-Za-z0-9_.\-]*")

# How PEFT puts each field's patterns into a regular expression.
_FORMS = {
    "target_modules": "(?:{})$",
    "exclude_modules": "(?:{})$",
    "feedforward_modules": "(?:{})$",
    "modules_to_save": r"(^|.*\.){}($|\..*)",
    "rank_pattern": r"(.*\.)?({})$",
    "alpha_pattern": r"(.*\.)?({})$",
    **dict.fromkeys(("block_size_pattern", "lambda_pattern", "n_frequency_pattern"), r"(.*\.)?({})$"),
    "layers_pattern": r"(?:^|.*?\.){}\.(?P<idx>\d+)\.",
}

# Another process, since Python's regular expressions cannot be interrupted, but by a watch that needs no Python: that
# one counts from when the interpreter has started, which may take seconds itself, and writes on standard output.
_MATCH = """
import faulthandler, json, re, sys
seconds, patterns, names = json.load(sys.stdin)
faulthandler.dump_traceback_later(seconds, exit=True, file=sys.stdout)
for field, pattern in patterns:
    try:
        found = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        sys.exit(f"{field}: {error}")
    for name in names:
        found.match(name)
"""


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _switch(value: object) -> bool:
    return isinstance(value, bool)


def _list_of(one: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(one, value))


def _map_of(one: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(one, value.values()))


def _either(*kinds: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: any(kind(value) for kind in kinds)


type Check = tuple[Callable[[object], bool], str]

_NAMES: Check = (_either(_text, _list_of(_text)), "a list of names, or one regular expression")
_SWITCH: Check = (_switch, "true or false")
_TEXT: Check = (_text, "a text")

# null is allowed everywhere: it is what PEFT writes for a setting that is off
_FIELDS: Mapping[str, Check] = {
    "r": (_count, "a positive integer"),
    "alpha": (_number, "a number"),
    "lora_dropout": (_number, "a number"),
    "target_modules": _NAMES,
    "exclude_modules": _NAMES,
    "feedforward_modules": _NAMES,
    "layers_pattern": _NAMES,
    "modules_to_save": (_list_of(_text), "a list of names"),
    "target_parameters": (_list_of(_text), "a list of names"),
    "layers_to_transform": (_either(_index, _list_of(_index)), "layers' numbers"),
    "rank_pattern": (_map_of(_either(_count, _list_of(_switch))), "positive integers by module"),  # a list: AdaLoRA's
    **dict.fromkeys(
        ("alpha_pattern", "block_size_pattern", "lambda_pattern", "n_frequency_pattern"),
        (_map_of(_number), "numbers by module"),
    ),
    "auto_mapping": (lambda value: isinstance(value, dict), "an object"),
    "trainable_token_indices": (_either(_list_of(_index), _map_of(_list_of(_index))), "lists of token ids"),
    "init_lora_weights": (_either(_switch, _text), "true, false or a text"),
    **dict.fromkeys(("bias", "task_type", "base_model_name_or_path", "revision"), _TEXT),
    **dict.fromkeys(("use_rslora", "use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"), _SWITCH),
    **dict.fromkeys(("rank_dropout_scale", "use_effective_conv2d", "decompose_both", "inference_mode"), _SWITCH),
}


def check_fields(argument: str, raw: Mapping[str, Any]) -> None:
    """Refuse a configuration with a field that is not of its kind, or that names code to import.

    Args:
        argument: What the user wrote, for the message.
        raw: The file's JSON.

    Raises:
        AdapterError: There is such a field; the message names it, what is allowed and what came.
    """
    for field, (fine, allowed) in _FIELDS.items():
        value = raw.get(field)
        if field == "r" and value == 0 and raw["peft_type"] == "OFT":
            continue  # its blocks' size is given instead
        if value is not None and not fine(value):
            raise AdapterError(
                f"`{argument}` must have in its {ADAPTER_CONFIG} a {field} that is {allowed}, got {value!r}: put back "
                "the value that it was trained with"
            )
    _check_by_default(argument, raw)
    if raw.get("r", 1) is None and raw["peft_type"] != "SUPERTUNING":
        raise AdapterError(f"`{argument}` must have in its {ADAPTER_CONFIG} an r that is a positive integer, got None")
    if raw.get("megatron_config"):  # PEFT would import the module that megatron_core names, whatever that is
        raise AdapterError(
            f"`{argument}` was trained with Megatron (megatron_config), which LoraLift does not run: convert it to a "
            "plain LoRA, or give its answers to `loralift compare`"
        )


def _check_by_default(argument: str, raw: Mapping[str, Any]) -> None:
    """Refuse a switch or a number that is something else, told by PEFT's own default of the field."""
    for field in dataclasses.fields(PEFT_TYPE_TO_CONFIG_MAPPING[raw["peft_type"]]):
        value = raw.get(field.name)
        # an initialisation may be true, false or a name
        if value is None or field.name in _FIELDS or field.name.startswith("init_") or field.name == "lora_alpha":
            continue
        fine, allowed = (_switch, "true or false") if isinstance(field.default, bool) else (_number, "a number")
        if isinstance(field.default, int | float) and not fine(value):
            raise AdapterError(
                f"`{argument}` must have in its {ADAPTER_CONFIG} a {field.name} that is {allowed}, got {value!r}: put "
                "back the value that it was trained with"
            )


def check_patterns(argument: str, raw: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse regular expressions that are none, or that take for ever on the names of the base's modules.

    Args:
        argument: What the user wrote, for the message.
        raw: The adapter's configuration as a dictionary.
        names: The base's modules.

    Raises:
        AdapterError: There is one.
    """
    patterns = [(field, _FORMS[field].format(pattern)) for field, pattern in _patterns(raw)]
    if not patterns:
        return
    what = f"`{argument}` has in its {ADAPTER_CONFIG} a regular expression that"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _MATCH],
        input=json.dumps([PATIENCE, patterns, list(names)]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stdout:
        fields = ", ".join(sorted({field for field, _ in patterns}))
        raise AdapterError(f"{what} takes more than {PATIENCE:.0f} s ({fields}): list the modules by name")
    if done.returncode:
        raise AdapterError(f"{what} is none ({first_line(ValueError(done.stderr))}): list the modules by name")


def _patterns(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All that PEFT takes for a regular expression, but for plain names."""
    for field in _FORMS:
        value = raw.get(field) or ()
        if field in ("target_modules", "exclude_modules", "feedforward_modules") and not isinstance(value, str):
            continue  # names, compared with the ends of modules' names
        for pattern in (value,) if isinstance(value, str) else value:
            if not _PLAIN.fullmatch(pattern):
                yield field, pattern
