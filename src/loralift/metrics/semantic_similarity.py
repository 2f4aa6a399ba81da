"""Semantic similarity: the cosine between the sentence embeddings of answer and reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loralift.metrics import embeddings
from loralift.metrics.base import Metric, MetricSettings, RowValue, sign
from loralift.metrics.blindness import reasons
from loralift.metrics.neural import device_of
from loralift.metrics.references import best_of, pairs_of
from loralift.records import Example


def embedder_of(settings: MetricSettings) -> embeddings.Embedder:
    """The embedding model that the settings name."""
    return embeddings.load(settings.semantic_similarity_model, device_of(settings))


def score(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
    """Cosines in [-1, 1], of several references the largest; None where an embedding has no direction."""
    if not examples:
        return []
    embedder, pairs = embedder_of(settings), pairs_of(examples)
    texts = (pairs.references, pairs.answers)
    references, answers = (
        embedder.embed(side, settings.batch_size, again=again).astype(np.float64)
        for side, again in zip(texts, (True, False), strict=True)
    )
    lengths = np.linalg.norm(references, axis=1) * np.linalg.norm(answers, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = np.clip((references * answers).sum(axis=1) / lengths, -1.0, 1.0)
    return [RowValue(float(cosine) if np.isfinite(cosine) else None) for cosine in pairs.best(cosines)]


BLIND_REFERENCE, BLIND_ANSWER = reasons(
    "the embedding model", "its tokenizer knows fewer than half of the letters and digits"
)


def unscorable(examples: Sequence[Example], settings: MetricSettings) -> list[str | None]:
    """Rows of which the model's tokenizer cannot see a text: all that it does not know is one and the same to it.

    One reference of several is enough: how like it the answer is remains unknown.
    """
    if not examples:
        return []
    embedder, pairs = embedder_of(settings), pairs_of(examples)
    references = ~pairs.best([not seen for seen in embedder.sees(pairs.references)])
    answers = embedder.sees([example.answer.text for example in examples])
    return [
        None if reference and answer else BLIND_ANSWER if reference else BLIND_REFERENCE
        for reference, answer in zip(references, answers, strict=True)
    ]


def count_windowed(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
    """How many of a row's two texts are longer than the model's window and so embedded by windows: 0, 1 or 2.

    Several references count as one, the longest.
    """
    if not examples:
        return []
    embedder = embedder_of(settings)
    answers = embedder.windows([e.answer.text for e in examples])
    pairs = pairs_of(examples)
    references = pairs.best(embedder.windows(pairs.references)).tolist()
    return [RowValue(float((a > 1) + (r > 1))) for a, r in zip(answers, references, strict=True)]


def signature(settings: MetricSettings) -> str:
    """The embedding model by its full name, and what becomes of long texts."""
    return sign(
        "sentence-transformers",
        model=embeddings.full_name(settings.semantic_similarity_model),
        long="windows,token-weighted-mean",
        similarity="cosine",
        **best_of(settings),
    )


def weights(settings: MetricSettings) -> str:
    """A digest of the embedding model, which is loaded."""
    return embedder_of(settings).weights


SEMANTIC_SIMILARITY = Metric(
    name="semantic_similarity",
    title="Semantic similarity",
    score=score,
    signature=signature,
    low=-1.0,
    # About a hundredth of the way from an unrelated answer (0.12 on average over FiQA's references shuffled) to the
    # reference itself (1), and about the half-width of a difference's 90 % interval at FiQA's 648 rows, which spread
    # by 0.13: finer would rarely be decided.
    margin=0.01,
    unscorable=unscorable,
    weights=weights,
)

WINDOWED = Metric(
    name="windowed",
    title="Texts embedded by windows",
    score=count_windowed,
    signature=signature,
    high=2.0,
    higher_is_better=None,
    unit="texts",
    decimals=3,
    weights=weights,
)
