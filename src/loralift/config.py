"""One configuration for the whole run: a YAML file and the command line's flags fill the same object.

Each field's description is what is *allowed*, so that every wrong value is answered in the same sentence: the
argument, what is allowed, what came.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from loralift.errors import UsageError, wrong_argument
from loralift.records import BASE

DEFAULT_MODEL = "nvidia/Llama-3.1-Nemotron-Nano-8B-v1"

# An adapter's name becomes a folder and the start of a file name of the run directory.
ADAPTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RESERVED_NAMES = frozenset({BASE, "baseline", "nemo", "charts", "also", "base-again"})

SAME_FOLDER = "same_folder"
"""The kind of pydantic error that two names of one folder are."""

PositiveInt = Annotated[int, Field(gt=0)]


class RunConfig(BaseModel):
    """Everything that `loralift run` can be told; see `docs/configuration.md`.

    Raises:
        UsageError: From `load` and `parse`, for an unknown key or a value that is not allowed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(DEFAULT_MODEL, min_length=1, title="The base model.", description="a model's hub id or folder")
    revision: str | None = Field(
        None, title="Of the model, on the hub.", description="a branch, tag or commit of the model's repository"
    )
    adapters: dict[str, str] = Field(
        default_factory=dict,
        title="An adapter to evaluate; may be given again. A bare PATH takes its folder's name.",
        description="NAME=PATH with a name of letters, digits, '.', '_' or '-' that is none of "
        + ", ".join(sorted(RESERVED_NAMES)),
    )
    dataset: str = Field(
        "fiqa",
        min_length=1,
        title="What to ask: fiqa, a .jsonl .json .csv .tsv .parquet file, beir:DIR, beir://NAME, hf://ORG/NAME?config=&split=.",
        description="fiqa, a file, beir:DIR, beir://NAME or hf://ORG/NAME",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        title="Which column of the data is question, reference or id.",
        description="question|reference|id=COLUMN",
    )
    eval_indices: Path | None = Field(
        None,
        title="A JSON list of the rows to evaluate, as the training saved it.",
        description="a file with a JSON list of row numbers",
    )
    eval_fraction: float | None = Field(
        None,
        gt=0,
        lt=1,
        title="Evaluate only what train_test_split(test_size=X, seed=split_seed) held out.",
        description="a fraction between 0 and 1",
    )
    split_seed: int = Field(42, ge=0, title="Of that split.", description="a non-negative integer")
    limit: PositiveInt | None = Field(None, title="Only the first N questions.", description="a positive integer")
    also: dict[str, str] = Field(
        default_factory=dict,
        title="A further data set, outside the adapter's domain, to see what was forgotten; may be given again.",
        description="NAME=DATASET with a name of letters, digits, '.', '_' or '-' that is none of "
        + ", ".join(sorted(RESERVED_NAMES)),
    )
    train_data: Path | None = Field(
        None,
        title="What the adapters were trained on: finds the questions that leaked, and compares without them.",
        description="a .jsonl, .json, .csv, .tsv, .parquet or .txt file",
    )
    strict: bool = Field(False, title="A row that cannot be evaluated is an error.", description="true or false")
    metrics: tuple[str, ...] | None = Field(
        None,
        title="Which metrics to calculate [default: all but bert_score and squad].",
        description="a list of metric names",
    )
    primary: str | None = Field(
        None,
        min_length=1,
        title="The metric that decides [default: semantic_similarity, else the first that is judged].",
        description="one of the metrics",
    )
    margins: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict,
        title="Equivalence margin of a metric, in its unit; may be given again.",
        description="METRIC=X with X a positive number",
    )
    semantic_similarity_model: str = Field(
        "sbert", min_length=1, title="The sentence embedding model.", description="sbert, a hub id or a folder"
    )
    rouge_stemmer: bool = Field(False, title="ROUGE compares Porter stems.", description="true or false")
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
    device: str | None = Field(
        None, title="Where the models run [default: a GPU if there is one].", description="cpu, cuda, cuda:N or mps"
    )
    dtype: Literal["bfloat16", "float16", "float32"] | None = Field(
        None,
        title="Of the weights [default: bfloat16 on a GPU, float32 on a CPU].",
        description="bfloat16, float16 or float32",
    )
    batch_size: PositiveInt | Literal["auto"] = Field(
        "auto",
        title="Rows generated at once; auto halves when memory runs out.",
        description="auto or a positive integer",
    )
    max_new_tokens: PositiveInt = Field(256, title="Most tokens of an answer.", description="a positive integer")
    temperature: float = Field(
        0.0, allow_inf_nan=False, ge=0, title="0 is greedy decoding.", description="a non-negative number (0 is greedy)"
    )
    top_p: float = Field(1.0, gt=0, le=1, title="Nucleus of the sampling.", description="a number in (0, 1]")
    repeats: PositiveInt = Field(
        1,
        title="Answers to each question; above 1 needs a --temperature above 0.",
        description="a positive integer",
    )
    noise_rows: int = Field(
        64,
        ge=0,
        title="The base answers so many questions once more, in other batches, to see what moves by itself.",
        description="a non-negative integer (0 leaves it out)",
    )
    skip_refused: bool = Field(
        False,
        title="An adapter that is refused is left out, and the report says why, instead of ending the run.",
        description="true or false",
    )
    stop: tuple[str, ...] = Field(
        (), title="An answer ends before this string; may be given again.", description="a list of non-empty strings"
    )
    system_prompt: str | None = Field(None, title="In place of the financial assistant's.", description="a text")
    chat_template: bool = Field(False, title="Ask through the tokenizer's chat template.", description="true or false")
    seed: int = Field(0, ge=0, title="Of sampling, bootstrap and permutations.", description="a non-negative integer")
    resamples: Annotated[int, Field(ge=100)] = Field(
        10_000, title="Bootstrap samples and sign flips.", description="an integer of at least 100"
    )
    output_dir: Path | None = Field(None, title="The run directory [default: runs/DATE-TIME].", description="a folder")

    @field_validator("adapters", "also")
    @classmethod
    def _names_are_usable(cls, named: dict[str, str]) -> dict[str, str]:
        folders: dict[str, str] = {}
        for name, path in named.items():
            if not ADAPTER_NAME.fullmatch(name) or _folder(name) in RESERVED_NAMES or not path:
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
    try:
        return RunConfig.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(_first_problem(error)) from None


