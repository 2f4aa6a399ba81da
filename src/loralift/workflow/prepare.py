"""Load a run's model and prove that its adapters act; those that are refused are left out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from loralift.config import RunConfig
from loralift.errors import AdapterError, UsageError
from loralift.generation import Generator, refuse_misread
from loralift.kept import joined
from loralift.records import AdapterProof, Prompt
from loralift.workflow.as_trained import end_of_turn, refuse_unheard_stops, refuse_without_place, unanswerable
from loralift.workflow.asking import Asked, Asking, ask, asking_of, overruled
from loralift.workflow.candidates import Agreed, agree, inspect_candidates
from loralift.workflow.checking import check_adapters
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.generating import inspect_model, load_generator
from loralift.workflow.progress import RunContext, Watcher
from loralift.workflow.scoring import PERPLEXITY
from loralift.workflow.shots import load_shots
from loralift.workflow.tasks import asking_of_task

if TYPE_CHECKING:
    from loralift.generation.model.base_model import BaseModel


@dataclass(frozen=True, slots=True)
class Ready:
    """A loaded model and its prompts.

    Attributes:
        config: The configuration, without the adapters that were refused.
        generator: The base with the remaining adapters.
        asked: Part of the run to how its questions are asked, and their prompts.
        proofs: One for each adapter.
        refused: Why adapters and candidates were left out, by name.
        candidates: The whole models, as they were inspected; their weights are not loaded.
        agreed: How they read the prompts.
    """

    config: RunConfig
    generator: Generator
    asked: Mapping[str, Asked]
    proofs: tuple[AdapterProof, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    candidates: Mapping[str, BaseModel] = field(default_factory=dict)
    agreed: Agreed = field(default_factory=Agreed)


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
            rest = {
                of: {name: place for name, place in getattr(context.config, of).items() if name != error.adapter}
                for of in ("adapters", "candidates")
            }
            if not any(rest.values()):
                raise AdapterError(f"every adapter was refused: {'; '.join(refused.values())}") from error
            context.watcher.say(f"{error.adapter}: REFUSED, going on without it: {error}")
            context = replace(context, config=context.config.model_copy(update=rest))


def _load(context: RunContext, datasets: Sequence[DatasetRun], refused: Mapping[str, str]) -> Ready:
    config, watcher, clock = context.config, context.watcher, context.clock
    with clock.stage("model"):
        protocols = list(dict.fromkeys(dataset.protocol for dataset in datasets))
        own = [dataset for dataset in datasets if dataset.task is None]
        evaluated = joined([dataset.data.questions for dataset in own if not dataset.further])
        examples = load_shots(config, protocols, evaluated)
        by_protocol = {
            protocol: joined([dataset.data.questions for dataset in own if dataset.protocol == protocol])
            for protocol in protocols
        }
        for protocol, questions in by_protocol.items():
            refuse_without_place(protocol, questions)
        base = context.base or inspect_model(config)
        candidates = inspect_candidates(config, base)
        generator = _generator(config, watcher, own, base)
        askings = {name: asking_of(name, generator, examples, of) for name, of in by_protocol.items()}
        askings = {name: _told(asking, generator, config, watcher) for name, asking in askings.items()}
        asked = {dataset.part: ask(generator, dataset.data.questions, askings[dataset.protocol]) for dataset in own}
        for part in own:
            _tell_joins(askings[part.protocol], asked[part.part], config, watcher)
        _show_trained(own, asked, watcher)
        for one in asked.values():
            refuse_misread(generator, one.prompts, chat_template=one.asking.chat)
        agreed = agree(generator, candidates, own, asked)
        asked = _noted(asked, (*agreed.notes, *_unlike(generator, own, config.primary)), watcher)
        _refuse_equal([asked[dataset.part] for dataset in own if not dataset.name], config.primary)
        tasks = [dataset for dataset in datasets if dataset.task is not None]
        asked |= {dataset.part: Asked(asking_of_task(askings[dataset.protocol]), ()) for dataset in tasks}
    with clock.stage("check"):
        first = asked[""]
        proofs = check_adapters(generator, first.prompts, watcher, chat_template=first.asking.chat)
    return Ready(config, generator, asked, proofs, refused, candidates, agreed)


def _unlike(generator: Generator, own: Sequence[DatasetRun], primary: str | None) -> tuple[str, ...]:
    """What is noted on references that no answer can equal."""
    found = (note for dataset in own for note in unanswerable(generator, dataset.data.questions, primary))
    return tuple(dict.fromkeys(found))


def _told(asking: Asking, generator: Generator, config: RunConfig, watcher: Watcher) -> Asking:
    """A protocol's asking with all that is noted on it, which is told too."""
    protocol = asking.protocol
    refuse_unheard_stops(protocol, generator)
    said = [*overruled(config, protocol.name, protocol.prompt), *(end_of_turn(generator) if asking.chat else ())]
    asking = replace(asking, notes=(*asking.notes, *said))
    for note in asking.notes:
        watcher.say(f"{protocol.name}: {note}")
    if config.endpoint is None:
        return asking
    # who answered is not known from files, so the report says more of it
    return replace(asking, notes=(*asking.notes, *generator.notes, *_null_of_chats(asking, generator, config, watcher)))


