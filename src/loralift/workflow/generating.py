"""The first stage: every variant answers every question; each answer is on the disk as soon as its batch is done."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loralift import generation
from loralift.comparison import repeat_id
from loralift.config import RunConfig
from loralift.errors import RunDirectoryError, UsageError, some
from loralift.generation import GenerationSettings, Generator
from loralift.kept import chosen, keep
from loralift.records import BASE, Answer, Example, Prompt, ReferenceLikelihood
from loralift.workflow.asking import Asked, generation_settings
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.progress import Advance, RunContext, Watcher
from loralift.workflow.recorded import append, append_answers, read_records
from loralift.workflow.run_directory import RunDirectory

if TYPE_CHECKING:
    from loralift.generation.base import Batches
    from loralift.generation.model.base_model import BaseModel
    from loralift.generation.ray.cluster import Room

AT_ONCE = 10_000
"""Most prompts that an engine is given at a time: it holds, sorts and batches all of them."""

MOST_SCORED = 1.25
"""How many references a shard may score for each of its own, so as to score them in the batches of the whole run."""

AGAIN = "base-again"
"""The folder of the base's second answers."""


def load_generator(
    config: RunConfig,
    watcher: Watcher,
    rows: Sequence[int] = (),
    base: BaseModel | None = None,
    new_tokens: int = 0,
) -> Generator:
    """Load the base model and its adapters.

    Args:
        config: The models and the engine.
        watcher: Told what is being loaded.
        rows: For each data set, how many answers each variant will give; empty: a few.
        base: As `inspect_model` found it; None: it is inspected here.
        new_tokens: Most tokens of an answer, by which ``--engine auto`` chooses; 0: not known.

    Raises:
        ModelError: The base cannot be found or loaded.
        AdapterError: An adapter does not fit, or does not act.
    """
    watcher.say(f"model: loading {config.model}")
    base = base or inspect_model(config)
    if config.endpoint is not None:
        generator: Generator = _served(config, base)
    elif config.workers is not None:
        generator = _spread(config, watcher, base, rows, new_tokens)
    else:
        generator = _loaded(config, lambda why: watcher.say(f"model: {why}"), base, rows, new_tokens)
    for note in generator.notes:
        watcher.say(f"model: {note}")
    return generator


def _loaded(
    config: RunConfig, say: Callable[[str], None], base: BaseModel, rows: Sequence[int], new_tokens: int
) -> Generator:
    return generation.load_generator(
        config.engine,
        base,
        generation.inspect_adapters(base, config.adapters),
        dtype=config.dtype or "auto",
        device=config.device or "auto",
        device_map=config.device_map,
        decoding=config.decoding,
        rows=rows,
        new_tokens=new_tokens,
        tensor_parallel=config.tensor_parallel,
        say=say,
    )


def _spread(config: RunConfig, watcher: Watcher, base: BaseModel, rows: Sequence[int], new_tokens: int) -> Generator:
    from loralift.generation.ray import load

    infos = generation.inspect_adapters(base, config.adapters)  # refused here, before any process is started
    device = None if config.device == "auto" else config.device
    given = load.Given(config.workers or "auto", config.ray_address, device, config.tensor_parallel)
    loads = partial(loaded_in_worker, config, tuple(rows), new_tokens)
    return load.load(base, infos, given, loads, lambda line: watcher.say(f"model: {line}"))


def loaded_in_worker(
    config: RunConfig, rows: Sequence[int], new_tokens: int, room: Room, say: Callable[[str], None]
) -> Generator:
    """What each Ray worker loads, from the files that it finds itself.

    Args:
        config: The run's configuration.
        rows: For each data set, how many answers all workers together give.
        new_tokens: Most tokens of an answer.
        room: What the worker got.
        say: Told what a user must know.
    """
    config = config.model_copy(update={"device": room.device, "workers": None, "ray_address": None})
    share = [math.ceil(count / room.workers) for count in rows]
    return _loaded(config, say, inspect_model(config), share, new_tokens)


def _served(config: RunConfig, base: BaseModel) -> Generator:
    from loralift.endpoints import key_of
    from loralift.generation.endpoint.server import WORDS, Given

    given = Given(
        str(config.endpoint),
        key_of(config.endpoint_key_env, os.environ, WORDS),
        config.endpoint_api,
        config.endpoint_tokenizer,
        config.concurrency,
        config.endpoint_wait,
    )
    generator = generation.load_endpoint(base, config.adapters, given)
    if config.primary == "perplexity" and not generator.ability.echoes:
        raise UsageError(
            "`--primary` cannot be perplexity: the server gives no log-probabilities of references that are each "
            "variant's own; name another metric"
        )
    return generator


