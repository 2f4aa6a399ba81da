r"""How all variants may be asked, as a configuration says it: LoraLift's own protocols, and the user's.

In YAML a protocol is a name, or a mapping with a name; what it leaves out is the run's::

    protocols:
      - training
      - chat
      - {name: brief, prompt: chat, system_prompt: Answer in one sentence., max_new_tokens: 64}
      - name: alpaca
        prompt: "### Instruction:\n{question}\n\n### Response:\n"
        stop: ["### Instruction:"]
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, field_validator

from loralift.config.fields import (
    TEMPERATURES,
    NewTokens,
    Stops,
    Temperature,
    Text,
    TopP,
    first_problem,
    whole,
    whole_line,
)
from loralift.config.names import USABLE_NAMES, folder_of, is_usable
from loralift.errors import shown, some
from loralift.records import TRAINING

CHAT = "chat"
FEW_SHOT = "few-shot"
PLAIN = "plain"
ALPACA = "alpaca"
VERBATIM = "verbatim"

FORMS = (PLAIN, CHAT, ALPACA, VERBATIM)
"""Prompts that LoraLift knows by name; any other is a text of the user's own."""

INSTRUCTED = (PLAIN, CHAT, ALPACA)
"""Those of them that have a place for instructions."""

PLACE_OF_QUESTION = "{question}"

MOST_SHOTS = 100


class ProtocolConfig(BaseModel):
    """One protocol; None stands for what the run says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text = Field(description=USABLE_NAMES)
    prompt: Text = Field(
        PLAIN, description="plain, chat, alpaca, verbatim, or a text that holds {question} once, not {{question}}"
    )
    system_prompt: Text | None = Field(None, description="a text")
    shots: Annotated[int, whole(0, MOST_SHOTS)] | None = Field(
        None, description=f"an integer from 0 to {MOST_SHOTS}, of worked examples"
    )
    thinking: StrictBool = Field(False, description="true or false")
    stop: Stops | None = Field(None, description="a list of non-empty strings, each once")
    max_new_tokens: NewTokens | None = Field(None, description="an integer from 1 to 1,000,000")
    temperature: Temperature | None = Field(None, description=TEMPERATURES)
    top_p: TopP | None = Field(None, description="a number in (0, 1]")

    @field_validator("name")
    @classmethod
    def _name_is_usable(cls, name: str) -> str:
        if not is_usable(name):
            raise ValueError(name)
        return name

    @field_validator("prompt")
    @classmethod
    def _question_has_a_place(cls, prompt: str) -> str:
        own = prompt not in FORMS
        # doubled, as templates of other tools have it, the outer braces would stand in every prompt
        if own and (prompt.count(PLACE_OF_QUESTION) != 1 or f"{{{PLACE_OF_QUESTION}}}" in prompt):
            raise ValueError(prompt)
        return prompt


BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    TRAINING: {},
    CHAT: {"prompt": CHAT},
    FEW_SHOT: {"shots": None},
}
"""LoraLift's own protocols, by name: what they say of themselves."""


def protocol_of(value: Any) -> ProtocolConfig:
    """A protocol from what a configuration says of it; a mapping named as a built-in one changes that one.

    Raises:
        PydanticCustomError: It is none; the message is a whole line.
    """
    if isinstance(value, ProtocolConfig):
        return value
    said = {"name": value} if isinstance(value, str) else value
    if not isinstance(said, Mapping):
        raise whole_line(f"must be a list of names, or of mappings with a name, got {shown(value)}")
    name = said.get("name")
    own = BUILT_IN.get(name) if isinstance(name, str) else None
    built_in, own = own is not None, own or {}
    if isinstance(value, str) and not built_in:
        raise whole_line(
            f"must be {', '.join(BUILT_IN)}, or one that the configuration file describes under protocols, "
            f"got {shown(value)}"
        )
    if not built_in and isinstance(name, str) and (meant := _nearly_built_in(name)):
        raise whole_line(f"{name} is not {meant}, which is LoraLift's own: write {meant}, or give yours another name")
    if built_in and said.get("prompt", own.get("prompt", PLAIN)) != own.get("prompt", PLAIN):
        raise whole_line(f"{name} has a prompt of its own: give yours another name")
    try:
        found = ProtocolConfig.model_validate({**own, **said})
    except ValidationError as error:
        named = f", {name}" if isinstance(name, str) else ""
        raise whole_line(f"of the configuration file{named}: {first_problem(error, ProtocolConfig, str)}") from None
    _refuse_silent(found, said)
    return found


