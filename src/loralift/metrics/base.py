"""What a metric is: a frozen dataclass with a function that scores rows, and what a reader must know of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loralift.errors import UsageError, wrong_argument
from loralift.records import Example, MetricInfo, Thinking

TOKENIZERS = ("13a", "intl", "zh", "char", "ja-mecab", "ko-mecab", "unicode")
"""Sacrebleu's, and Unicode's words: what each means for each metric is in ``tokenizers``."""


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """Every setting that a metric may read; what a metric used stands in its signature.

    Attributes:
        semantic_similarity_model: ``sbert`` (all-MiniLM-L6-v2), a hub name or a local path.
        rouge_stemmer: Whether ROUGE compares Porter stems instead of words.
        bert_score_model: A hub name or a local path; None: bert_score's own choice for English, roberta-large.
        bert_score_layers: Which hidden layer BERTScore compares; None: the one that bert_score has tuned.
        device: e.g. ``cuda:1``, of the embedding models; None: ``cuda`` where there is one, else ``cpu``.
        batch_size: Texts that a metric's model takes at a time; an embedding model 32 at most, 2 on a CPU.
        perplexity_of: The base model and its tokenizer, as perplexity's signature names them: perplexities of others
            do not compare. Empty where they are not known.
        perplexity_per: What a reference's likelihood is shared out over: its tokens, or, where variants have several
            tokenizers, whose tokens are of other lengths, its characters.
        tokenizer: Of BLEU, ROUGE and token F1, one of ``TOKENIZERS``; None: the first, which is for English.
        nrefs: How many references the rows have, as ``references.nrefs_of`` says it: for signatures alone.
        weights: Metric and digest of the model that it asks, as ``with_weights`` finds them: for signatures alone.
        own: Metrics of the user's own, as ``own_metrics`` makes them.
        thinking: How an answer's text is parted into thinking and the answer, which alone is scored.
    """

    semantic_similarity_model: str = "sbert"
    rouge_stemmer: bool = False
    bert_score_model: str | None = None
    bert_score_layers: int | None = None
    device: str | None = None
    batch_size: int = 32
    perplexity_of: str = ""
    perplexity_per: Literal["token", "character"] = "token"
    tokenizer: str | None = None
    nrefs: str = "1"
    weights: tuple[tuple[str, str], ...] = ()
    own: tuple[Metric, ...] = ()
    thinking: Thinking = field(default_factory=Thinking)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(wrong_argument("batch_size", "a positive integer", self.batch_size))
        if "|" in self.perplexity_of:
            raise UsageError(wrong_argument("perplexity_of", "a text without '|'", self.perplexity_of))
        if self.tokenizer is not None and self.tokenizer not in TOKENIZERS:
            raise UsageError(wrong_argument("--tokenizer", f"one of {', '.join(TOKENIZERS)}", self.tokenizer))


@dataclass(frozen=True, slots=True)
class RowValue:
    """One metric's result on one row.

    Attributes:
        value: None where the row cannot be scored (never 0 in its place).
        statistics: For corpus metrics, what is summed over rows before ``Metric.aggregate``; otherwise empty.
        reason: Why the row cannot be scored; empty where it can, or where nobody says why.
    """

    value: float | None
    statistics: tuple[float, ...] = ()
    reason: str = ""


ScoreRows = Callable[[Sequence[Example], MetricSettings], list[RowValue]]
"""Scores all rows of a variant at once, in order, so that a model behind the metric can batch them."""

Unscorable = Callable[[Sequence[Example], MetricSettings], Sequence[str | None]]
"""Why a metric cannot score each row, in order; None where it can."""

Aggregate = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Summed statistics of shape (..., k) to corpus values of shape (...)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: to add one, write a file that makes one of these and put it into ``METRICS``.

    Attributes:
        name: As the ecosystem spells it.
        title: For people.
        score: Scores rows.
        signature: Settings, implementation and version, in sacrebleu's manner.
        low: Smallest possible value; None: unbounded.
        high: Largest possible value; None: unbounded.
        higher_is_better: None for descriptive metrics, which explain but are never judged.
        margin: Differences within +-margin count as equivalent; None: never.
        unit: e.g. ``words``; empty for a score.
        decimals: Digits after the point that a table shows.
        aggregate: How statistics become the corpus value; None: the corpus value is the mean of the rows.
        unscorable: Which rows the metric is blind to, and why, as ``blindness.blind_to`` makes it: their values are
            None whatever ``score`` says, and a run whose primary metric cannot see the references does not begin.
            None: it sees every text.
        weights: Loads the model that it asks and gives a digest of it, which begins its signature; None: it asks none.
        of_text: Whether it looks at the answer's text, and so sees the answer without its thinking, and nothing where
            thinking never finished; else it sees all that was generated.
    """

    name: str
    title: str
    score: ScoreRows
    signature: Callable[[MetricSettings], str]
    low: float | None = 0.0
    high: float | None = 1.0
    higher_is_better: bool | None = True
    margin: float | None = None
    unit: str = ""
    decimals: int = 3
    aggregate: Aggregate | None = None
    unscorable: Unscorable | None = None
    weights: Callable[[MetricSettings], str] | None = None
    of_text: bool = True

    def info(self, settings: MetricSettings) -> MetricInfo:
        """What a comparison and a report must know of the metric under these settings."""
        kept = "thinking:kept|" if self._keeps(settings) else ""
        of = dict(settings.weights).get(self.name)
        weights = f"weights:{of}|" if of else ""
        return replace(self.unsigned, signature=kept + weights + self.signature(settings))

    @property
    def unsigned(self) -> MetricInfo:
        """What is known of it whoever calculated its values, with whatever package: no signature."""
        return MetricInfo(
            name=self.name,
            title=self.title,
            low=self.low,
            high=self.high,
            higher_is_better=self.higher_is_better,
            margin=self.margin,
            unit=self.unit,
            decimals=self.decimals,
            corpus=self.aggregate is not None,
        )

    def _keeps(self, settings: MetricSettings) -> bool:
        """Whether its values are other ones because thinking is kept; what parts it, as usual, is said by no word."""
        return settings.thinking.keep and self.of_text


def per_row(value: Callable[[Example], float | None]) -> ScoreRows:
    """A ``Metric.score`` out of a function that looks at one row and needs no settings."""

    def score(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
        return [RowValue(value(example)) for example in examples]

    return score


def sign(package: str, **settings: object) -> str:
    """A signature: the settings that shape a value, then the package that calculates it and its version.

    >>> sign("rouge-score", stemmer=False)
    'stemmer:no|implementation:rouge-score|version:0.1.2'
    """
    from importlib.metadata import version  # a quarter of this room's import time, were it at the top

    words = {True: "yes", False: "no"}
    pairs = [f"{key}:{words[x] if isinstance(x, bool) else x}" for key, x in settings.items()]
    return "|".join([*pairs, f"implementation:{package}", f"version:{version(package)}"])
