"""The likelihoods of the references under every variant, and which of them a shard computes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loralift.generation import Generator
from loralift.records import Prompt, ReferenceLikelihood
from loralift.workflow.asking import Asked
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.progress import AT_ONCE, RunContext, Told
from loralift.workflow.recorded import append_likelihoods, not_yet, read_records, where

if TYPE_CHECKING:
    from loralift.generation.base import Batches


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the whole run's references, which an engine is given in one call.

    Attributes:
        prompts: AT_ONCE of them, those of other shards too.
        references: Each prompt's, by its id.
    """

    prompts: tuple[Prompt, ...]
    references: Mapping[str, str]

    def batches(self, generator: Generator, separator: str) -> Batches | None:
        """Which of them are scored together; None: the engine does not say, and it makes no difference to it."""
        placed = [prompt for prompt in self.prompts if prompt.ahead is not None]
        texts = [self.references[prompt.id] for prompt in placed]
        return generator.reference_batches(placed, texts, separator) if placed else None


@dataclass(frozen=True, slots=True)
class _Share:
    """What of a part is scored here.

    Attributes:
        ids: Whose references.
        batches: Those of the whole run with them; None: not known yet, or to nobody.
    """

    ids: Collection[str]
    batches: Batches | None = None


def score_references(
    context: RunContext,
    dataset: DatasetRun,
    variant: str,
    generator: Generator,
    asked: Asked,
    label: str,
    *,
    of: str,
) -> None:
    """Score the references that are not scored yet, each in the batch in which the whole run would score it.

    Args:
        context: The run's watcher and shard.
        dataset: The questions.
        variant: ``base`` or an adapter's name.
        generator: The loaded model.
        asked: How, with one prompt for each question, in their order.
        label: What the progress is called by.
        of: What the generator calls the variant.
    """
    path = dataset.directory.references(variant)
    done = read_records(path, ReferenceLikelihood, signed=True) if path.exists() else {}
    shares = None if context.shard is None else _shares(context, dataset, generator, asked)
    own = asked.prompts if shares is None else _own(asked.prompts, shares)
    total = len(not_yet(path, done, own))
    with context.watcher.task(f"{label}reference perplexity", total) as advance:
        found = _likelihoods(dataset, generator, asked, shares, done, Told(advance, total), of) if total else ()
        append_likelihoods(path, found, (prompt.id for prompt in own))


def _shares(context: RunContext, dataset: DatasetRun, generator: Generator, asked: Asked) -> list[_Share]:
    """What a shard scores of each part: every N-th batch of the whole run, so that no last digit is another.

    What is in no batch, being too long or of an engine that does not tell, is dealt out one by one.
    """
    shares, dealt = [], 0
    mine = context.part(range(len(asked.prompts)))  # of all hands, which are at most as many
    for part in _parts(dataset, asked):
        batches = part.batches(generator, asked.asking.separator)
        together = () if batches is None else batches.ids
        within = {key for batch in together for key in batch}
        hands = [*together, *((prompt.id,) for prompt in part.prompts if prompt.id not in within)]
        ids = frozenset(key for place, hand in enumerate(hands, dealt) if place in mine for key in hand)
        shares.append(_Share(ids, None if batches is None else batches.of(ids)))
        dealt += len(hands)
    return shares


def _own(prompts: Sequence[Prompt], shares: Sequence[_Share]) -> Sequence[Prompt]:
    ids = {key for share in shares for key in share.ids}
    return where(prompts, lambda prompt: prompt.id in ids)


def _parts(dataset: DatasetRun, asked: Asked) -> Iterator[_Part]:
    for first in range(0, len(asked.prompts), AT_ONCE):
        here = slice(first, first + AT_ONCE)
        prompts, questions = tuple(asked.prompts[here]), dataset.data.questions[here]
        references = {question.id: question.reference for question in questions}
        assert list(references) == [prompt.id for prompt in prompts], "prompts are of other questions"
        yield _Part(prompts, references)


def _likelihoods(
    dataset: DatasetRun,
    generator: Generator,
    asked: Asked,
    shares: Sequence[_Share] | None,
    done: Collection[str],
    told: Told,
    of: str,
) -> Iterator[ReferenceLikelihood]:
    """Score what is not done, in whole batches of the run, of which some may be scored again.

    Args:
        dataset: The questions.
        generator: The loaded model.
        asked: How.
        shares: What is scored here, of each part; None: all.
        done: The ids of those that are scored.
        told: The progress.
        of: What the generator calls the variant.
    """
    separator = asked.asking.separator
    for number, part in enumerate(_parts(dataset, asked)):
        share = _Share([*part.references]) if shares is None else shares[number]
        wanted = {key for key in share.ids if key not in done}
        batches, scored = share.batches, wanted
        if batches is None and 0 < len(wanted) < len(part.prompts):  # all of them the engine cuts itself
            batches = part.batches(generator, separator)
        if batches is not None:
            batches = batches.of(wanted)
            scored = {key for batch in batches.ids for key in batch} | wanted
        nowhere = {prompt.id for prompt in part.prompts if prompt.ahead is None}
        yield from (ReferenceLikelihood(key, None, 0) for key in part.references if key in wanted & nowhere)
        todo = [prompt for prompt in part.prompts if prompt.id in scored - nowhere]
        texts = [part.references[prompt.id] for prompt in todo]
        found = generator.reference_likelihoods(of, todo, texts, separator, told, batches) if todo else iter(())
        yield from (one for one in found if one.id in wanted)
        told.end(len(wanted))