def _nearly_built_in(name: str) -> str | None:
    """The built-in protocol that a name is but for its spelling: as a name of its own it would ask plainly."""
    return next((own for own in BUILT_IN if _letters(own) == _letters(name)), None)


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _refuse_silent(protocol: ProtocolConfig, said: Mapping[str, Any]) -> None:
    """Refuse what a protocol says and its prompt cannot do."""
    if protocol.prompt not in INSTRUCTED and protocol.system_prompt is not None:
        what = (
            "a verbatim prompt has no instructions"
            if protocol.prompt == VERBATIM
            else ("a prompt of your own holds its instructions itself")
        )
        raise whole_line(f"{protocol.name}: {what}: leave out system_prompt")
    if protocol.prompt == VERBATIM and protocol.shots:
        raise whole_line(
            f"{protocol.name}: a verbatim prompt has no form that worked examples could have: leave out shots"
        )
    if protocol.prompt != CHAT and "thinking" in said:
        raise whole_line(f"{protocol.name}: only a chat prompt can tell a model whether to think: leave out thinking")


def protocols_of(values: Any) -> tuple[ProtocolConfig, ...]:
    """All protocols of a configuration, each once.

    Raises:
        PydanticCustomError: One is none, or two share a name; the message is a whole line.
    """
    if not isinstance(values, list | tuple) or not values:
        raise whole_line(f"must be a list of names, or of mappings with a name, got {shown(values)}")
    found = tuple(map(protocol_of, values))
    names = [folder_of(protocol.name) for protocol in found]
    twice = [protocol.name for place, protocol in enumerate(found) if names[place] in names[:place]]
    if twice:
        raise whole_line(f"names {some(twice)} twice; name it once")
    return found


def described_by(file: Any, names: Sequence[str]) -> list[Any]:
    """Protocols that flags name, as the configuration file describes them, else by their names.

    Args:
        file: What the file says under ``protocols``.
        names: In the order of the flags.
    """
    entries = file if isinstance(file, list | tuple) else ()
    own = {
        entry["name"]: entry for entry in entries if isinstance(entry, Mapping) and isinstance(entry.get("name"), str)
    }
    return [own.get(name, name) for name in names]


def refuse_unused_shots(
    protocols: Sequence[ProtocolConfig], given: Collection[str], shots: Path | None, train_data: Path | None
) -> None:
    """Refuse worked examples that no protocol hears, and protocols that lack theirs.

    Args:
        protocols: How all are asked.
        given: The fields of the configuration that were given.
        shots: The file of worked examples.
        train_data: The training data, which are asked for some otherwise.

    Raises:
        PydanticCustomError: There are some.
    """
    asked = [protocol.name for protocol in protocols if protocol.shots or protocol.name == FEW_SHOT]
    flag = "--shots" if shots is not None else "--num-shots" if "num_shots" in given else None
    if flag and not asked:
        raise whole_line(f"`{flag}` is for worked examples, and no protocol has any: add --protocol few-shot")
    by_number = any(protocol.name == FEW_SHOT and protocol.shots is None for protocol in protocols)
    if "num_shots" in given and not by_number:
        raise whole_line(f"`--num-shots` is of few-shot, and {some(asked)} has its own: change its shots")
    if asked and shots is None and train_data is None:
        raise whole_line(f"`--shots` must be given, or --train-data, for the worked examples of {some(asked)}")
