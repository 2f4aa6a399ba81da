"""Load a run's model and prove that its adapters act; those that are refused are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from loralift.config import RunConfig
from loralift.errors import AdapterError
from loralift.generation import Generator
from loralift.records import AdapterProof, Prompt
from loralift.workflow.checking import check_adapters
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.generating import load_generator, render_prompts
from loralift.workflow.progress import RunContext


@dataclass(frozen=True, slots=True)
class Ready:
    """A loaded model and its prompts.

    Attributes:
        config: The configuration, without the adapters that were refused.
        generator: The base with the remaining adapters.
        prompts: Data set to its prompts.
        proofs: One for each adapter.
        refused: Why adapters were left out, by name.
    """

    config: RunConfig
    generator: Generator
    prompts: Mapping[str, Sequence[Prompt]]
    proofs: tuple[AdapterProof, ...]
    refused: Mapping[str, str] = field(default_factory=dict)


def load_and_prove(context: RunContext, datasets: Sequence[DatasetRun]) -> Ready:
    """Load the base and its adapters, render the prompts, and prove that the adapters act.

    Nearly every refusal comes from an adapter's files, before the base's weights are loaded, so that starting again
    without the adapter costs nothing.

    Raises:
        ModelError: The base cannot be loaded.
        AdapterError: An adapter was refused and `skip_refused` is not set, or all of them were.
    """
    refused: dict[str, str] = {}
    while True:
        try:
            return _load(context, datasets, refused)
        except AdapterError as error:
            if not context.config.skip_refused or error.adapter is None:
                raise
            refused[error.adapter] = str(error)
            rest = {name: path for name, path in context.config.adapters.items() if name != error.adapter}
            if not rest:
                raise AdapterError(f"every adapter was refused: {'; '.join(refused.values())}") from error
            context.watcher.say(f"{error.adapter}: REFUSED, going on without it: {error}")
            context = replace(context, config=context.config.model_copy(update={"adapters": rest}))


def _load(context: RunContext, datasets: Sequence[DatasetRun], refused: Mapping[str, str]) -> Ready:
    config, watcher, clock = context.config, context.watcher, context.clock
    with clock.stage("model"):
        generator = load_generator(config, watcher, [len(dataset.questions) for dataset in datasets])
        prompts = {dataset.name: render_prompts(generator, dataset.data.questions, config) for dataset in datasets}
    with clock.stage("check"):
        proofs = check_adapters(generator, prompts[""], watcher, chat_template=config.chat_template)
    return Ready(config, generator, prompts, proofs, refused)
