"""Is a candidate better than the baseline when that is asked in its best way?

What is best must be found on some questions, and whoever judges on the same ones rewards the choice: of four protocols
of equal worth the best-looking one looks better than they are. So the choice is cross-fitted (``crossfit``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.analysis import Case, analyse, empty_row
from loralift.comparison.crossfit import best, first_half, widening
from loralift.comparison.effects import few_differing
from loralift.comparison.pairing import Floats, Sample, by_id, pair, sample
from loralift.comparison.repeats import Clusters
from loralift.comparison.settings import Settings
from loralift.errors import ComparisonError, UsageError, some, wrong_argument
from loralift.records import BASE, LARGEST, AgainstBest, MetricComparison, MetricInfo, Score

FEWEST = 4
"""Questions below which nothing is chosen: from halves of one, there is no spread to judge a choice by."""

Asked = Literal["as trained", "at its best"]


@dataclass(frozen=True, slots=True, eq=False)
class _Crossed:
    """One claim on one candidate before it is judged."""

    asked: Asked
    candidate_protocols: tuple[str, str]
    baseline_protocols: tuple[str, str]
    case: Case


def against_best(
    scores: Mapping[str, Mapping[str, Sequence[Score]]],
    candidates: Sequence[str],
    info: MetricInfo,
    settings: Settings,
    *,
    trained: str,
    clusters: Clusters | None = None,
    baseline_name: str = BASE,
) -> tuple[AgainstBest, ...]:
    """Compare candidates with the baseline under the baseline's best protocol, by two-fold cross-fitting.

    The questions are halved at random, by the seed and their sorted ids. On each half the protocol with the best mean
    is chosen, the earlier of equal ones, and judged on the other half; then one paired analysis of all questions.

    Args:
        scores: Protocol to variant to rows, in any order.
        candidates: Variants to judge.
        info: The metric, as a rule the primary one; it must have a direction. A corpus metric has no value of single
            rows, so nothing is judged.
        settings: How to compare, as a rule the comparison's own; the family is the candidates of one claim.
        trained: The protocol that asks as the candidates were trained.
        clusters: Row id to question, where questions were answered several times.
        baseline_name: The baseline variant.

    Returns:
        Two a candidate, in their order: ``as trained``, ``at its best``; none for a corpus metric. A row that has no
        value under one of a claim's protocols is left out under all of them, and counted. With fewer than four
        questions left nothing is chosen: protocols are empty strings, the verdict is ``inconclusive``, the row says so.

    Raises:
        ComparisonError: A variant has no rows under a protocol, two sides share no id, or an id appears twice.
        UsageError: The metric has no direction, or ``trained`` is no protocol.
    """
    if info.higher_is_better is None:
        raise UsageError(wrong_argument("info", "a metric with a direction", info.name))
    if trained not in scores:
        raise UsageError(wrong_argument("trained", f"one of the protocols ({some(scores, 20)})", trained))
    if info.corpus:
        return ()
    its = {variant: _complete(scores, variant, info.name, scores) for variant in (baseline_name, *candidates)}
    alone = {variant: _complete(scores, variant, info.name, [trained]) for variant in candidates}
    claims: list[list[AgainstBest]] = []
    ways: tuple[tuple[Asked, Mapping[str, Mapping[str, Sequence[Score]]]], ...] = (
        ("as trained", alone),
        ("at its best", its),
    )
    for asked, sides in ways:
        crossed = [
            _crossed(asked, (baseline_name, its[baseline_name]), (variant, sides[variant]), info, settings, clusters)
            for variant in candidates
        ]
        claims.append(_judged(crossed, settings))
    return tuple(claim for pair_of_claims in zip(*claims, strict=True) for claim in pair_of_claims)


def _complete(
    scores: Mapping[str, Mapping[str, Sequence[Score]]], variant: str, metric: str, protocols: Iterable[str]
) -> dict[str, Sequence[Score]]:
    """One variant's rows by protocol, without a value wherever one protocol gives none: the same rows for all."""
    rows = {protocol: _rows(scores, protocol, variant) for protocol in protocols}
    if len(rows) == 1:
        return {protocol: list(only.values()) for protocol, only in rows.items()}
    ids = sorted(set().union(*rows.values()))
    lacking: dict[str, list[str]] = {}
    for protocol, found in rows.items():
        for name in ids:
            if why := _lacking(found.get(name), metric, protocol):
                lacking.setdefault(name, []).append(why)
    empty = {name: Score(name, {metric: None}, unscored={metric: "; ".join(why)}) for name, why in lacking.items()}
    return {protocol: [empty.get(name) or found[name] for name in ids] for protocol, found in rows.items()}


