"""BERTScore F1 (Zhang et al. 2020): models, layers and formulas of the package ``bert_score``, without truncation.

The package cuts a text at the model's window (512 tokens for roberta-large) and, with transformers 5, fails on an
empty one. Here a longer text's tokens are embedded window by window and then matched as one text; an empty answer
scores 0, as the package means it to. Everything else agrees with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from loralift.errors import ModelError, UsageError, wrong_argument
from loralift.metrics.base import Metric, MetricSettings, RowValue, sign
from loralift.metrics.bert_score_layers import LAYERS
from loralift.metrics.blindness import reasons
from loralift.metrics.neural import OWN_CODE, Window, batches, cut, device_of, quiet
from loralift.metrics.references import best_of, pairs_of
from loralift.metrics.unknown_tokens import unseen
from loralift.metrics.weights import digest_of
from loralift.reading import reason_of
from loralift.records import Example

ENGLISH = "roberta-large"
ROWS_AT_A_TIME = 64
"""Rows whose token embeddings are in memory together: 150 MB of roberta-large's."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A model cut off at the layer to compare, its tokenizer, how many tokens it takes at a time, and its digest."""

    model: Any
    tokenizer: Any
    window: int
    weights: str


def model_name(settings: MetricSettings) -> str:
    """The model that the settings name, else bert_score's for English."""
    return settings.bert_score_model or ENGLISH


def layers_of(settings: MetricSettings) -> int:
    """The layer that the settings name, else the one that bert_score has tuned for the model.

    Raises:
        UsageError: If bert_score has not tuned the model and the settings name no layer.
    """
    if settings.bert_score_layers is not None:
        return settings.bert_score_layers
    layers = LAYERS.get(model_name(settings))
    if layers is None:
        allowed = f"given for {model_name(settings)!r}, for which bert_score has tuned none"
        raise UsageError(wrong_argument("bert_score_layers", allowed, None))
    return layers


@lru_cache(maxsize=2)
def load(model: str, layers: int, device: str) -> Encoder:
    """The encoder on the device, loaded once.

    Raises:
        ModelError: If neither the hub nor a local path brings the model.
        UsageError: If it has not so many layers.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(model, use_fast=False)
            config = AutoConfig.from_pretrained(model)
            found = _cut_off(config, layers)
            encoder = AutoModel.from_pretrained(model, config=config).eval() if layers <= found else None
        except Exception as error:
            why = OWN_CODE if "trust_remote_code" in str(error) else reason_of(error).rstrip(".")
            raise ModelError(
                f"the model {model!r} cannot be loaded ({why}): give a local path or a hub name as `bert_score_model`"
            ) from error
    if encoder is None:
        raise UsageError(wrong_argument("bert_score_layers", f"at most {found} for {model!r}", layers))
    if hasattr(encoder, "decoder") and hasattr(encoder, "encoder"):
        encoder = encoder.encoder
    # Where the tokenizer names no limit, the positions do; roberta's first two are never used.
    positions = getattr(encoder.config, "max_position_embeddings", 514) - 2
    window = tokenizer.model_max_length if tokenizer.model_max_length < 10**6 else positions
    return Encoder(encoder.to(device), tokenizer, window, digest_of(encoder, tokenizer, [window]))


def encoder_of(settings: MetricSettings) -> Encoder:
    """The encoder that the settings name."""
    return load(model_name(settings), layers_of(settings), device_of(settings))


def _cut_off(config: Any, layers: int) -> int:
    """Let a configuration describe its model's first layers alone; the number of all that it has."""
    name = "num_encoder_layers" if hasattr(config, "num_encoder_layers") else "num_hidden_layers"
    found = int(getattr(config, name))
    windows = getattr(config, "attention_window", None)
    if isinstance(windows, list):  # of longformer: one a layer
        config.attention_window = windows[:layers]
    setattr(config, name, layers)
    return found


