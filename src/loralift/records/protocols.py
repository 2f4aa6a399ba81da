"""How variants are asked, and what becomes of a verdict when they are asked another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from loralift.records.figures import MetricComparison

TRAINING = "training"
"""The protocol that asks as the adapters were trained."""

Whichever = Literal["better", "worse", "equivalent", "inconclusive", "depends"]
"""A verdict, or that two protocols establish different ones."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How all variants are asked, and where an answer ends.

    Attributes:
        name: What people call it: ``training``, ``chat``, ``few-shot``, or one of their own.
        prompt: ``plain`` (the plan's prompt), ``chat`` (the tokenizer's template), or a text that holds ``{question}``.
        system_prompt: The instructions; empty: none. A prompt of the user's own holds them itself.
        shots: How many worked examples stand before the question.
        thinking: Whether a model with a reasoning switch is told to think; only ``chat`` can tell it.
        stop: Strings at which an answer ends; they are cut off.
        max_new_tokens: Most tokens of an answer.
        temperature: 0 is greedy decoding.
        top_p: Nucleus of the sampling, in (0, 1].
    """

    name: str
    prompt: str
    system_prompt: str
    shots: int
    thinking: bool
    stop: tuple[str, ...]
    max_new_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """The primary metric under one protocol.

    Attributes:
        protocol: How all were asked.
        rows: One a candidate, taken from the protocol's own comparison: its family is the metrics and candidates under
            this protocol.
    """

    protocol: Protocol
    rows: tuple[MetricComparison, ...]


@dataclass(frozen=True, slots=True)
class WhicheverWay:
    """The claim that holds under every protocol, by an intersection-union test.

    Attributes:
        candidate: The candidate variant.
        verdict: The one of all protocols; ``depends`` where two establish different ones; else ``inconclusive``.
        p_value: The largest of the protocols' p values for that verdict (adjusted p, or of equivalence), which needs
            no correction for the number of protocols; None for ``depends`` and ``inconclusive``.
    """

    candidate: str
    verdict: Whichever
    p_value: float | None


@dataclass(frozen=True, slots=True)
class AgainstBest:
    """A candidate against the baseline under the baseline's best protocol, by two-fold cross-fitting.

    The questions are halved at random; what is best on one half is judged on the other, so choosing earns nothing.

    Attributes:
        candidate: The candidate variant.
        asked: ``as trained``: the candidate under the protocol of its training; ``at its best``: it chooses too.
        candidate_protocols: The candidate's protocol on each half of the questions, chosen on the other one; both are
            empty where there are too few questions to be halved.
        baseline_protocols: Likewise the baseline's.
        row: The comparison, on all questions; ``p_adjusted`` is after Holm over the candidates. Interval and tests
            take account of ``widening``.
        widening: Factor, at least 1, by which the rows' spread is widened since the two halves choose for each other.
    """

    candidate: str
    asked: Literal["as trained", "at its best"]
    candidate_protocols: tuple[str, str]
    baseline_protocols: tuple[str, str]
    row: MetricComparison
    widening: float


@dataclass(frozen=True, slots=True)
class Protocols:
    """One verdict asked in several ways.

    Attributes:
        results: One a protocol; the first decides, and its rows are the comparison's own.
        trained: Name of the protocol that asks as the adapters were trained: ``training`` if it is there, else the
            first.
        whichever: One a candidate.
        best: Two a candidate, ``as trained`` first; none for a corpus metric, which has no value of single rows.
        notes: What a reader must know, one sentence each.
    """

    results: tuple[ProtocolResult, ...]
    trained: str
    whichever: tuple[WhicheverWay, ...]
    best: tuple[AgainstBest, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The protocols' names, the one that decides first."""
        return tuple(result.protocol.name for result in self.results)

    def rows_of(self, candidate: str) -> Mapping[str, MetricComparison]:
        """Protocol to the candidate's row."""
        return {
            result.protocol.name: row for result in self.results for row in result.rows if row.candidate == candidate
        }


@dataclass(frozen=True, slots=True)
class CutComparison:
    """The primary comparison as it would be if every answer had ended earlier.

    A greedy answer that ends earlier is a prefix of the one that goes on, so nothing is generated again.

    Attributes:
        candidate: The candidate variant.
        kind: ``stop``: at a stop string; ``half``: after half of ``max_new_tokens``.
        stop: The stop string; empty for ``half``.
        max_new_tokens: Most tokens of an answer then.
        baseline_share: Share of the baseline's answers that it shortens, in [0, 1].
        candidate_share: Likewise of the candidate's.
        row: The comparison; same metrics, margins and family as the main one.
    """

    candidate: str
    kind: Literal["stop", "half"]
    stop: str
    max_new_tokens: int
    baseline_share: float
    candidate_share: float
    row: MetricComparison
