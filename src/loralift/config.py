"""One configuration for the whole run: a YAML file and the command line's flags fill the same object.

Each field's description is what is *allowed*, so that every wrong value is answered in the same sentence: the
argument, what is allowed, what came.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from loralift import arguments
from loralift.errors import UsageError, shown, wrong_argument
from loralift.records import BASE
from loralift.yaml_file import read_yaml

DEFAULT_MODEL = "nvidia/Llama-3.1-Nemotron-Nano-8B-v1"

# An adapter's name becomes a folder and the start of a file name of the run directory.
ADAPTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED_NAMES = frozenset({BASE, "baseline", "nemo", "charts", "also", "base-again"})
_RUN_FILES = re.compile(r"(run|comparison|report)\.json|dataset\.jsonl|report\.(html|md)|.*_results\.json")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""What Windows takes for a device, whatever the suffix."""

_NAMES = (
    "with a name of at most 100 letters, digits, '.', '_' or '-' that is none of "
    + ", ".join(sorted(RESERVED_NAMES))
    + ", no file of a run (run.json, report.html, x_results.json) and no device of Windows (con, nul, com1)"
)

SAME_FOLDER = "same_folder"
"""The kind of pydantic error that two names of one folder are."""

WHOLE_LINE = "whole_line"
"""The kind of those whose message says all."""


def _checked(check: Callable[..., object], *bounds: object) -> BeforeValidator:
    """A check of `loralift.arguments` for pydantic, whose error carries what came to `_first_problem`."""

    def validate(value: Any) -> Any:
        try:
            return check("", value, *bounds)
        except UsageError as error:
            raise PydanticCustomError("not_allowed", "{reason}", {"reason": str(error)}) from None

    return BeforeValidator(validate)


def _whole(least: int, most: int) -> BeforeValidator:
    return _checked(arguments.whole_number, least, most)


def _one_of_each(values: Any) -> Any:
    """A list whose entries differ; flags and YAML give lists, and text is not one."""
    if not isinstance(values, list | tuple):
        raise PydanticCustomError("not_allowed", "no list")
    texts = [value for value in values if isinstance(value, str)]
    twice = next((value for place, value in enumerate(texts) if value in texts[:place]), None)
    if twice is not None:
        raise PydanticCustomError(WHOLE_LINE, "names {twice} twice; name it once", {"twice": shown(twice)})
    return values


Name = Annotated[str, _checked(arguments.name, "a name")]
Text = Annotated[str, _checked(arguments.text, "a text")]
Place = Annotated[Path, _checked(arguments.path, "a path")]
Margin = Annotated[float, _checked(arguments.margin, "")]
Names = Annotated[tuple[Name, ...], BeforeValidator(_one_of_each), Field(min_length=1)]
Seed = Annotated[int, _whole(0, arguments.LARGEST_SEED)]
SEEDS = f"an integer from 0 to {arguments.LARGEST_SEED:,}"


_HALF = re.compile("[\ud800-\udfff]")


