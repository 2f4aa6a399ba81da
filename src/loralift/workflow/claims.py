"""What becomes of a verdict when all are asked another way: the claims over all protocols of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loralift.comparison import Settings, against_best, whichever_way
from loralift.records import TRAINING, AgainstBest, Comparison, ProtocolResult, Protocols, Score
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.scoring import Scoring


@dataclass(frozen=True, slots=True)
class UnderProtocol:
    """What was found under one protocol.

    Attributes:
        dataset: The questions that decide, asked by it.
        scores: Variant to its scores.
        comparison: Of every adapter with the base.
        notes: What a reader must know of how they were asked, one sentence each.
    """

    dataset: DatasetRun
    scores: Mapping[str, Sequence[Score]]
    comparison: Comparison
    notes: Sequence[str] = ()


def claims_of(found: Sequence[UnderProtocol], scoring: Scoring, settings: Settings) -> Protocols | None:
    """The claims over all protocols.

    Args:
        found: One a protocol, the one that decides first.
        scoring: The metrics.
        settings: The main comparison's own.

    Returns:
        None where all were asked in one way.
    """
    if len(found) < 2:
        return None
    primary = scoring.metrics[settings.primary]
    results = tuple(
        ProtocolResult(
            one.dataset.protocol, tuple(row for row in one.comparison.rows if row.metric == settings.primary)
        )
        for one in found
    )
    names = [one.dataset.protocol.name for one in found]
    trained = TRAINING if TRAINING in names else names[0]
    # the first one's are the run's own notes
    notes = [f"{name}: {note}" for name, one in zip(names[1:], found[1:], strict=True) for note in one.notes]
    if primary.corpus:
        notes.append(
            f"{primary.title} has no value of single rows, so the base at its best is not judged by it: choose another "
            "metric with --primary."
        )
    best = against_best(
        {name: one.scores for name, one in zip(names, found, strict=True)},
        found[0].comparison.candidates,
        primary,
        settings,
        trained=trained,
        clusters=found[0].dataset.clusters,
    )
    return Protocols(results, trained, whichever_way(results), best, (*notes, *_unconfirmed(best, settings.alpha)))


def _unconfirmed(best: Sequence[AgainstBest], alpha: float) -> Iterator[str]:
    """Why a comparison with the base at its best decides nothing although its p is small, or it has none."""
    for claim in best:
        p = claim.row.p_adjusted
        if claim.row.verdict == "inconclusive" and (p is None or p < alpha) and claim.row.warnings:
            yield f"{claim.row.candidate}, {claim.asked}: {claim.row.warnings[-1]}"