def load(path: Path | None, flags: Mapping[str, Any]) -> RunConfig:
    """Read a YAML file and lay the flags over it: a flag wins over the file, the file over the default.

    Args:
        path: The YAML file, or None.
        flags: Field name to value, only those that were given.

    Raises:
        UsageError: As `parse`; also for a file that is missing, unreadable or not a mapping.
    """
    return parse({**(_read_yaml(path) if path else {}), **flags})


class _EachKeyOnce(yaml.SafeLoader):
    """YAML, of which the plain loader keeps the last of two equal keys and says nothing of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a dict of a mapping whose keys differ."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_EachKeyOnce)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"`CONFIG` must be a readable YAML file, got {str(path)!r}: {reason}") from None
    if not isinstance(content, dict):
        raise UsageError(wrong_argument("CONFIG", "a YAML mapping of field to value", content))
    return content


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    field = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(field, RunConfig.model_fields, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{field!r} is not a key of the configuration{hint}"
    if problem["type"] == SAME_FOLDER:
        return (
            f"`{flag_of(field)}` must name each differently, got {problem['msg']}, which would share a folder on macOS "
            "and Windows: rename one, as NAME=PATH"
        )
    allowed = RunConfig.model_fields[field].description or "valid"
    came = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else problem["input"]
    return wrong_argument(flag_of(field), allowed, came)
