"""One configuration for the whole run: a YAML file and the command line's flags fill the same object.

Each field's description is what is *allowed*, so that every wrong value is answered in the same sentence: the
argument, what is allowed, what came.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from loralift import arguments
from loralift.config.adapters import adapters_of
from loralift.config.candidates import refuse_beside
from loralift.config.fields import (
    SAME_FOLDER,
    SEEDS,
    TEMPERATURES,
    Margin,
    Name,
    Names,
    NewTokens,
    Place,
    Seed,
    Stops,
    Temperature,
    Text,
    TopP,
    checked,
    first_problem,
    is_unicode,
    one_of_each,
    whole,
    whole_line,
)
from loralift.config.names import TASKS, USABLE_NAMES, folder_of, is_usable
from loralift.config.protocols import CHAT, MOST_SHOTS, ProtocolConfig, described_by, protocols_of, refuse_unused_shots
from loralift.config.served import refuse_unserved
from loralift.config.spread import SpreadFields, refuse_unspread
from loralift.config.stopping import StoppingFields, refuse_unstoppable
from loralift.errors import UsageError, some, wrong_argument
from loralift.records import TRAINING
from loralift.yaml_file import read_yaml

DEFAULT_MODEL = "nvidia/Llama-3.1-Nemotron-Nano-8B-v1"


class RunConfig(StoppingFields, SpreadFields):
    """Everything that `loralift run` can be told; see `docs/configuration.md`.

    Raises:
        UsageError: From `load` and `parse`, for an unknown key or a value that is not allowed.
    """

    model: Name = Field(DEFAULT_MODEL, title="The base model.", description="a hub id, a folder or a GGUF file")
    revision: Name | None = Field(
        None, title="Of the model, on the hub.", description="a branch, tag or commit of the model's repository"
    )
    adapters: Annotated[dict[str, Name], BeforeValidator(adapters_of)] = Field(
        default_factory=dict,
        title="An adapter to evaluate, or a pattern for several ('RUN/checkpoint-*'); may be given again. A bare PATH "
        "takes its folder's name.",
        description=f"NAME=PATH with {USABLE_NAMES}",
    )
    candidates: dict[str, Name] = Field(
        default_factory=dict,
        title="A whole model (a full fine-tune), loaded after the base was released; may be given again.",
        description=f"NAME=MODEL with {USABLE_NAMES}",
    )
    quantization: Literal["nf4", "nf4-double", "int8"] | None = Field(
        None,
        title="The base is quantised as it is loaded, by bitsandbytes; nf4 and nf4-double as QLoRA trains.",
        description="nf4, nf4-double or int8",
    )
    trust_remote_code: StrictBool = Field(
        False,
        title="Code in the model's own files is run: read it before.",
        description="true or false",
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
    format: Literal["messages", "sharegpt", "alpaca", "prompt-completion", "qa"] | None = Field(
        None,
        title="Of the data: messages, sharegpt, alpaca, prompt-completion or qa [default: by its shape].",
        description="messages, sharegpt, alpaca, prompt-completion or qa",
    )
    every_turn: StrictBool = Field(
        False,
        title="Every turn of the assistant in a conversation is a reference, not the last one alone.",
        description="true or false",
    )
    eval_indices: Place | None = Field(
        None,
        title="A JSON list of the rows to evaluate, as the training saved it.",
        description="a file with a JSON list of row numbers",
    )
    eval_fraction: Annotated[float, checked(arguments.number, 1e-9, 1 - 1e-9, "")] | None = Field(
        None,
        title="Evaluate only what train_test_split(test_size=X, seed=split_seed) held out.",
        description="a fraction between 0 and 1",
    )
    split_seed: Seed = Field(42, title="Of that split.", description=SEEDS)
    limit: Annotated[int, whole(1, 10**9)] | None = Field(
        None, title="Only the first N questions.", description="an integer from 1 to 1,000,000,000"
    )
    also: dict[str, Name] = Field(
        default_factory=dict,
        title="A further data set, outside the adapter's domain, to see what was forgotten, or a task of "
        "lm-evaluation-harness as lm-eval:TASK; may be given again.",
        description=f"NAME=DATASET with {USABLE_NAMES}",
    )
    train_data: Place | None = Field(
        None,
        title="What the adapters were trained on: finds the questions that leaked, and compares without them.",
        description="a .jsonl, .json, .csv, .tsv, .parquet or .txt file",
    )
    strict: StrictBool = Field(False, title="A row that cannot be evaluated is an error.", description="true or false")
    references: Literal["all", "first"] | None = Field(
        None,
        title="Which of a row's several references count [default: all; of fiqa the first].",
        description="all or first",
    )
    metrics: Names | None = Field(
        None,
        title="Which metrics to calculate [default: all but bert_score and squad].",
        description="a list of metric names, each once",
    )
    own_metrics: Annotated[tuple[Name, ...], BeforeValidator(one_of_each)] = Field(
        (),
        title="A metric of your own, besides: FILE.py:FUNCTION or the name of an installed one; may be given again.",
        description="a list of FILE.py:FUNCTION or names of installed metrics, each once",
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
    tokenizer: Literal["13a", "intl", "zh", "char", "ja-mecab", "ko-mecab", "unicode"] | None = Field(
        None,
        title="How BLEU, ROUGE and token F1 part words [default: as in English]; unicode is for all languages.",
        description="13a, intl, zh, char, ja-mecab, ko-mecab or unicode",
    )
    thinking: Literal["part", "keep"] = Field(
        "part",
        title="Whether a model's thinking (<think>…</think> and the like) is parted from its answer before that is "
        "scored, or kept as a part of it.",
        description="part or keep",
    )
    bert_score_model: Name | None = Field(
        None, title="The model of bert_score [default: roberta-large].", description="a hub id or a folder"
    )
    bert_score_layers: Annotated[int, whole(1, 1_000)] | None = Field(
        None,
        title="Which of its layers bert_score compares [default: the one it was tuned to, where the model is known].",
        description="an integer from 1 to 1,000",
    )
    metric_batch_size: Annotated[int, whole(1, 100_000)] = Field(
        32,
        title="Texts that a metric's model takes at a time; an embedding model 32 at most, 2 on a CPU.",
        description="an integer from 1 to 100,000",
    )
    engine: Literal["auto", "transformers", "vllm", "endpoint"] = Field(
        "auto",
        title="What generates; auto takes what is expected to be done sooner, endpoint asks a server.",
        description="auto, transformers, vllm or endpoint",
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
    device_map: Literal["auto"] | None = Field(
        None,
        title="auto spreads the layers of a base that one GPU does not hold over all GPUs.",
        description="auto",
    )
    tensor_parallel: Annotated[int, whole(1, 1_024)] = Field(
        1,
        title="GPUs that hold the base together in vLLM, each a part of every layer.",
        description="an integer from 1 to 1,024",
    )
    dtype: Literal["bfloat16", "float16", "float32"] | None = Field(
        None,
        title="Of the weights [default: bfloat16 on a GPU, float32 on a CPU].",
        description="bfloat16, float16 or float32",
    )
    batch_size: Literal["auto"] | Annotated[int, whole(1, 100_000)] = Field(
        "auto",
        title="Rows generated at once; auto halves when memory runs out.",
        description="auto or an integer from 1 to 100,000",
    )
    max_new_tokens: NewTokens = Field(
        256, title="Most tokens of an answer.", description="an integer from 1 to 1,000,000"
    )
    temperature: Temperature = Field(0.0, title="0 is greedy decoding.", description=TEMPERATURES)
    top_p: TopP = Field(1.0, title="Nucleus of the sampling.", description="a number in (0, 1]")
    repeats: Annotated[int, whole(1, 10_000)] = Field(
        1,
        title="Answers to each question; above 1 needs a --temperature above 0.",
        description="an integer from 1 to 10,000",
    )
    noise_rows: Annotated[int, whole(0, 1_000_000)] = Field(
        64,
        title="The base answers so many questions once more, in other batches, to see what moves by itself.",
        description="an integer from 0 (leaves it out) to 1,000,000",
    )
    skip_refused: StrictBool = Field(
        False,
        title="An adapter that is refused is left out, and the report says why, instead of ending the run.",
        description="true or false",
    )
    stop: Stops = Field(
        (), title="An answer ends before this string; may be given again.", description="a list of non-empty strings"
    )
    eos_token: Annotated[tuple[Text, ...], BeforeValidator(one_of_each)] = Field(
        (),
        title="A token that ends an answer besides the model's own, by its text or id; may be given again.",
        description="a list of tokens or their ids, each once",
    )
    system_prompt: Text | None = Field(None, title="In place of the financial assistant's.", description="a text")
    chat_template: StrictBool = Field(
        False,
        title="The adapters were trained on the tokenizer's chat template: training asks through it.",
        description="true or false",
    )
    protocols: Annotated[tuple[ProtocolConfig, ...], BeforeValidator(protocols_of)] = Field(
        protocols_of((TRAINING,)),
        title="How all are asked: training (the default), chat, few-shot, or one that the YAML file describes; may be "
        "given again, and the first decides.",
        description="training, chat, few-shot, or a protocol of the configuration file",
    )
    shots: Place | None = Field(
        None,
        title="Worked examples for few-shot [default: those of --train-data]; never rows that are evaluated.",
        description="a .jsonl, .json, .csv, .tsv or .parquet file",
    )
    num_shots: Annotated[int, whole(1, MOST_SHOTS)] = Field(
        4, title="Worked examples of few-shot.", description=f"an integer from 1 to {MOST_SHOTS}"
    )
    seed: Seed = Field(0, title="Of sampling, bootstrap and permutations.", description=SEEDS)
    resamples: Annotated[int, whole(100, 1_000_000)] = Field(
        10_000, title="Bootstrap samples and sign flips.", description="an integer from 100 to 1,000,000"
    )
    full_hash: StrictBool = Field(
        False, title="Hash a base above 2 GiB whole instead of sampling it.", description="true or false"
    )
    base_from: Place | None = Field(
        None, title="Another run, whose base was asked the very same: not asked again.", description="a run's folder"
    )
    output_dir: Place | None = Field(None, title="The run directory [default: runs/DATE-TIME].", description="a folder")

    @field_validator("adapters", "candidates", "also")
    @classmethod
    def _names_are_usable(cls, named: dict[str, str]) -> dict[str, str]:
        folders: dict[str, str] = {}
        for name, path in named.items():
            if not is_usable(name):
                raise ValueError(f"{name}={path}")
            first = folders.setdefault(folder_of(name), name)
            if first != name:
                raise PydanticCustomError(SAME_FOLDER, "{first} and {name}", {"first": repr(first), "name": repr(name)})
        return named

    @field_validator("columns")
    @classmethod
    def _columns_have_names(cls, columns: dict[str, str]) -> dict[str, str]:
        for role, column in columns.items():
            if role not in ("question", "reference", "id") or not column:
                raise ValueError(f"{role}={column}")
        return columns

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> RunConfig:
        if self.eval_indices is not None and self.eval_fraction is not None:
            raise whole_line("`--eval-indices` and `--eval-fraction` exclude each other, got both")
        for protocol in self.protocols:
            where = f" ({protocol.name})" if len(self.protocols) > 1 else ""
            temperature = self.temperature if protocol.temperature is None else protocol.temperature
            if self.repeats > 1 and temperature == 0:
                raise whole_line(
                    f"`--repeats` above 1 needs --temperature above 0{where}: greedy answers are all the same"
                )
            if (self.top_p if protocol.top_p is None else protocol.top_p) < 1 and temperature == 0:
                raise whole_line(
                    f"`--top-p` below 1 needs --temperature above 0{where}: greedy decoding does not look at it"
                )
        if self.every_turn and self.repeats > 1:
            raise whole_line("`--every-turn` and `--repeats` exclude each other, got both")
        if self.chat_template and all(one.prompt != CHAT and one.name != TRAINING for one in self.protocols):
            named = some([protocol.name for protocol in self.protocols])
            raise whole_line(
                f"`--chat-template` changes nothing: {named} asks by another prompt; add --protocol training, or say "
                "prompt: chat in the configuration file"
            )
        refuse_unused_shots(self.protocols, self.model_fields_set, self.shots, self.train_data)
        refuse_unserved(self, self.engine, self.model_fields_set, self.tasks)
        refuse_unspread(self, self.device, self.device_map, self.candidates, self.tasks)
        refuse_unstoppable(self, self.model_fields_set, self.compared)
        refuse_beside(self.candidates, self.adapters, self.engine, self.device_map, self.tasks)
        if self.base_from is not None and not self.compared:
            raise whole_line("`--base-from` spares asking the base beside an adapter, and there is none: give one")
        if self.dataset.startswith(TASKS):
            raise whole_line(
                f"`--dataset` cannot be a task of lm-evaluation-harness, got {self.dataset}: add it as --also"
            )
        if self.tasks and self.engine == "vllm":
            raise whole_line(
                f"`--engine` must be transformers for tasks of lm-evaluation-harness ({some(self.tasks)}), got vllm"
            )
        return self

    @property
    def compared(self) -> tuple[str, ...]:
        """What is compared with the base: the adapters' names, then those of the whole models."""
        return (*self.adapters, *self.candidates)

    @property
    def tasks(self) -> dict[str, str]:
        """Name of a further data set to the task of lm-evaluation-harness that it is, where it is one."""
        return {name: of.removeprefix(TASKS) for name, of in self.also.items() if of.startswith(TASKS)}


def flag_of(field: str) -> str:
    """How a field is spelled on the command line: `max_new_tokens` is `--max-new-tokens`."""
    many = ("adapters", "candidates", "margins", "columns", "protocols")
    name = "metric" if field == "own_metrics" else field.removesuffix("s") if field in many else field
    return "--" + name.replace("_", "-")


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
        if not is_unicode(value):
            raise UsageError(wrong_argument(flag_of(name), "text that UTF-8 can hold", value))
    try:
        return RunConfig.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(first_problem(error, RunConfig, flag_of)) from None


def load(path: Path | None, flags: Mapping[str, Any]) -> RunConfig:
    """Read a YAML file and lay the flags over it: a flag wins over the file, the file over the default.

    Args:
        path: The YAML file, or None.
        flags: Field name to value, only those that were given.

    Raises:
        UsageError: As `parse`; also for a file that is missing, unreadable or not a mapping.
    """
    file = read_yaml(path) if path else {}
    if "protocols" in flags:
        flags = {**flags, "protocols": described_by(file.get("protocols"), flags["protocols"])}
    return parse({**file, **flags})
