"""All that one variant gives: its answers token by token, and how likely it finds references and next tokens."""

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
"""What stands for the end-of-sequence token, whichever it was."""


class TokenIds(Texts):
    """A tokenizer that writes answers as their token ids: one text may come of several sequences of tokens."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The token ids, with spaces between."""
        return " ".join(map(str, tokens))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked.

    Attributes:
        prompts: Each id once.
        references: As many.
        separator: Between a prompt and its reference.
        settings: How prompts are answered; greedily.
    """

    prompts: Sequence[Prompt]
    references: Sequence[str]
    separator: str
    settings: GenerationSettings


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a variant gave.

    Attributes:
        tokens: Each answer's token ids by the prompt's id, ``END`` last where the model ended it. Stop strings are not
            looked for: the answers go on behind them.
        answers: The same as text, cut at the stop strings.
        likelihoods: Of the references, by the prompt's id.
        watched: The token after each prompt whose probability is compared, in the prompts' order.
        log_probabilities: Its natural logarithm.
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
    """Ask one variant everything.

    Args:
        generator: One whose texts are ``TokenIds``.
        variant: Who answers.
        asked: What.
        rows: Most rows at once; None: as in a run.
        watched: Tokens after the prompts; None: the variant's own most likely ones.
        on_progress: Told the answers' rows and tokens.
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
    text, count, reason = finish_row(tokens, None, (END,), asked.settings.stop, Texts(tokenizer, ()).decode)
    return Answer(prompt.id, text, reason, len(prompt.token_ids), count)


def _likelihoods(generator: Generator, variant: str, asked: Asked, rows: int) -> dict[str, ReferenceLikelihood]:
    """A generator chooses the batches of references itself, so it is given so many at a time."""
    found = {}
    for start in range(0, len(asked.prompts), rows):
        few = slice(start, start + rows)
        some = generator.reference_likelihoods(variant, asked.prompts[few], asked.references[few], asked.separator)
        found.update({one.id: one for one in some})
    return found