def _tell_joins(before: Asking, asked: Asked, config: RunConfig, watcher: Watcher) -> None:
    """Tell what its prompts showed of where answers stand.

    Raises:
        UsageError: Perplexity is to decide, and no reference's place is known.
    """
    name = before.protocol.name
    for note in asked.asking.notes[len(before.notes) :]:
        watcher.say(f"{name}: {note}")
    if config.primary == PERPLEXITY and asked.prompts and all(prompt.ahead is None for prompt in asked.prompts):
        raise UsageError(
            f"`--primary` cannot be perplexity: the chat template writes no reference behind the prompt of protocol "
            f"{name} as it stands, so where training put them is not known; name another metric, or give the model the "
            "chat_template of the training"
        )


def _null_of_chats(asking: Asking, generator: Generator, config: RunConfig, watcher: Watcher) -> tuple[str, ...]:
    """What is noted, and told, where a server renders a protocol's messages but gives log-probabilities of texts.

    Raises:
        UsageError: Perplexity is to decide there.
    """
    from loralift.generation.endpoint.generator import EndpointGenerator
    from loralift.generation.endpoint.said import NULL_OF_CHATS

    if not isinstance(generator, EndpointGenerator) or not generator.ability.echoes:
        return ()
    if not asking.chat or generator.writing.texts is not None:
        return ()
    name = asking.protocol.name
    if config.primary == PERPLEXITY:
        raise UsageError(
            f"`--primary` cannot be perplexity: the server's chat template renders the messages of protocol {name}, so "
            "there is no likelihood of a reference after them; give --endpoint-tokenizer, which renders them here, or "
            "name another metric"
        )
    watcher.say(f"{name}: {NULL_OF_CHATS}")
    return (NULL_OF_CHATS,)


def _noted(asked: Mapping[str, Asked], notes: Sequence[str], watcher: Watcher) -> dict[str, Asked]:
    """Parts with further notes, which are told too."""
    for note in notes:
        watcher.say(note)
    return {
        part: replace(one, asking=replace(one.asking, notes=(*one.asking.notes, *notes))) for part, one in asked.items()
    }


def _generator(config: RunConfig, watcher: Watcher, own: Sequence[DatasetRun], base: BaseModel) -> Generator:
    """The loaded base, by transformers where lm-evaluation-harness or a candidate needs it."""
    if config.tasks or config.candidates:
        if config.engine == "auto":
            why = (
                "tasks of lm-evaluation-harness need its model" if config.tasks else "it is released before a candidate"
            )
            watcher.say(f"model: transformers runs it, since {why}")
        config = config.model_copy(update={"engine": "transformers"})
    most = max(dataset.protocol.max_new_tokens for dataset in own)
    return load_generator(config, watcher, [len(dataset.questions) for dataset in own], base, most)


def _show_trained(own: Sequence[DatasetRun], asked: Mapping[str, Asked], watcher: Watcher) -> None:
    """Show a prompt that asks as a format's training did, for whoever compares it with what that built."""
    for dataset in own:
        prompt = asked[dataset.part].prompts[0]
        if dataset.data.questions[0].style != "plain" and not dataset.name:
            watcher.say(f"{dataset.protocol.name}: the prompt of {prompt.id}: {prompt.text!r}")


def _refuse_equal(all_asked: Sequence[Asked], primary: str | None) -> None:
    """Refuse two protocols that are one: a verdict would seem to hold in two ways that was asked in one.

    Args:
        all_asked: How the questions that decide are asked.
        primary: The metric that decides; perplexity is of the references, wherever answers end.

    Raises:
        UsageError: Two ask the very same thing.
    """
    if len(all_asked) < 2:
        return
    by_references = primary == PERPLEXITY
    seen: dict[object, str] = {}
    for asked in all_asked:
        protocol = asked.asking.protocol
        settings = replace(protocol, name="", prompt="", system_prompt="", shots=0, thinking=False)
        key = (
            (asked.asking.separator, *(prompt.ahead for prompt in asked.prompts)) if by_references else settings,
            _digest(asked.prompts),
        )
        other = seen.setdefault(key, protocol.name)
        if other != protocol.name:
            raise UsageError(
                f"`--protocol` must name different ways to ask, and {other} and {protocol.name} ask this model the "
                f"very same{' as far as perplexity can tell' if by_references else ''}: leave one out"
            )


def _digest(prompts: Sequence[Prompt]) -> str:
    """Of the token ids of all prompts."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(f"{','.join(map(str, prompt.token_ids))}\n".encode())
    return digest.hexdigest()
