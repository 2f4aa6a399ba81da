"""All that is compared of one variant: its answers' token ids, reference likelihoods and next-token probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loralift.generation.base import GenerationSettings, Generator, OnProgress
from loralift.generation.model.tokenization import Texts
from loralift.generation.transformers_engine.stopping import finish_row
from loralift.records import Answer, Prompt, ReferenceLikelihood

END = -1
"""Stands for the end-of-sequence token, since a model may have several."""


class TokenIds(Texts):
    """A tokenizer that decodes to token ids in place of text: different tokens may give the same text."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The token ids, with spaces between."""
        return " ".join(map(str, tokens))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked.

    Attributes:
        prompts: Each with an id of its own.
        references: One for each prompt, in the same order.
        separator: Text between a prompt and its reference.
        settings: How answers are generated; greedy decoding.
    """

    prompts: Sequence[Prompt]
    references: Sequence[str]
    separator: str
    settings: GenerationSettings


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a variant gave.

    Attributes:
        tokens: Each answer's token ids by the prompt's id, ``END`` last where the model ended it. Stop strings are
            ignored: the token ids continue after them.
        answers: The same as text, cut at the stop strings.
        likelihoods: Of the references, by the prompt's id.
        watched: Token ids, one for each prompt: the next token whose probability is compared.
        log_probabilities: The natural logarithms of these probabilities.
    """

    tokens: Mapping[str, tuple[int, ...]]
    answers: Mapping[str, Answer]
    likelihoods: Mapping[str, ReferenceLikelihood]
    watched: NDArray[np.int64]
    log_probabilities: NDArray[np.float64]


def ask(
    generator: Generator,
    variant: str,
    asked: Asked,
    *,
    rows: int | None = None,
    watched: NDArray[np.int64] | None = None,
    on_progress: OnProgress | None = None,
) -> Given:
    """Generate answers, score references and compute next-token probabilities with one variant.

    Args:
        generator: One whose texts are ``TokenIds``.
        variant: ``base`` or an adapter's name.
        asked: Prompts, references and settings.
        rows: Most rows of a batch; None: as in a run.
        watched: The next tokens whose probability is wanted; None: the most likely ones of this variant.
        on_progress: Called with the answers finished and the tokens generated.
    """
    settings = replace(asked.settings, stop=(), batch_size=rows or asked.settings.batch_size)
    tokens = {}
    for answer in generator.generate(variant, asked.prompts, settings, on_progress):
        ended = (END,) if answer.finish_reason == "stop" else ()
        tokens[answer.id] = (*map(int, answer.text.split()), *ended)
    found = generator.next_token_log_probabilities(variant, asked.prompts, rows)
    watched = found.argmax(axis=1) if watched is None else watched
    return Given(
        tokens,
        {prompt.id: _answer(prompt, tokens[prompt.id], generator.tokenizer, asked) for prompt in asked.prompts},
        _likelihoods(generator, variant, asked, rows or len(asked.prompts)),
        watched,
        found[np.arange(len(watched)), watched],
    )


def _answer(prompt: Prompt, tokens: Sequence[int], tokenizer: Any, asked: Asked) -> Answer:
    row = finish_row(tokens, None, (END,), asked.settings, Texts(tokenizer, ()).decode)
    return row.answer(prompt.id, len(prompt.token_ids))


def _likelihoods(generator: Generator, variant: str, asked: Asked, rows: int) -> dict[str, ReferenceLikelihood]:
    """Reference likelihoods, ``rows`` pairs a call: within a call a generator chooses its batches itself."""
    found = {}
    for start in range(0, len(asked.prompts), rows):
        few = slice(start, start + rows)
        some = generator.reference_likelihoods(variant, asked.prompts[few], asked.references[few], asked.separator)
        found.update({one.id: one for one in some})
    return found