def inspect_model(config: RunConfig) -> BaseModel:
    """Find the configuration's base model, without loading its weights.

    Raises:
        ModelError: There is none, or it cannot be evaluated as asked.
    """
    if config.endpoint is not None:
        return replace(generation.served_base(config.model), stops=config.stop)
    base = generation.inspect_base(
        config.model,
        config.revision,
        full_hash=config.full_hash,
        quantization=config.quantization,
        trust_remote_code=config.trust_remote_code,
    )
    return replace(base, ends=config.eos_token, stops=config.stop)


def generate_variant(
    context: RunContext,
    dataset: DatasetRun,
    variant: str,
    generator: Generator,
    asked: Asked,
    *,
    perplexity: bool = True,
    alone: bool = False,
    only: Collection[str] | None = None,
) -> None:
    """Answer what is not answered yet, then score the references that are not scored yet.

    Args:
        context: The run's configuration, watcher and clock.
        dataset: The data set.
        variant: ``base`` or an adapter's name.
        generator: The loaded model.
        asked: How, with one prompt for each question of the data set, however often it is answered.
        perplexity: Whether the likelihoods of the references are needed.
        alone: Whether the variant is the loaded model itself, being a candidate, and no adapter of it.
        only: The ids of those to answer; None: all.
    """
    label = f"{variant}: {dataset.label} " if dataset.label else f"{variant}: "
    of = BASE if alone else variant
    todo = _unanswered(dataset.directory, variant, repeated(context.part(asked.prompts), dataset.repeats))
    todo = todo if only is None else _where(todo, lambda prompt: prompt.id in only)
    with context.watcher.task(f"{label}answers", len(todo)) as advance:
        settings = replace(generation_settings(dataset.protocol, context.config), thinking=asked.thinking)
        told = _Told(advance, len(todo))
        append_answers(dataset.directory, variant, _answers(generator, of, todo, settings, told))
    if perplexity:
        _score_references(context, dataset, variant, generator, asked, label, of=of)


def _answers(
    generator: Generator, of: str, todo: Sequence[Prompt], settings: GenerationSettings, told: _Told
) -> Iterator[Answer]:
    """Answers to AT_ONCE prompts at a time: engines hold all prompts that they are given."""
    for first in range(0, len(todo), AT_ONCE):
        some = tuple(todo[first : first + AT_ONCE])
        yield from generator.generate(of, some, settings, told)
        told.end(len(some))


def _score_references(
    context: RunContext,
    dataset: DatasetRun,
    variant: str,
    generator: Generator,
    asked: Asked,
    label: str,
    *,
    of: str,
) -> None:
    path = dataset.directory.references(variant)
    done = read_records(path, ReferenceLikelihood, signed=True) if path.exists() else {}
    total = len(_not_yet(path, done, context.part(asked.prompts)))
    own = context.part(range(len(asked.prompts)))
    with context.watcher.task(f"{label}reference perplexity", total) as advance:
        append(path, _likelihoods(dataset, generator, asked, own, done, _Told(advance, total), of) if total else ())


@dataclass
class _Told:
    """The progress of several calls of a generator as one.

    Attributes:
        advance: Told of all of them.
        total: Rows that are to be told; what is scored besides is not.
        rows: Finished by the calls before this one.
        tokens: Likewise.
        now: Tokens of this call.
    """

    advance: Advance
    total: int
    rows: int = 0
    tokens: int = 0
    now: int = 0

    def __call__(self, rows: int, output_tokens: int) -> None:
        """See `OnProgress`."""
        self.now = output_tokens
        self.advance(min(self.rows + rows, self.total), self.tokens + output_tokens)

    def end(self, rows: int) -> None:
        """A call ended, after so many rows."""
        self.rows, self.tokens, self.now = self.rows + rows, self.tokens + self.now, 0


def _likelihoods(
    dataset: DatasetRun,
    generator: Generator,
    asked: Asked,
    own: Sequence[int],
    done: Collection[str],
    told: _Told,
    of: str,
) -> Iterator[ReferenceLikelihood]:
    """Score references, AT_ONCE rows of the whole run at a time, whichever of them are done or another shard's.

    Args:
        dataset: The questions.
        generator: The loaded model.
        asked: How, with one prompt for each question, in their order.
        own: The places of the prompts that are this shard's.
        done: The ids of those that are scored.
        told: The progress.
        of: What the generator calls the variant.
    """
    for first in range(0, len(asked.prompts), AT_ONCE):
        here = slice(first, first + AT_ONCE)
        prompts, questions = tuple(asked.prompts[here]), dataset.data.questions[here]
        references = {question.id: question.reference for question in questions}
        assert list(references) == [prompt.id for prompt in prompts], "prompts are of other questions"
        part = [prompt for place, prompt in enumerate(prompts, first) if place in own]
        wanted = {prompt.id for prompt in part if prompt.id not in done}
        separator, batches = asked.asking.separator, None
        if 0 < len(wanted) < len(prompts):
            batches = _batches(generator, prompts, part, references, separator)
        scored = wanted
        if batches is not None:
            batches = batches.of(wanted)
            scored = {key for batch in batches.ids for key in batch} | wanted
        todo = [prompt for prompt in prompts if prompt.id in scored]
        texts = [references[prompt.id] for prompt in todo]
        found = generator.reference_likelihoods(of, todo, texts, separator, told, batches) if todo else iter(())
        yield from (one for one in found if one.id in wanted)
        told.end(len(wanted))


