"""Is a candidate better than the baseline when that is asked in its best way?

What is best must be found on some questions, and whoever judges on the same ones rewards the choice: of four protocols
of equal worth the best-looking one looks better than they are. So the choice is cross-fitted (``crossfit``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from loralift.comparison.analysis import Case, analyse, empty_row
from loralift.comparison.confirming import confirmed
from loralift.comparison.crossed import FEWEST, Asked, Crossed, cross
from loralift.comparison.effects import few_differing
from loralift.comparison.pairing import by_id
from loralift.comparison.repeats import Clusters
from loralift.comparison.settings import Settings
from loralift.errors import ComparisonError, UsageError, some, wrong_argument
from loralift.records import BASE, LARGEST, AgainstBest, MetricComparison, MetricInfo, Score


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
    is chosen, the earlier of equal ones, and judged on the other half; then one paired analysis of all questions. A
    verdict stands only if it would whichever protocol is the best one (``confirming``).

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
    its = {variant: complete(scores, variant, info.name, scores) for variant in (baseline_name, *candidates)}
    alone = {variant: complete(scores, variant, info.name, [trained]) for variant in candidates}
    claims: list[list[AgainstBest]] = []
    ways: tuple[tuple[Asked, Mapping[str, Mapping[str, Sequence[Score]]]], ...] = (
        ("as trained", alone),
        ("at its best", its),
    )
    for asked, sides in ways:
        crossed = [
            cross(asked, (baseline_name, its[baseline_name]), (variant, sides[variant]), info, settings, clusters)
            for variant in candidates
        ]
        claims.append(_judged(crossed, settings))
    return tuple(claim for pair_of_claims in zip(*claims, strict=True) for claim in pair_of_claims)


def complete(
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


def _judged(crossed: Sequence[Crossed], settings: Settings) -> list[AgainstBest]:
    """One claim on all candidates, a family of its own."""
    halved = [(one, *one.sides) for one in crossed if one.sides is not None]
    cases = [one.case(adapter, base) for one, adapter, base in halved]
    rows = [described(*found) for found in zip(analyse(cases, settings), cases, strict=True)]
    if any(row.verdict != "inconclusive" for row in rows):
        rows = confirmed(rows, [one for one, _, _ in halved], settings)
    found = iter(zip(rows, cases, strict=True))
    return [_claim(one, *next(found)) if one.sides is not None else _too_few(one) for one in crossed]


def described(row: MetricComparison, case: Case) -> MetricComparison:
    """What describes the rows is of the rows as they are; what judges them, of the widened ones."""
    factor = case.sample.widening
    if factor == 1:
        return row
    few = few_differing(row.wins + row.losses, row.n) if row.interval and row.interval.method != "no spread" else []
    return replace(
        row,
        deviation=None if row.deviation is None else row.deviation / factor,
        effect_size=None if row.effect_size is None else row.effect_size * factor,
        warnings=(*row.warnings, *few),
    )


def _claim(one: Crossed, row: MetricComparison, case: Case) -> AgainstBest:
    assert one.sides is not None
    adapter, base = one.sides
    return AgainstBest(row.candidate, one.asked, adapter.names, base.names, row, case.sample.widening)


def _too_few(one: Crossed) -> AgainstBest:
    row = empty_row(one.plain)
    sentence = f"Fewer than {FEWEST} pairs are too few to choose a protocol on one half and judge it on the other."
    row = replace(row, verdict="inconclusive", warnings=(*row.warnings, sentence))
    return AgainstBest(row.candidate, one.asked, ("", ""), ("", ""), row, 1.0)
