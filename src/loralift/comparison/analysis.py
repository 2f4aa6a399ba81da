"""All figures of a list of contrasts, then the verdicts of the family they form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from loralift.comparison.contrast import Contrast, contrast
from loralift.comparison.effects import cohens_dz, outcomes, shape_warnings
from loralift.comparison.equivalence import Equivalence, equivalence
from loralift.comparison.family import holm, weights
from loralift.comparison.intervals import Confidence, Tango, chosen, confidence, interval, needs_bootstrap
from loralift.comparison.pairing import Floats, Sample
from loralift.comparison.power import minimum_detectable_effect, rows_needed
from loralift.comparison.resampling import bootstrap, relabel
from loralift.comparison.settings import Settings
from loralift.comparison.significance import Significance, needs_relabelling, significance
from loralift.comparison.verdict import decide
from loralift.errors import some
from loralift.records import MetricComparison, MetricInfo


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One metric of one candidate against one baseline, to be analysed.

    Attributes:
        baseline: The baseline variant.
        candidate: The candidate variant.
        info: The metric.
        sample: Its values on the pairs.
        margin: Equivalence margin; None: never equivalent.
    """

    baseline: str
    candidate: str
    info: MetricInfo
    sample: Sample
    margin: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Figures:
    """A row without its verdict, and what the verdict needs beyond it."""

    row: MetricComparison
    test: Significance | None
    equivalence: Equivalence | None


MOST_BYTES = 1 << 26
"""Of samples that are analysed together: with what is made of them, three to five times as many are in memory."""

LARGE_MARGIN = 0.1
"""As a share of the metric's scale; a larger margin is more likely meant for another scale."""


def analyse(cases: Iterable[Case], settings: Settings) -> list[MetricComparison]:
    """Compute every figure and verdict of a family of comparisons.

    Args:
        cases: The family; descriptive metrics are analysed but stay outside it. Of many rows a few cases are taken at a
            time, so that those that are made as they are asked for need not all be in memory.
        settings: How to compare; most of alpha is the primary metric's.

    Returns:
        One row for each case, in the same order.
    """
    infos: list[MetricInfo] = []
    figures: list[_Figures] = []
    for group in _in_groups(cases):
        infos += [case.info for case in group]
        figures += _of_group(group, settings)
    return _judged(infos, figures, settings.alpha, settings.primary)


def _of_group(group: list[Case], settings: Settings) -> list[_Figures]:
    """The figures of some cases, whose statistics are let go."""
    contrasts = [contrast(case.sample) for case in group]
    # what a corpus statistic is made of is in its contrast
    group[:] = [replace(case, sample=_without_statistics(case.sample)) for case in group]
    replicates = _bootstrapped(contrasts, settings)
    relabelled = _relabelled(contrasts, settings)
    return [
        _figures(case, found, settings, replicates.get(i), relabelled.get(i))
        for i, (case, found) in enumerate(zip(group, contrasts, strict=True))
    ]


def _in_groups(cases: Iterable[Case]) -> Iterator[list[Case]]:
    """Cases whose samples take up to MOST_BYTES together, or one; no figure depends on what is in its group."""
    group: list[Case] = []
    size = 0
    for case in cases:
        group.append(case)
        size += _bytes(case.sample)
        del case  # its sample would be held while the group is worked on
        if size >= MOST_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _bytes(sample: Sample) -> int:
    columns = (sample.baseline, sample.candidate, sample.baseline_statistics, sample.candidate_statistics)
    return sum(column.nbytes for column in columns if column is not None)


def _without_statistics(sample: Sample) -> Sample:
    return replace(sample, baseline_statistics=None, candidate_statistics=None)


def _bootstrapped(contrasts: Sequence[Contrast | None], settings: Settings) -> dict[int, Floats]:
    """Sorted bootstrap differences of the contrasts that need them, by position."""
    needed = {
        i: found.estimate
        for i, found in enumerate(contrasts)
        if found is not None and not found.binary and needs_bootstrap(found.estimate, _method(found, settings))
    }
    found = bootstrap(list(needed.values()), settings.seed, settings.resamples)
    return dict(zip(needed, found, strict=True))


def _relabelled(contrasts: Sequence[Contrast | None], settings: Settings) -> dict[int, Floats]:
    """Relabelled differences of the contrasts that need them, by position."""
    needed = {i: c for i, c in enumerate(contrasts) if c is not None and needs_relabelling(c)}
    found = relabel(list(needed.values()), settings.seed, settings.resamples)
    return dict(zip(needed, found, strict=True))


def known_of(found: Contrast, settings: Settings) -> Confidence | None:
    """What is known of one true difference, by the very method of `analyse`; None for fewer than two pairs."""
    return _known(found, settings, _bootstrapped([found], settings).get(0))


