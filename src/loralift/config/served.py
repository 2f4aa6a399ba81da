"""A served model, ``--engine endpoint``: where it is, and what cannot be asked of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from loralift import arguments
from loralift.config.fields import Name, checked, whole, whole_line
from loralift.errors import some

ENDPOINT = "endpoint"

NOT_SERVED = {
    "candidates": "give the model's name there as --adapter NAME=MODELNAME",
    "quantization": "serve the model so",
    "trust_remote_code": "trust it where the model is served",
    "revision": "serve that revision",
    "full_hash": "no weights are seen",
    "decoding": "the server decodes",
    "device_map": "the server places the model",
    "tensor_parallel": "the server places the model",
    "dtype": "serve the model so",
    "batch_size": "give --concurrency",
    "workers": "one process asks, with --concurrency N",
    "eos_token": "give --stop, or name the token in the served model's generation_config.json",
}
"""Fields that are of weights in this process, and what to do instead."""


class ServedFields(BaseModel):
    """What `loralift run` can be told of a served model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: Name | None = Field(
        None,
        title="With --engine endpoint: the URL of an OpenAI-compatible server, on which --model and --adapter "
        "NAME=MODELNAME are names.",
        description="an http or https URL such as http://localhost:8000/v1",
    )
    endpoint_key_env: Name | None = Field(
        None,
        title="The environment variable that holds its key, which is sent and written nowhere.",
        description="the name of an environment variable that holds the key",
    )
    endpoint_api: Literal["auto", "completions", "chat"] = Field(
        "auto",
        title="What is asked there; auto takes completions, which see the very prompt, where it has them.",
        description="auto, completions or chat",
    )
    endpoint_tokenizer: Name | None = Field(
        None,
        title="A folder or hub id with the served base's tokenizer: prompts are rendered here and sent as token ids.",
        description="a folder or a hub id",
    )
    endpoint_wait: Annotated[float, checked(arguments.number, 0.0, 86_400.0, "")] = Field(
        300.0,
        title="Seconds in which a server that does not answer is waited for; then the run stops, and can be resumed.",
        description="a number of seconds from 0 to 86,400",
    )
    concurrency: Annotated[int, whole(1, 4_096)] = Field(
        16, title="Most requests to the server under way.", description="an integer from 1 to 4,096"
    )


def refuse_unserved(config: ServedFields, engine: str, given: Collection[str], tasks: Iterable[str]) -> None:
    """Refuse a server without its engine, that engine without a server, and what no server can be told.

    Args:
        config: The configuration.
        engine: Its engine.
        given: The fields that were given.
        tasks: Further data sets that lm-evaluation-harness asks.

    Raises:
        PydanticCustomError: Something excludes something else.
    """
    if engine != ENDPOINT:
        if named := [name for name in ServedFields.model_fields if name in given]:
            flag = f"--{named[0].replace('_', '-')}"
            raise whole_line(f"`{flag}` is of a served model: give --engine endpoint too, or leave it out")
        return
    if config.endpoint is None:
        raise whole_line("`--engine` endpoint must be given with --endpoint URL, as http://localhost:8000/v1")
    for name, remedy in NOT_SERVED.items():
        usual = type(config).model_fields[name].get_default(call_default_factory=True)
        if name in given and getattr(config, name) != usual:
            flag = {"candidates": "candidate"}.get(name, name).replace("_", "-")
            raise whole_line(f"`--{flag}` must be left out with --engine endpoint: {remedy}")
    if named := list(tasks):
        raise whole_line(
            f"`--engine` must be transformers for tasks of lm-evaluation-harness ({some(named)}), got endpoint"
        )