def embed(encoder: Encoder, texts: Sequence[str], batch_size: int) -> dict[str, tuple[Any, Any]]:
    """Each text's token embeddings at length one, of shape (tokens, dimensions), and weights of shape (tokens,).

    A windowed text keeps the special tokens at its very ends only. Their weight is 0, every other token's 1.
    """
    import torch

    distinct = list(dict.fromkeys(texts))
    windows = cut(encoder.tokenizer, [text.strip() for text in distinct], encoder.window)
    flat = [window for text in windows for window in text]
    vectors: dict[int, Any] = {}
    with torch.inference_mode():
        for batch in batches(flat, batch_size):
            inputs = encoder.tokenizer.pad([flat[i].inputs for i in batch], return_tensors="pt")
            ids, mask = (inputs[name].to(encoder.model.device) for name in ("input_ids", "attention_mask"))
            output = torch.nn.functional.normalize(encoder.model(ids, attention_mask=mask)[0].float(), dim=-1)
            for i, vector, real in zip(batch, output, mask, strict=True):
                vectors[i] = vector[real.bool()]
    result, start = {}, 0
    for text, cuts in zip(distinct, windows, strict=True):
        kept, weights = kept_positions(cuts, encoder.tokenizer)
        joined = torch.cat([vectors[start + i] for i in range(len(cuts))])
        result[text] = (joined[kept], torch.tensor(weights, device=joined.device))
        start += len(cuts)
    return result


def kept_positions(windows: list[Window], tokenizer: Any) -> tuple[list[int], list[float]]:
    """Positions, in a text's joined windows, of its tokens and the special ones at its ends; their weights."""
    special = [mark for window in windows for mark in window.special]
    ids = [token for window in windows for token in window.inputs["input_ids"]]
    kept = [i for i, mark in enumerate(special) if not mark or i in (0, len(ids) - 1)]
    # by id, as bert_score does, which so passes over a "[SEP]" that a text spells out
    weightless = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    return kept, [float(ids[i] not in weightless) for i in kept]


def f1(answer: tuple[Any, Any], reference: tuple[Any, Any]) -> float:
    """BERTScore F1 of two texts: each token is matched with the most similar one of the other text."""
    (answer_vectors, answer_weights), (reference_vectors, reference_weights) = answer, reference
    if not answer_weights.any() or not reference_weights.any():
        return 0.0
    similarity = answer_vectors @ reference_vectors.T
    precision = similarity.amax(dim=1) @ answer_weights / answer_weights.sum()
    recall = similarity.amax(dim=0) @ reference_weights / reference_weights.sum()
    return float(2 * precision * recall / (precision + recall))


def score(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
    """BERTScore F1 of each row, not rescaled; of several references the largest."""
    if not examples:
        return []
    encoder = encoder_of(settings)
    rows: list[RowValue] = []
    for start in range(0, len(examples), ROWS_AT_A_TIME):
        pairs = pairs_of(examples[start : start + ROWS_AT_A_TIME])
        texts = list(zip(pairs.answers, pairs.references, strict=True))
        embedded = embed(encoder, [text for pair in texts for text in pair], settings.batch_size)
        values = [f1(embedded[answer], embedded[reference]) for answer, reference in texts]
        rows += [RowValue(float(value)) for value in pairs.best(values)]
    return rows


BLIND_REFERENCE, BLIND_ANSWER = reasons(
    "BERTScore's model", "its tokenizer knows fewer than half of the letters and digits"
)


def unscorable(examples: Sequence[Example], settings: MetricSettings) -> list[str | None]:
    """Rows of which the model's tokenizer cannot see a text; roberta-large's is one of bytes, and sees all."""
    if not examples:
        return []
    tokenizer = encoder_of(settings).tokenizer
    texts = [(*example.question.references, example.answer.text) for example in examples]
    distinct = list(dict.fromkeys(text for row in texts for text in row))
    blind = dict(zip(distinct, unseen(tokenizer, distinct), strict=True))
    return [
        BLIND_REFERENCE if any(blind[text] for text in right) else BLIND_ANSWER if blind[answer] else None
        for *right, answer in texts
    ]


def signature(settings: MetricSettings) -> str:
    """What bert_score's own hash says (model, layer, no idf), and what becomes of long texts."""
    return sign(
        "loralift",
        model=model_name(settings),
        layer=layers_of(settings),
        idf=False,
        rescaled=False,
        long="windows",
        **best_of(settings),
    )


def weights(settings: MetricSettings) -> str:
    """A digest of the encoder, which is loaded."""
    return encoder_of(settings).weights


BERT_SCORE = Metric(
    name="bert_score",
    title="BERTScore F1",
    score=score,
    signature=signature,
    low=-1.0,
    # Unrelated English texts already score 0.83 with roberta-large (bert_score's own rescaling baseline): a hundredth
    # of what is left above that.
    margin=0.002,
    unscorable=unscorable,
    weights=weights,
)