class RunConfig(BaseModel):
    """Everything that `loralift run` can be told; see `docs/configuration.md`.

    Raises:
        UsageError: From `load` and `parse`, for an unknown key or a value that is not allowed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name = Field(DEFAULT_MODEL, title="The base model.", description="a hub id or a folder")
    revision: Name | None = Field(
        None, title="Of the model, on the hub.", description="a branch, tag or commit of the model's repository"
    )
    adapters: dict[str, Name] = Field(
        default_factory=dict,
        title="An adapter to evaluate; may be given again. A bare PATH takes its folder's name.",
        description=f"NAME=PATH {_NAMES}",
    )
    dataset: Name = Field(
        "fiqa",
        title="What to ask: fiqa, a .jsonl .json .csv .tsv .parquet file, beir:DIR, beir://NAME, hf://ORG/NAME?config=&split=.",
        description="fiqa, a file, beir:DIR, beir://NAME or hf://ORG/NAME",
    )
    columns: dict[str, Text] = Field(
        default_factory=dict,
        title="Which column of the data is question, reference or id.",
        description="question|reference|id=COLUMN",
    )
    eval_indices: Place | None = Field(
        None,
        title="A JSON list of the rows to evaluate, as the training saved it.",
        description="a file with a JSON list of row numbers",
    )
    eval_fraction: Annotated[float, _checked(arguments.number, 1e-9, 1 - 1e-9, "")] | None = Field(
        None,
        title="Evaluate only what train_test_split(test_size=X, seed=split_seed) held out.",
        description="a fraction between 0 and 1",
    )
    split_seed: Seed = Field(42, title="Of that split.", description=SEEDS)
    limit: Annotated[int, _whole(1, 10**9)] | None = Field(
        None, title="Only the first N questions.", description="an integer from 1 to 1,000,000,000"
    )
    also: dict[str, Name] = Field(
        default_factory=dict,
        title="A further data set, outside the adapter's domain, to see what was forgotten; may be given again.",
        description=f"NAME=DATASET {_NAMES}",
    )
    train_data: Place | None = Field(
        None,
        title="What the adapters were trained on: finds the questions that leaked, and compares without them.",
        description="a .jsonl, .json, .csv, .tsv, .parquet or .txt file",
    )
    strict: StrictBool = Field(False, title="A row that cannot be evaluated is an error.", description="true or false")
    metrics: Names | None = Field(
        None,
        title="Which metrics to calculate [default: all but bert_score and squad].",
        description="a list of metric names, each once",
    )
    primary: Name | None = Field(
        None,
        title="The metric that decides [default: semantic_similarity, else the first that is judged].",
        description="one of the metrics",
    )
    margins: dict[Name, Margin] = Field(
        default_factory=dict,
        title="Equivalence margin of a metric, in its unit; may be given again.",
        description="METRIC=X with X a positive number",
    )
    semantic_similarity_model: Name = Field(
        "sbert", title="The sentence embedding model.", description="sbert, a hub id or a folder"
    )
    rouge_stemmer: StrictBool = Field(False, title="ROUGE compares Porter stems.", description="true or false")
    engine: Literal["auto", "transformers", "vllm"] = Field(
        "auto",
        title="What generates; auto takes vllm where it is installed and a GPU is there.",
        description="auto, transformers or vllm",
    )
    decoding: Literal["auto", "loop", "generate"] = Field(
        "auto",
        title="What decodes in the transformers engine; auto takes LoraLift's loop where it was tested with the model "
        "and a self-check agrees, else transformers' generate.",
        description="auto, loop or generate",
    )
    device: Name | None = Field(
        None, title="Where the models run [default: a GPU if there is one].", description="cpu, cuda, cuda:N or mps"
    )
    dtype: Literal["bfloat16", "float16", "float32"] | None = Field(
        None,
        title="Of the weights [default: bfloat16 on a GPU, float32 on a CPU].",
        description="bfloat16, float16 or float32",
    )
    batch_size: Literal["auto"] | Annotated[int, _whole(1, 100_000)] = Field(
        "auto",
        title="Rows generated at once; auto halves when memory runs out.",
        description="auto or an integer from 1 to 100,000",
    )
    max_new_tokens: Annotated[int, _whole(1, 1_000_000)] = Field(
        256, title="Most tokens of an answer.", description="an integer from 1 to 1,000,000"
    )
    temperature: Annotated[float, _checked(arguments.number, 0.0, 100.0, "")] = Field(
        0.0, title="0 is greedy decoding.", description="0 (greedy) or a number from 0.001 to 100"
    )
    top_p: Annotated[float, _checked(arguments.number, 1e-6, 1.0, "")] = Field(
        1.0, title="Nucleus of the sampling.", description="a number in (0, 1]"
    )
    repeats: Annotated[int, _whole(1, 10_000)] = Field(
        1,
        title="Answers to each question; above 1 needs a --temperature above 0.",
        description="an integer from 1 to 10,000",
    )
    noise_rows: Annotated[int, _whole(0, 1_000_000)] = Field(
        64,
        title="The base answers so many questions once more, in other batches, to see what moves by itself.",
        description="an integer from 0 (leaves it out) to 1,000,000",
    )
    skip_refused: StrictBool = Field(
        False,
        title="An adapter that is refused is left out, and the report says why, instead of ending the run.",
        description="true or false",
    )
    stop: Annotated[tuple[Text, ...], BeforeValidator(_one_of_each)] = Field(
        (), title="An answer ends before this string; may be given again.", description="a list of non-empty strings"
    )
    system_prompt: Text | None = Field(None, title="In place of the financial assistant's.", description="a text")
    chat_template: StrictBool = Field(
        False, title="Ask through the tokenizer's chat template.", description="true or false"
    )
    seed: Seed = Field(0, title="Of sampling, bootstrap and permutations.", description=SEEDS)
    resamples: Annotated[int, _whole(100, 1_000_000)] = Field(
        10_000, title="Bootstrap samples and sign flips.", description="an integer from 100 to 1,000,000"
    )
    full_hash: StrictBool = Field(
        False, title="Hash a base above 2 GiB whole instead of sampling it.", description="true or false"
    )
    output_dir: Place | None = Field(None, title="The run directory [default: runs/DATE-TIME].", description="a folder")

    @field_validator("adapters", "also")
    @classmethod
    def _names_are_usable(cls, named: dict[str, str]) -> dict[str, str]:
        folders: dict[str, str] = {}
        for name, path in named.items():
            if not is_usable(name):
                raise ValueError(f"{name}={path}")
            first = folders.setdefault(_folder(name), name)
            if first != name:
                raise PydanticCustomError(SAME_FOLDER, "{first} and {name}", {"first": repr(first), "name": repr(name)})
        return named

    @field_validator("stop")
    @classmethod
    def _stop_strings_are_not_empty(cls, stop: tuple[str, ...]) -> tuple[str, ...]:
        if not all(stop):
            raise ValueError("")
        return stop

    @field_validator("columns")
    @classmethod
    def _columns_have_names(cls, columns: dict[str, str]) -> dict[str, str]:
        for role, column in columns.items():
            if role not in ("question", "reference", "id") or not column:
                raise ValueError(f"{role}={column}")
        return columns

    @field_validator("temperature")
    @classmethod
    def _logits_can_be_divided_by_it(cls, temperature: float) -> float:
        if 0 < temperature < 0.001:
            raise ValueError(f"{temperature:g}")
        return temperature

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> RunConfig:
        if self.eval_indices is not None and self.eval_fraction is not None:
            raise PydanticCustomError(WHOLE_LINE, "`--eval-indices` and `--eval-fraction` exclude each other, got both")
        if self.repeats > 1 and self.temperature == 0:
            raise PydanticCustomError(
                WHOLE_LINE, "`--repeats` above 1 needs --temperature above 0: greedy answers are all the same"
            )
        if self.top_p < 1 and self.temperature == 0:
            raise PydanticCustomError(
                WHOLE_LINE, "`--top-p` below 1 needs --temperature above 0: greedy decoding does not look at it"
            )
        return self


def is_usable(name: str) -> bool:
    """Whether an adapter or a data set can be called so: its folder and files hide no others, on any system."""
    folder = _folder(name)
    taken = folder in RESERVED_NAMES or _RUN_FILES.fullmatch(folder) or _DEVICES.fullmatch(folder)
    return bool(ADAPTER_NAME.fullmatch(name)) and not taken


def _folder(name: str) -> str:
    """The folder that a name becomes on macOS and Windows: no case, and on Windows no dot at its end."""
    return name.lower().rstrip(".")


def flag_of(field: str) -> str:
    """How a field is spelled on the command line: `max_new_tokens` is `--max-new-tokens`."""
    singular = {"adapters": "adapter", "margins": "margin", "columns": "column"}
    return "--" + singular.get(field, field).replace("_", "-")


def parse(values: Mapping[str, Any]) -> RunConfig:
    """Check values from a file, from flags or from both, and make the configuration.

    Args:
        values: Field name to value; strings are read as numbers where a number is wanted.

    Raises:
        UsageError: One line that names the argument, what is allowed and what came.
    """
    if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
        raise UsageError(wrong_argument("CONFIG", "a mapping of field to value", values))
    for name, value in values.items():
        if not _is_unicode(value):
            raise UsageError(wrong_argument(flag_of(name), "text that UTF-8 can hold", value))
    try:
        return RunConfig.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(_first_problem(error)) from None


def _is_unicode(value: object) -> bool:
    """Whether texts can be written: half a character comes from a shell's bytes that are no UTF-8, or from an escape.

    Only one level deep, as all fields are: what YAML's aliases make may be endless.
    """
    inside = (*value, *value.values()) if isinstance(value, Mapping) else value
    texts = inside if isinstance(inside, list | tuple) else [value]
    return not any(isinstance(text, str) and _HALF.search(text) for text in texts)


def load(path: Path | None, flags: Mapping[str, Any]) -> RunConfig:
    """Read a YAML file and lay the flags over it: a flag wins over the file, the file over the default.

    Args:
        path: The YAML file, or None.
        flags: Field name to value, only those that were given.

    Raises:
        UsageError: As `parse`; also for a file that is missing, unreadable or not a mapping.
    """
    return parse({**(read_yaml(path) if path else {}), **flags})


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    if not problem["loc"]:
        return problem["msg"]
    field = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(field[:100], RunConfig.model_fields, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{field!r} is not a key of the configuration{hint}"
    if problem["type"] == WHOLE_LINE:
        return f"`{flag_of(field)}` {problem['msg']}"
    if problem["type"] == SAME_FOLDER:
        return (
            f"`{flag_of(field)}` must name each differently, got {problem['msg']}, which would share a folder on macOS "
            "and Windows: rename one, as NAME=PATH"
        )
    allowed = RunConfig.model_fields[field].description or "valid"
    came = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else problem["input"]
    return wrong_argument(flag_of(field), allowed, came)
