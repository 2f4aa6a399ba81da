"""A run's model, loaded and proven: from here on every adapter that is left acts on its base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loralift.config import RunConfig
from loralift.errors import AdapterError
from loralift.generation import Generator
from loralift.records import AdapterProof, Prompt
from loralift.workflow.checking import check_adapters
from loralift.workflow.clock import Clock
from loralift.workflow.generating import load_generator, render_prompts
from loralift.workflow.parts import Part
from loralift.workflow.watching import Watcher


@dataclass(frozen=True, slots=True)
class Ready:
    """What answers, and what it is asked.

    Attributes:
        config: The configuration, without the adapters that were refused.
        generator: The base with the others.
        prompts: Data set to its prompts.
        proofs: One an adapter.
        refused: Adapter that was left out to why.
    """

    config: RunConfig
    generator: Generator
    prompts: Mapping[str, Sequence[Prompt]]
    proofs: tuple[AdapterProof, ...]
    refused: Mapping[str, str] = field(default_factory=dict)


def load_and_prove(config: RunConfig, parts: Sequence[Part], watcher: Watcher, clock: Clock) -> Ready:
    """Load the base and its adapters, render the prompts, and prove that the adapters act.

    Nearly every refusal comes from an adapter's files, before any weights of the base are loaded, so that beginning
    again without it costs nothing.

    Raises:
        ModelError: The base cannot be loaded.
        AdapterError: An adapter was refused and `skip_refused` is not set, or all of them were.
    """
    refused: dict[str, str] = {}
    while True:
        try:
            return _load(config, parts, watcher, clock, refused)
        except AdapterError as error:
            if not config.skip_refused or error.adapter is None:
                raise
            refused[error.adapter] = str(error)
            rest = {name: path for name, path in config.adapters.items() if name != error.adapter}
            if not rest:
                raise AdapterError(f"every adapter was refused: {'; '.join(refused.values())}") from error
            watcher.say(f"{error.adapter}: REFUSED, going on without it: {error}")
            config = config.model_copy(update={"adapters": rest})


def _load(
    config: RunConfig, parts: Sequence[Part], watcher: Watcher, clock: Clock, refused: Mapping[str, str]
) -> Ready:
    with clock.stage("model"):
        generator = load_generator(config, watcher, [len(part.questions) for part in parts])
        prompts = {part.name: render_prompts(generator, part.data.questions, config) for part in parts}
    with clock.stage("check"):
        proofs = check_adapters(generator, prompts[""], watcher, chat_template=config.chat_template)
    return Ready(config, generator, prompts, proofs, refused)
