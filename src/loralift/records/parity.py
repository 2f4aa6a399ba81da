"""Whether a model gives the same in all the modes in which it is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from loralift.records.figures import MetricComparison, MetricInfo

ParityVerdict = Literal["identical", "equivalent", "within noise", "undecided", "MOVES"]


@dataclass(frozen=True, slots=True)
class ModeParity:
    """What one variant gave in one mode, against what it gave in the reference mode.

    Attributes:
        mode: Its name.
        variant: Who answered.
        n: Answers.
        identical: Those whose tokens are all the same, and end the same.
        earliest_divergence: First token, counted from 1, at which any answer differs; None where none does.
        median_divergence: Median of the first differing tokens of the answers that differ.
        log_likelihood_mean: Mean over the references of the absolute difference of their log-likelihoods, in nats a
            token; None where no reference fits the context window.
        log_likelihood_max: The largest of them.
        next_token_max: Largest absolute difference of the log-probability of the reference mode's most likely token
            after a prompt, in nats.
        metrics: Each judged metric: the mode minus the reference mode.
        moved: The metrics that it moves by more than noise.
        verdict: ``identical``: every token; ``equivalent``: every metric within its margin; ``within noise``: the
            others move by no more than the noise; ``MOVES``: some metric surely moves by more; else ``undecided``.
    """

    mode: str
    variant: str
    n: int
    identical: int
    earliest_divergence: int | None
    median_divergence: float | None
    log_likelihood_mean: float | None
    log_likelihood_max: float | None
    next_token_max: float
    metrics: tuple[MetricComparison, ...]
    moved: tuple[str, ...]
    verdict: ParityVerdict


@dataclass(frozen=True, slots=True)
class Parity:
    """One model, the same questions, all modes.

    Attributes:
        reference: The mode that all others are compared with.
        noise_mode: The mode whose differences are the noise: the reference's but for its batches.
        questions: Where they came from.
        max_new_tokens: Most tokens of an answer.
        numerics: Of the transformers modes: dtype, device, versions.
        variants: The base, then the adapters.
        metrics: The judged ones, by name.
        noise: Variant to metric to what the noise mode may move it by.
        modes: Every mode of every variant but the reference's own.
        merging_lost: Adapter to the share of its update that vLLM's merging rounds away: the norm of the rounding over
            the update's.
        notes: What a reader must know, one sentence each.
    """

    reference: str
    noise_mode: str
    questions: str
    max_new_tokens: int
    numerics: Mapping[str, str]
    variants: tuple[str, ...]
    metrics: Mapping[str, MetricInfo]
    noise: Mapping[str, Mapping[str, float]]
    modes: tuple[ModeParity, ...]
    merging_lost: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