def _rows(scores: Mapping[str, Mapping[str, Sequence[Score]]], protocol: str, variant: str) -> Mapping[str, Score]:
    """A variant's rows under a protocol, by id."""
    if not scores[protocol].get(variant):
        raise ComparisonError(f"protocol {protocol} has no rows of {variant}: score every variant under every protocol")
    return by_id(scores[protocol][variant], f"{variant} under {protocol}")


def _lacking(score: Score | None, metric: str, protocol: str) -> str:
    """Why a row has no value under a protocol; empty where it has one."""
    if score is None:
        return f"no row under {protocol}"
    value = score.values.get(metric)
    if value is None or math.isnan(value):
        return f"{score.unscored.get(metric, 'unscored')} under {protocol}"
    return "" if abs(value) <= LARGEST else f"infinite under {protocol}"


def _crossed(
    asked: Asked,
    baseline: tuple[str, Mapping[str, Sequence[Score]]],
    candidate: tuple[str, Mapping[str, Sequence[Score]]],
    info: MetricInfo,
    settings: Settings,
    clusters: Clusters | None,
) -> _Crossed:
    """Choose on each half, and put together what the other half is judged by."""
    names, (its, mine) = (baseline[0], candidate[0]), (baseline[1], candidate[1])
    first_of_mine, first_of_its = next(iter(mine.values())), next(iter(its.values()))
    left = {protocol: _sample(rows, first_of_mine, names, info, clusters) for protocol, rows in its.items()}
    right = {protocol: _sample(first_of_its, rows, names, info, clusters) for protocol, rows in mine.items()}
    numbers = next(iter(left.values()))
    n, margin = len(numbers.ids), settings.margin(info)
    if n < FEWEST:
        return _Crossed(asked, ("", ""), ("", ""), Case(*names, info, numbers, margin))
    sign = 1.0 if info.higher_is_better else -1.0
    base = np.stack([found.baseline for found in left.values()])
    adapter = np.stack([found.candidate for found in right.values()])
    half = first_half(n, settings.seed)
    (base_judged, base_chosen), (adapter_judged, adapter_chosen) = (
        _chosen(base, half, sign),
        _chosen(adapter, half, sign),
    )
    judged = replace(
        numbers, baseline=base_judged, candidate=adapter_judged, widening=widening(sign * adapter, sign * base)
    )
    return _Crossed(asked, _named(adapter_chosen, mine), _named(base_chosen, its), Case(*names, info, judged, margin))


def _sample(
    baseline: Sequence[Score],
    candidate: Sequence[Score],
    names: tuple[str, str],
    info: MetricInfo,
    clusters: Clusters | None,
) -> Sample:
    return sample(pair(baseline, candidate, names=names), info, None, clusters)


def _chosen(values: Floats, half: NDArray[np.bool_], sign: float) -> tuple[Floats, tuple[int, int]]:
    """Each question's value under the protocol that the other half chose, shape (n,); the protocols of both halves."""
    in_first, in_second = best(sign * values[:, ~half]), best(sign * values[:, half])
    return np.where(half, values[in_first], values[in_second]), (in_first, in_second)


def _named(chosen: tuple[int, int], protocols: Iterable[str]) -> tuple[str, str]:
    names = tuple(protocols)
    return names[chosen[0]], names[chosen[1]]


def _judged(crossed: Sequence[_Crossed], settings: Settings) -> list[AgainstBest]:
    """One claim on all candidates, a family of its own; what was not chosen is not judged."""
    rows = iter(analyse([one.case for one in crossed if one.baseline_protocols[0]], settings))
    return [
        AgainstBest(
            one.case.candidate,
            one.asked,
            one.candidate_protocols,
            one.baseline_protocols,
            _described(next(rows), one.case.sample) if one.baseline_protocols[0] else _too_few(one.case),
            one.case.sample.widening,
        )
        for one in crossed
    ]


def _described(row: MetricComparison, numbers: Sample) -> MetricComparison:
    """What describes the rows is of the rows as they are; what judges them, of the widened ones."""
    if numbers.widening == 1:
        return row
    few = few_differing(row.wins + row.losses, row.n) if row.interval and row.interval.method != "no spread" else []
    return replace(
        row,
        deviation=None if row.deviation is None else row.deviation / numbers.widening,
        effect_size=None if row.effect_size is None else row.effect_size * numbers.widening,
        warnings=(*row.warnings, *few),
    )


def _too_few(case: Case) -> MetricComparison:
    row = empty_row(case)
    sentence = f"Fewer than {FEWEST} pairs are too few to choose a protocol on one half and judge it on the other."
    return replace(row, verdict="inconclusive", warnings=(*row.warnings, sentence))
