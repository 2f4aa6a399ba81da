"""Whole models as variants: each is inspected before the base is loaded, and answers after the base was released."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import ref

from loralift import generation
from loralift.config import RunConfig
from loralift.errors import AdapterError, ModelError, RunDirectoryError
from loralift.generation import Generator, refuse_misread, spread
from loralift.records import Prompt
from loralift.workflow import files
from loralift.workflow.asking import Asked
from loralift.workflow.codec import plain
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.generating import generate_variant, inspect_model
from loralift.workflow.progress import RunContext, Watcher
from loralift.workflow.scoring_process import Scorer

if TYPE_CHECKING:
    from loralift.generation.model.base_model import BaseModel
    from loralift.generation.whole_model import Shown

OTHER_TOKENIZER = (
    "It has another tokenizer than the base, so it reads the same texts as other tokens: perplexity is a character's, "
    "for every variant, and a limit or length in tokens is not as much text as the base's."
)
CANDIDATES = "candidates"
"""The key in run.json: in the fingerprint what each candidate is, beside it how each was run."""


@dataclass(frozen=True, slots=True)
class Before:
    """What is kept of the base when it is released.

    Attributes:
        weights: Refers to its weights, and does not hold them.
        prompts: At most 16 of the run's.
        shown: Its distributions of the token after each of them; None for a candidate of other tokens, which is no
            copy of the base.
        ends: Tokens that end its answers besides its own.
        eos: The ids of all tokens that end its answers.
    """

    weights: ref[Any]
    prompts: Sequence[Prompt]
    shown: Shown | None
    ends: tuple[str, ...]
    eos: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Agreed:
    """How candidates read what is asked.

    Attributes:
        notes: What a reader must know of it, one sentence each.
        own: Of candidates with another tokenizer, by name: part of the run to the same prompts as their own tokens.
    """

    notes: tuple[str, ...] = ()
    own: Mapping[str, Mapping[str, Asked]] = field(default_factory=dict)


@contextmanager
def about_candidate(name: str) -> Iterator[None]:
    """Turn what is wrong with a model into an error that names the candidate, which `--skip-refused` may leave out."""
    try:
        yield
    except ModelError as error:
        said = str(error).replace("`--model`", f"`--candidate {name}`").replace("--revision", "@REVISION")
        refused = AdapterError(said if "--candidate" in said else f"`--candidate {name}`: {said}")
        refused.adapter = name
        raise refused from error


def inspect_candidates(config: RunConfig, base: BaseModel) -> dict[str, BaseModel]:
    """Find every candidate as the base is found, without loading weights.

    Raises:
        AdapterError: There is no such model, it is not complete, or it is the base or another candidate.
    """
    found: dict[str, BaseModel] = {}
    identities = {base.identity: "the base"}
    for name, place in config.candidates.items():
        with about_candidate(name):
            found[name] = one = _inspect(config, place)
            other = identities.setdefault(one.identity, f"the candidate {name}")
            if other != f"the candidate {name}":
                raise ModelError(f"`--model` must be a model of its own, and {place} has the very files of {other}")
    return found


def _inspect(config: RunConfig, place: str) -> BaseModel:
    from loralift.generation import whole_model

    model, revision = whole_model.place_and_revision(place)
    return inspect_model(config.model_copy(update={"model": model, "revision": revision}))


def agree(
    generator: Generator,
    candidates: Mapping[str, BaseModel],
    datasets: Sequence[DatasetRun],
    asked: Mapping[str, Asked],
) -> Agreed:
    """Make sure that every candidate reads each prompt and reference as the base does, and has room for its answers.

    As the same tokens; only one with another tokenizer altogether reads the same texts as tokens of its own.

    Raises:
        AdapterError: One does not.
    """
    from loralift.generation import whole_model

    notes: dict[str, None] = {}
    own: dict[str, dict[str, Asked]] = {}
    for name, candidate in candidates.items():
        with about_candidate(name):
            tokenizer, another = whole_model.tokenizer_of(generator, candidate)
            if another:
                own[name] = _by_its_own(generator, candidate, tokenizer, datasets, asked)
                notes[f"{name}: {OTHER_TOKENIZER}"] = None
                continue
            for dataset in datasets:
                one = asked[dataset.part]
                said = whole_model.refuse_other_tokens(
                    generator,
                    candidate,
                    tokenizer,
                    one.prompts,
                    [question.reference for question in dataset.data.questions],
                    one.asking.separator,
                    new_tokens=one.asking.protocol.max_new_tokens,
                    chat_template=one.asking.chat,
                )
                notes.update(dict.fromkeys(f"{name}: {note}" for note in said))
    return Agreed(tuple(notes), own)


def _by_its_own(
    generator: Generator,
    candidate: BaseModel,
    tokenizer: Any,
    datasets: Sequence[DatasetRun],
    asked: Mapping[str, Asked],
) -> dict[str, Asked]:
    """The prompts of every part as tokens of a candidate's own tokenizer."""
    from loralift.generation import whole_model

    found = {}
    for dataset in datasets:
        one = asked[dataset.part]
        prompts = whole_model.read_by_its_own(
            generator,
            candidate,
            tokenizer,
            one.prompts,
            [question.reference for question in dataset.data.questions],
            new_tokens=one.asking.protocol.max_new_tokens,
            chat_template=one.asking.chat,
        )
        found[dataset.part] = replace(one, prompts=prompts)
    return found