def _batches(
    generator: Generator,
    prompts: Sequence[Prompt],
    part: Sequence[Prompt],
    references: Mapping[str, str],
    separator: str,
) -> Batches | None:
    """In which batches a part of the references is scored, so that the last digits are those of a run of all at once.

    A shard takes those of the whole run, unless it would score MOST_SCORED times its own; then those of its part.
    """

    def of(some: Sequence[Prompt]) -> Batches | None:
        return generator.reference_batches(some, [references[prompt.id] for prompt in some], separator)

    whole, own = of(prompts), {prompt.id for prompt in part}
    if whole is None or sum(map(len, whole.of(own).ids)) <= MOST_SCORED * len(own):
        return whole
    return of(part)


def _where(prompts: Sequence[Prompt], wanted: Callable[[Prompt], bool]) -> Sequence[Prompt]:
    """The prompts of which something holds."""
    return chosen(prompts, [place for place, prompt in enumerate(prompts) if wanted(prompt)])


def repeated(prompts: Sequence[Prompt], repeats: int) -> Sequence[Prompt]:
    """Each prompt as often as its question is answered, under the ids of `DatasetRun.questions`."""
    if repeats == 1:
        return prompts
    return keep(replace(prompt, id=repeat_id(prompt.id, number)) for prompt in prompts for number in range(repeats))


def asked_again[Row](rows: Sequence[Row], config: RunConfig) -> Sequence[Row]:
    """The questions that the base answers a second time: evenly spaced, as many as the configuration says."""
    step = max(len(rows) // max(config.noise_rows, 1), 1)
    return rows[::step][: config.noise_rows]


def answers_twice(config: RunConfig, dataset: DatasetRun) -> bool:
    """Whether the base answers some questions a second time; not with repeats, which show the noise themselves."""
    return bool(config.noise_rows and config.compared and config.repeats == 1 and dataset.decides)


def again_of(dataset: DatasetRun, config: RunConfig) -> list[Example]:
    """The base's second answers, without a likelihood, which depends on no answer; empty where it answered once."""
    if not answers_twice(config, dataset):
        return []
    answers = read_records(dataset.directory.answers(AGAIN), Answer)
    return [Example(question, answers[question.id]) for question in asked_again(dataset.data.questions, config)]


def answer_again(context: RunContext, dataset: DatasetRun, generator: Generator, prompts: Sequence[Prompt]) -> None:
    """Let the base answer some questions a second time: in other batches, or with another seed when it samples.

    Which ones is of all prompts. Of them a shard asks its part, so that shards do equal work; it need not be of the
    questions that it asked first.
    """
    chosen, first = context.part(asked_again(prompts, context.config)), context.part(prompts)
    settings = generation_settings(dataset.protocol, context.config)
    # other batches than the first time: all chosen rows at once if they are at most half of all, else half of them
    at_once = len(chosen) if len(chosen) <= len(first) // 2 else len(chosen) // 2 + 1
    settings = replace(settings, seed=settings.seed + 1, batch_size=at_once | 1)
    todo = _unanswered(dataset.directory, AGAIN, chosen)
    with context.watcher.task(f"{BASE}: once more", len(todo)) as advance:
        append_answers(dataset.directory, AGAIN, generator.generate(BASE, todo, settings, advance) if todo else ())


def _unanswered(directory: RunDirectory, variant: str, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    """The prompts without an answer.

    Raises:
        RunDirectoryError: An answer is there that cannot be of this run.
    """
    path = directory.answers(variant)
    done = read_records(path, Answer, signed=True) if path.exists() else {}
    todo = _not_yet(path, done, prompts)
    for prompt in prompts if done else ():
        counted = done[prompt.id].prompt_tokens if prompt.id in done else None
        if counted is not None and counted != len(prompt.token_ids):
            raise RunDirectoryError(
                f"{path}: the answer to {prompt.id!r} was given to a prompt of {counted} tokens, and the run's has "
                f"{len(prompt.token_ids)}: it is of another run; remove that file to answer anew, or put the right one "
                "back"
            )
    return todo


def _not_yet(path: Path, done: Collection[str], prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    """The prompts whose ids are not done; ids that are no prompt's show that the file is of another run."""
    if not done:
        return prompts
    if strange := set(done) - {prompt.id for prompt in prompts}:
        raise RunDirectoryError(
            f"{path} has rows of questions that are not asked here ({some(sorted(strange))}): it is of another run; "
            "remove that file to make them anew, or put the right one back"
        )
    return _where(prompts, lambda prompt: prompt.id not in done)
