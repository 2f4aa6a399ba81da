"""What an answer is like, never whether it is good: descriptive metrics, which explain a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from loralift.metrics.base import Metric, MetricSettings, RowValue, per_row, sign
from loralift.records import Example, part


def answer_words(example: Example) -> float:
    """Words between white space."""
    return float(len(example.answer.text.split()))


def output_tokens(example: Example) -> float | None:
    """Tokens generated; None where nobody counted."""
    tokens = example.answer.output_tokens
    return None if tokens is None else float(tokens)


def truncated(example: Example) -> float | None:
    """1 where the answer was cut at ``max_new_tokens``; None where nobody knows how it ended."""
    reason = example.answer.finish_reason
    return None if reason is None else float(reason == "length")


def empty(example: Example) -> float:
    """1 where the answer is nothing but white space."""
    return float(not example.answer.text.strip())


def thinking_tokens(example: Example) -> float | None:
    """Tokens generated that are thinking; None where nobody counted."""
    tokens = example.answer.thinking_tokens
    return None if tokens is None else float(tokens)


def unfinished(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
    """1 where the text ends before its thinking does, so that there is no answer; None where thinking is kept."""
    if settings.thinking.keep:
        return [RowValue(None) for _ in examples]
    return [RowValue(float(part(example.answer.text, settings.thinking).answer is None)) for example in examples]


def descriptive(
    name: str,
    title: str,
    value: Callable[[Example], float | None],
    *,
    high: float = 1.0,
    unit: str = "",
    decimals: int = 3,
    of_text: bool = True,
    **settings: object,
) -> Metric:
    """A metric without a direction and without a margin; ``settings`` go into its signature."""

    def signature(_: MetricSettings) -> str:
        return sign("loralift", **settings)

    return Metric(
        name=name,
        title=title,
        score=per_row(value),
        signature=signature,
        high=high,
        higher_is_better=None,
        unit=unit,
        decimals=decimals,
        of_text=of_text,
    )


ANSWER_WORDS = descriptive("answer_words", "Words", answer_words, high=math.inf, unit="words", decimals=1)
OUTPUT_TOKENS = descriptive(
    "output_tokens", "Tokens", output_tokens, high=math.inf, unit="tokens", decimals=1, of_text=False
)
THINKING_TOKENS = descriptive(
    "thinking_tokens", "Thinking tokens", thinking_tokens, high=math.inf, unit="tokens", decimals=1, of_text=False
)
TRUNCATED = descriptive("truncated", "Cut off", truncated, of_text=False)
UNFINISHED = Metric(
    name="unfinished",
    title="Never finished thinking",
    score=unfinished,
    signature=TRUNCATED.signature,
    higher_is_better=None,
    of_text=False,
)
EMPTY = descriptive("empty", "Empty", empty)