def identities_of(candidates: Mapping[str, BaseModel]) -> dict[str, Any]:
    """What of the candidates belongs into a run's fingerprint; nothing where there are none."""
    said = {
        name: {
            "model": one.identity,
            **({"quantization": one.quantization.name} if one.quantization else {}),
        }
        for name, one in candidates.items()
    }
    return {CANDIDATES: said} if said else {}


def before_release(generator: Generator, prompts: Sequence[Prompt]) -> Before:
    """What the candidates need of the base, which is released then."""
    from loralift.generation import whole_model

    few = spread(prompts)
    eos = tuple(generator.describe().information["eos_token_ids"])
    shown = whole_model.shown_by(generator, few)
    return Before(whole_model.weights_of(generator), few, shown, generator.base_model.ends, eos)


def answer_candidates(
    context: RunContext,
    datasets: Sequence[DatasetRun],
    asked: Mapping[str, Asked],
    own: Mapping[str, Mapping[str, Asked]],
    candidates: Mapping[str, BaseModel],
    before: Before,
    scorer: Scorer,
) -> None:
    """Let one candidate after the other answer everything, each alone in memory.

    Args:
        context: The run's configuration, watcher and clock.
        datasets: The parts of the run.
        asked: Part to its prompts.
        own: The same as tokens of the candidates' own, of those that have another tokenizer.
        candidates: As they were inspected.
        before: What was kept of the base, which nobody may hold any more.
        scorer: Begins to score what has answered.

    Raises:
        AdapterError: A candidate cannot be loaded, was written to, or is the base.
        ModelError: The model before it is still in memory.
    """
    from loralift.generation import whole_model

    weights = before.weights
    for name, candidate in candidates.items():
        whole_model.refuse_held(weights)
        with about_candidate(name):
            if name in own:
                few = spread(own[name][""].prompts)
                weights = _answer_one(
                    context, datasets, own[name], name, candidate, replace(before, prompts=few, shown=None), scorer
                )
            else:
                weights = _answer_one(context, datasets, asked, name, candidate, before, scorer)


def _answer_one(
    context: RunContext,
    datasets: Sequence[DatasetRun],
    asked: Mapping[str, Asked],
    name: str,
    candidate: BaseModel,
    before: Before,
    scorer: Scorer,
) -> ref[Any]:
    """Load a candidate, prove that it is another model, and let it answer; holds nothing of it afterwards."""
    from loralift.generation import whole_model

    config, watcher, clock = context.config, context.watcher, context.clock
    with clock.stage(f"model {name}"):
        watcher.say(f"{name}: the base was released; loading {candidate.source}")
        if _inspect(config, config.candidates[name]).identity != candidate.identity:
            raise ModelError(f"{candidate.source} was written to after the run began: evaluate a copy of it")
        generator = generation.load_generator(
            "transformers",
            replace(candidate, ends=before.ends),
            (),
            dtype=config.dtype or "auto",
            device=config.device or "auto",
            decoding=config.decoding,
            rows=(),
        )
        _refuse_same(watcher, name, generator, before)
        notes = [*generator.notes, *_other_ends(generator, before.eos)]
        for note in notes:
            watcher.say(f"{name}: {note}")
        for dataset in datasets:
            _record(dataset, name, generator, [f"{name}: {note}" for note in notes])
    for dataset in datasets:
        with clock.stage(f"generate {name} ({dataset.label})" if dataset.label else f"generate {name}"):
            perplexity = "perplexity" in scorer.scoring.metrics
            generate_variant(context, dataset, name, generator, asked[dataset.part], perplexity=perplexity, alone=True)
        scorer.begin(dataset, name)
    return whole_model.weights_of(generator)


def _refuse_same(watcher: Watcher, name: str, generator: Generator, before: Before) -> None:
    """Make sure that a candidate computes numbers, and is not the base."""
    from loralift.generation import whole_model

    if before.shown is None:
        whole_model.numbers_of(generator, before.prompts)
        refuse_misread(generator, before.prompts, chat_template=False)
        return
    shift = whole_model.refuse_same_model(generator, before.prompts, before.shown)
    watcher.say(f"{name}: is another model: KL divergence of the next token from the base {shift:.3g} nats (mean)")


def _other_ends(generator: Generator, eos: Sequence[int]) -> Iterator[str]:
    own = tuple(generator.describe().information["eos_token_ids"])
    if own != tuple(eos):
        named = [
            ", ".join(map(str, generator.tokenizer.convert_ids_to_tokens(list(ids)))) or "none" for ids in (own, eos)
        ]
        yield f"Its answers end at {named[0]}, as its own configuration says; the base's end at {named[1]}."


def _record(dataset: DatasetRun, name: str, generator: Generator, notes: Sequence[str]) -> None:
    """Write into run.json how a candidate is run, once it is loaded.

    Raises:
        RunDirectoryError: A session before ran it otherwise.
    """
    model, run = generator.describe(), dataset.directory.read_run()
    said = plain({"numerics": model.numerics, **model.information})
    there = run.get(CANDIDATES, {}).get(name)
    for key in ("numerics", "eos_token_ids"):
        if there is not None and there.get(key) != said[key]:
            raise RunDirectoryError(
                f"{dataset.directory.root} cannot be resumed: the candidate {name} was run with {key} "
                f"{there.get(key)!r}, and is with {said[key]!r}. Give another --output-dir for a new run"
            )
    known = [*run["notes"], *(note for note in notes if note not in run["notes"])]
    files.write_json(
        dataset.directory.run, {**run, "notes": known, CANDIDATES: {**run.get(CANDIDATES, {}), name: said}}
    )
