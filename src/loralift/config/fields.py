"""What the fields of a configuration may hold, and the one sentence in which a wrong value is answered."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from loralift import arguments
from loralift.errors import UsageError, shown, wrong_argument

SAME_FOLDER = "same_folder"
"""The kind of pydantic error that two names of one folder are."""

WHOLE_LINE = "whole_line"
"""The kind of those whose message says all."""


def whole_line(message: str) -> PydanticCustomError:
    """The error of a field whose message says all."""
    return PydanticCustomError(WHOLE_LINE, "{message}", {"message": message})


def checked(check: Callable[..., object], *bounds: object) -> BeforeValidator:
    """A check of `loralift.arguments` for pydantic, whose error carries what came to `first_problem`."""

    def validate(value: Any) -> Any:
        try:
            return check("", value, *bounds)
        except UsageError as error:
            raise PydanticCustomError("not_allowed", "{reason}", {"reason": str(error)}) from None

    return BeforeValidator(validate)


def whole(least: int, most: int) -> BeforeValidator:
    """A check that a value is an integer from ``least`` to ``most``."""
    return checked(arguments.whole_number, least, most)


def one_of_each(values: Any) -> Any:
    """A list whose entries differ; flags and YAML give lists, and text is not one."""
    if not isinstance(values, list | tuple):
        raise PydanticCustomError("not_allowed", "no list")
    texts = [value for value in values if isinstance(value, str)]
    twice = next((value for place, value in enumerate(texts) if value in texts[:place]), None)
    if twice is not None:
        raise PydanticCustomError(WHOLE_LINE, "names {twice} twice; name it once", {"twice": shown(twice)})
    return values


def _steep_enough(argument: str, value: object) -> float:
    """A temperature: 0, or one that logits can be divided by."""
    found = arguments.number(argument, value, 0.0, 100.0, "")
    if 0 < found < LEAST_TEMPERATURE:
        raise UsageError(wrong_argument(argument, "", value))
    return found


def _stops(values: Any) -> Any:
    values = one_of_each(values)
    if not all(values):
        raise PydanticCustomError(WHOLE_LINE, "must be a list of non-empty strings, got ''")
    for value in values:
        if isinstance(value, str) and (written := _ESCAPE.search(value)):
            raise PydanticCustomError(
                WHOLE_LINE,
                "must be the very characters, got {value}, which holds a backslash and a letter and not what they "
                "stand for: in a shell write $'{written}', in YAML use double quotes",
                {"value": shown(value), "written": written[0]},
            )
    return values


_ESCAPE = re.compile(r"\\[nrt](?![a-z])")
"""An escape as it is written, and no command of TeX, as ``\\neq`` or ``\\text``, which a model may well write."""


LEAST_TEMPERATURE = 0.001
TEMPERATURES = "0 (greedy) or a number from 0.001 to 100"

Name = Annotated[str, checked(arguments.name, "a name")]
Text = Annotated[str, checked(arguments.text, "a text")]
Place = Annotated[Path, checked(arguments.path, "a path")]
Margin = Annotated[float, checked(arguments.margin, "")]
Names = Annotated[tuple[Name, ...], BeforeValidator(one_of_each), Field(min_length=1)]
Stops = Annotated[tuple[Text, ...], BeforeValidator(_stops)]
Temperature = Annotated[float, checked(_steep_enough)]
TopP = Annotated[float, checked(arguments.number, 1e-6, 1.0, "")]
NewTokens = Annotated[int, whole(1, 1_000_000)]
Seed = Annotated[int, whole(0, arguments.LARGEST_SEED)]
SEEDS = f"an integer from 0 to {arguments.LARGEST_SEED:,}"

HALF = re.compile("[\ud800-\udfff]")
"""Half of a character, which UTF-8 cannot hold."""


def is_unicode(value: object) -> bool:
    """Whether texts can be written: half a character comes from a shell's bytes that are no UTF-8, or from an escape.

    Only one level deep, as all fields are: what YAML's aliases make may be endless.
    """
    inside = (*value, *value.values()) if isinstance(value, Mapping) else value
    texts = inside if isinstance(inside, list | tuple) else [value]
    return not any(isinstance(text, str) and HALF.search(text) for text in texts)


def first_problem(error: ValidationError, model: type[BaseModel], spelled: Callable[[str], str]) -> str:
    """The first thing that is wrong, in one sentence: the field, what is allowed, what came.

    Args:
        error: From validating ``model``.
        model: Its fields' descriptions say what is allowed.
        spelled: How a message calls a field.
    """
    problem = error.errors()[0]
    if not problem["loc"]:
        return problem["msg"]
    field = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(field[:100], model.model_fields, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{field!r} is not a key of the configuration{hint}"
    if problem["type"] == WHOLE_LINE:
        return f"`{spelled(field)}` {problem['msg']}"
    if problem["type"] == SAME_FOLDER:
        return (
            f"`{spelled(field)}` must name each differently, got {problem['msg']}, which would share a folder on macOS "
            "and Windows: rename one, as NAME=PATH"
        )
    allowed = model.model_fields[field].description or "valid"
    came = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else problem["input"]
    return wrong_argument(spelled(field), allowed, came)