def _method(found: Contrast, settings: Settings) -> str:
    return chosen(found.estimate, settings.method, corpus=found.corpus)


def _known(found: Contrast, settings: Settings, replicates: Floats | None) -> Confidence | None:
    """What is known of the true difference; 0/1 values have an interval of their own."""
    if found.binary and found.n >= 2:
        return Tango(*found.discordant, found.n)
    return confidence(found.estimate, _method(found, settings), replicates)


def _figures(
    case: Case, found: Contrast | None, settings: Settings, replicates: Floats | None, relabelled: Floats | None
) -> _Figures:
    """One case's row, as yet without adjusted p and verdict."""
    row = empty_row(case)
    if found is None:
        nothing = "No pair was scored." if not len(case.sample.ids) else "The corpus value is not finite."
        return _Figures(replace(row, warnings=(*row.warnings, nothing)), None, None)
    known = _known(found, settings, replicates)
    test = significance(found, relabelled)
    tost = None if known is None else equivalence(known, case.margin)
    counted = outcomes(case.sample, case.info.higher_is_better)
    row = replace(
        row,
        baseline_value=found.baseline_value,
        candidate_value=found.candidate_value,
        difference=found.difference,
        interval=None if known is None else interval(known, 0.95),
        equivalence_interval=None if tost is None else tost.interval,
        p_equivalence=None if tost is None else tost.p_value,
        p_value=None if test is None else test.p_value,
        test="" if test is None else test.test,
        effect_size=cohens_dz(found),
        probability_of_superiority=counted.superiority,
        wins=counted.wins,
        ties=counted.ties,
        losses=counted.losses,
        minimum_detectable_effect=minimum_detectable_effect(found.estimate.deviation, found.n, settings.alpha),
        deviation=found.estimate.deviation if found.n >= 2 else None,
        rows_needed=rows_needed(found.difference, found.estimate.deviation, settings.alpha),
        warnings=(*row.warnings, *shape_warnings(found, case.sample.ids)),
    )
    return _Figures(row, test, tost)


def empty_row(case: Case) -> MetricComparison:
    """A case's row without figures: names, counts, what was dropped."""
    dropped = {reason: len(ids) for reason, ids in case.sample.dropped.items()}
    rows = case.sample.answers + sum(dropped.values())
    sentences = []
    for reason, ids in case.sample.dropped.items():
        explained = any(reason.endswith(f"({why})") for why in case.sample.unscored)
        start = f"{len(ids)} of {rows} rows are dropped as" if explained else "Dropped as"
        sentences.append(f"{start} {reason}: {some(ids)}.")
    if case.info.corpus and case.sample.aggregate is None and len(case.sample.ids):
        sentences.append(
            "Not both sides have statistics to aggregate over the corpus, so this is the mean of the rows."
        )
    sentences += _large_margin(case)
    return MetricComparison(
        metric=case.info.name,
        baseline=case.baseline,
        candidate=case.candidate,
        n=len(case.sample.ids),
        answers=case.sample.answers,
        dropped=sum(dropped.values()),
        dropped_reasons=dropped,
        unscored=case.sample.unscored,
        baseline_value=None,
        candidate_value=None,
        difference=None,
        margin=case.margin,
        warnings=tuple(sentences),
    )


def _large_margin(case: Case) -> list[str]:
    """One sentence on a margin that is much of the metric's scale."""
    low, high = case.info.low, case.info.high
    if case.margin is None or low is None or high is None or case.margin <= LARGE_MARGIN * (high - low):
        return []
    return [f"The margin, {case.margin:g}, is {case.margin / (high - low):.0%} of the scale of {low:g} to {high:g}."]


def _judged(
    infos: Sequence[MetricInfo], figures: Sequence[_Figures], alpha: float, primary: str
) -> list[MetricComparison]:
    """The rows with adjusted p and verdict, where their metric is judged."""
    family = {
        i: found.test.p_value
        for i, (info, found) in enumerate(zip(infos, figures, strict=True))
        if info.higher_is_better is not None and found.test is not None
    }
    shares = weights([infos[i].name for i in family], primary)
    adjusted: Mapping[int, float] = dict(zip(family, holm(list(family.values()), shares), strict=True))
    rows = []
    for i, (info, found) in enumerate(zip(infos, figures, strict=True)):
        direction, row = info.higher_is_better, replace(found.row, p_adjusted=adjusted.get(i))
        if direction is not None:
            verdict, sentences = decide(
                row,
                alpha,
                direction,
                equivalent=found.equivalence is not None and found.equivalence.holds,
                at_floor=found.test is not None and found.test.at_floor,
            )
            row = replace(row, verdict=verdict, warnings=(*row.warnings, *sentences))
        rows.append(row)
    return rows
