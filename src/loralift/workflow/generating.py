"""The first stage: every variant answers every question; each answer is on the disk as soon as its batch is done."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from loralift import generation
from loralift.comparison import repeat_id
from loralift.config import RunConfig
from loralift.errors import RunDirectoryError, UsageError
from loralift.generation import GenerationSettings, Generator
from loralift.kept import keep
from loralift.records import BASE, Answer, Example, Prompt
from loralift.workflow.asking import Asked, generation_settings
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.likelihoods import score_references
from loralift.workflow.progress import AT_ONCE, RunContext, Told, Watcher
from loralift.workflow.recorded import append_answers, not_yet, read_records, where
from loralift.workflow.run_directory import RunDirectory

if TYPE_CHECKING:
    from loralift.generation.model.base_model import BaseModel
    from loralift.generation.ray.cluster import Room

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
    only: frozenset[str] | None = None,
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
    own = repeated(context.part(asked.prompts), dataset.repeats)
    todo = _unanswered(dataset.directory, variant, own)
    todo = todo if only is None else where(todo, lambda prompt: prompt.id in only)
    with context.watcher.task(f"{label}answers", len(todo)) as advance:
        settings = replace(generation_settings(dataset.protocol, context.config), thinking=asked.thinking)
        told = Told(advance, len(todo))
        answers = _answers(generator, of, todo, settings, told)
        append_answers(dataset.directory, variant, answers, (prompt.id for prompt in own))
    if perplexity:
        score_references(context, dataset, variant, generator, asked, label, of=of)


def _answers(
    generator: Generator, of: str, todo: Sequence[Prompt], settings: GenerationSettings, told: Told
) -> Iterator[Answer]:
    """Answers to AT_ONCE prompts at a time: engines hold all prompts that they are given."""
    for first in range(0, len(todo), AT_ONCE):
        some = tuple(todo[first : first + AT_ONCE])
        yield from generator.generate(of, some, settings, told)
        told.end(len(some))


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
        answers = generator.generate(BASE, todo, settings, advance) if todo else ()
        append_answers(dataset.directory, AGAIN, answers, (prompt.id for prompt in chosen))


def _unanswered(directory: RunDirectory, variant: str, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    """The prompts without an answer.

    Raises:
        RunDirectoryError: An answer is there that cannot be of this run.
    """
    path = directory.answers(variant)
    done = read_records(path, Answer, signed=True) if path.exists() else {}
    todo = not_yet(path, done, prompts)
    for prompt in prompts if done else ():
        counted = done[prompt.id].prompt_tokens if prompt.id in done else None
        if counted is not None and counted != len(prompt.token_ids):
            raise RunDirectoryError(
                f"{path}: the answer to {prompt.id!r} was given to a prompt of {counted} tokens, and the run's has "
                f"{len(prompt.token_ids)}: it is of another run; remove that file to answer anew, or put the right one "
                "back"
            )
    return todo
