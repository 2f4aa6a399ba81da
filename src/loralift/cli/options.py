"""The flags of `loralift run`, made from the fields of the configuration: a new field is a new flag."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, get_origin

import click
from pydantic.fields import FieldInfo

from loralift import arguments
from loralift.config import RunConfig, flag_of
from loralift.config.names import TASKS
from loralift.config.spread import SpreadFields
from loralift.errors import UsageError, wrong_argument

METAVARS = {
    "adapters": "NAME=PATH",
    "candidates": "NAME=MODEL",
    "margins": "METRIC=X",
    "columns": "FIELD=COLUMN",
    "metrics": "M,…",
    "own_metrics": "FILE.py:NAME",
    "stop": "S",
    "eos_token": "TOKEN|ID",
    "protocols": "NAME",
    "shots": "FILE",
    "also": "NAME=DATASET",
    "dataset": "DATASET",
    "train_data": "FILE",
    "model": "ID|PATH",
    "base_from": "RUN",
    "endpoint": "URL",
    "endpoint_key_env": "VAR",
    "endpoint_tokenizer": "ID|PATH",
    "concurrency": "N",
    "workers": "N|auto",
    "ray_address": "HOST:PORT|auto",
}


class Once(click.Option):
    """An option that may be given once; click takes the last of several and says nothing of the others."""

    def __init__(self, declarations: Sequence[str], **attributes: Any) -> None:
        default = attributes.pop("default", None)
        super().__init__(declarations, multiple=True, default=None if default is None else [default], **attributes)

    def process_value(self, context: click.Context, value: Any) -> Any:
        """What was given, converted; None where nothing was."""
        values = super().process_value(context, value) or (None,)
        if len(values) > 1:
            came = " and ".join(repr(str(one)) for one in values)
            raise UsageError(f"`{self.opts[-1]}` may be given once, got {came}")
        return values[0]


def metric_names(texts: Sequence[str]) -> list[str]:
    """The metrics that `--metrics` names, given once or again and again.

    Raises:
        UsageError: One names none, or a metric is there twice.
    """
    allowed = "a list of metric names, each once"
    return arguments.names("--metrics", [one for text in texts for one in _parted(text, allowed)], allowed)


def _parted(text: str, allowed: str) -> list[str]:
    found = text.replace(",", " ").split()
    if not found:
        raise UsageError(wrong_argument("--metrics", allowed, text))
    return found


def one_config(_context: click.Context, _parameter: click.Parameter, came: Sequence[Path]) -> Path | None:
    """The configuration file among what no flag takes.

    Raises:
        UsageError: There is more than one file, or a folder: what a shell makes of a pattern without quotes.
    """
    folder = next((path for path in came if path.is_dir()), None)
    if folder is not None:
        raise UsageError(
            f"`CONFIG.yaml` must be a file, and {str(folder)!r} is a folder: put a pattern for several adapters in "
            "quotes, as in --adapter 'RUN/checkpoint-*', or write --adapter before each"
        )
    if len(came) > 1:
        raise UsageError(wrong_argument("CONFIG.yaml", "given once", " and ".join(map(str, came[:3]))))
    return came[0] if came else None


def config_options[Command: Callable[..., Any]](command: Command) -> Command:
    """Give a command one option a field of the configuration; an option not given is None."""
    # those that a class above has come first in pydantic's order, and are the last that a reader looks for
    fields = sorted(RunConfig.model_fields.items(), key=lambda item: item[0] in SpreadFields.model_fields)
    for name, field in reversed(fields):
        command = _option(name, field)(command)
    return command


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, as the configuration's values.

    Raises:
        UsageError: A NAME=VALUE flag has no "=", or gives one name twice.
    """
    values: dict[str, Any] = {}
    for name, came in options.items():
        if came is None or came == ():
            continue
        if name == "adapters":
            values[name] = list(came)
        elif _is(RunConfig.model_fields[name], dict):
            values[name] = _pairs(name, came)
        elif name == "metrics":
            values[name] = metric_names(came)
        else:
            values[name] = came
    return values


def _option(name: str, field: FieldInfo) -> Callable[[Any], Any]:
    said = not isinstance(field.default, tuple) and field.default is not None and not field.default_factory
    shown = f" [default: {field.default}]" if said else ""
    declarations = [flag_of(name), name, *(["-o"] if name == "output_dir" else [])]
    if field.annotation is bool:
        return click.option(*declarations, is_flag=True, default=None, help=_help(name))
    described: dict[str, Any] = {"metavar": METAVARS.get(name, "X"), "help": _help(name) + shown}
    if _is(field, dict) or name in ("metrics", "own_metrics", "stop", "eos_token", "protocols"):
        return click.option(*declarations, multiple=True, **described)
    return click.option(*declarations, cls=Once, **described)


def _help(name: str) -> str:
    field = RunConfig.model_fields[name]
    return str(field.title)


def _is(field: FieldInfo, kind: type) -> bool:
    return get_origin(field.annotation) is kind


def _pairs(name: str, texts: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if name == "also" and text.startswith(TASKS):  # a bare task: its name, or that of its file
            task = PurePath(text.removeprefix(TASKS).partition("?")[0])
            key, value = task.stem if task.suffix in (".yaml", ".yml") else task.name, text
        elif (not equals or "/" in key) and name == "also":  # a bare path: its last part is the name
            key, value = PurePath(text.partition("?")[0]).stem, text
        elif not equals:
            raise UsageError(wrong_argument(flag_of(name), METAVARS[name], text))
        if key in pairs:
            raise UsageError(f"`{flag_of(name)}` names {key!r} twice: {pairs[key]!r} and {value!r}")
        pairs[key] = value
    return pairs
