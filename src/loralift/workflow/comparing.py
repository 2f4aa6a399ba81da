"""The third stage: compare scores, and write comparison.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from loralift.comparison import Settings, compare, holm, rank, weights, with_margins
from loralift.errors import ComparisonError
from loralift.metrics import METRICS, MOST_UNSEEN, Aggregate
from loralift.records import (
    Comparison,
    Confounds,
    Finding,
    Judging,
    MetricComparison,
    MetricInfo,
    Protocols,
    Score,
    Scores,
    SdkPairedTest,
    Sweep,
)
from loralift.reporting.formatting import percent
from loralift.workflow import files
from loralift.workflow.codec import decode, plain
from loralift.workflow.damage import consistent, within
from loralift.workflow.run_directory import RunDirectory

DEFAULT_PRIMARY = "semantic_similarity"

MOST_RANKED = 30
"""Candidates up to which each is compared with each: the pairs of a hundred would take minutes, and megabytes."""

SEEING = ("chrf", "exact_match")
"""Metrics that can score texts in every script."""


def primary_of(judged: Sequence[str], *preferred: str | None) -> str:
    """The metric that decides where none was asked for.

    Args:
        judged: The judged metrics that there are, one at least.
        preferred: Names to take before semantic_similarity and the first one, where they are judged.
    """
    return next(name for name in (*preferred, DEFAULT_PRIMARY, *judged) if name in judged and name is not None)


def compare_scores(
    baseline: tuple[str, Sequence[Score]],
    candidates: Mapping[str, Sequence[Score]],
    metrics: Mapping[str, MetricInfo],
    settings: Settings,
    *,
    clusters: Callable[[str], str] | None = None,
) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """Compare every candidate with the baseline, by our tests and by the SDK's.

    Args:
        baseline: Its name and its scores.
        candidates: Candidate to its scores.
        metrics: What to compare.
        settings: How to compare.
        clusters: Row id to question, where questions were answered several times.

    Raises:
        ComparisonError: Nothing can be paired.
    """
    from loralift.nemo.paired_tests import sdk_paired_tests

    name, scores = baseline[0], Scores.of(baseline[1])
    candidates = {candidate: Scores.of(rows) for candidate, rows in candidates.items()}
    aggregates = corpus_aggregates(metrics)
    settings = with_margins(settings, scores, metrics, aggregates)
    comparison = compare(name, scores, candidates, metrics, settings, aggregates=aggregates, clusters=clusters)
    if 1 < len(candidates) <= MOST_RANKED:
        decides = metrics[settings.primary]
        aggregate = aggregates.get(decides.name)
        ranking = rank({name: scores, **candidates}, decides, settings, aggregate=aggregate, clusters=clusters)
        comparison = replace(comparison, ranking=ranking)
    return comparison, sdk_paired_tests(scores, candidates, metrics, clusters)


def refuse_unscored(comparison: Comparison) -> None:
    """Refuse a verdict where the primary metric cannot score most of the rows.

    Raises:
        ComparisonError: It is so for a candidate; the message gives the share, the reason, and the metrics that can.
    """
    for row in comparison.rows:
        rows, unscored = row.answers + row.dropped, sum(row.unscored.values())
        if row.metric != comparison.primary or unscored <= MOST_UNSEEN * rows:
            continue
        can_see = [
            other.metric
            for other in comparison.rows
            if other.candidate == row.candidate and other.verdict and other.answers >= (1 - MOST_UNSEEN) * rows
        ]
        raise ComparisonError(
            f"{row.metric} cannot score {unscored} of {rows} rows of {row.candidate} and {row.baseline} "
            f"({'; '.join(row.unscored)}): {remedy(can_see)}"
        )


def primary_rows(comparison: Comparison) -> list[MetricComparison]:
    """The rows that decide, one a candidate."""
    return [row for row in comparison.rows if row.metric == comparison.primary]


def paired(row: MetricComparison) -> str:
    """How many of the rows of either side are compared, in words, and why the others are not."""
    rows = row.answers + row.dropped
    said = f"{row.answers} of {rows} rows ({percent(row.answers / rows)}) have a value of {row.metric} on both sides"
    why = "; ".join(f"{count} {reason}" for reason, count in row.dropped_reasons.items())
    return f"{said}: {why}" if why else said


def refuse_unpaired(comparison: Comparison, least: float) -> None:
    """Refuse a verdict on too few of the rows.

    Args:
        comparison: It is judged by its primary metric.
        least: Share of all rows that either side has which must be scored on both, 0 to 1; at 0 one row must.

    Raises:
        ComparisonError: There are fewer for a candidate, or none.
    """
    for row in primary_rows(comparison):
        if row.difference is None:
            why = ", ".join(f"{count} rows {reason}" for reason, count in row.dropped_reasons.items())
            raise ComparisonError(
                f"nothing could be compared: no row has a value of {row.metric} on both sides{why and f' ({why})'}"
            )
        if row.answers < least * (row.answers + row.dropped):
            raise ComparisonError(
                f"{row.candidate} is not judged, since only {paired(row)}; at least {percent(least)} must: give both "
                "sides the same rows, or allow fewer with --min-paired SHARE"
            )


def refuse_undecidable(comparison: Comparison) -> None:
    """Refuse a gate that nothing could fail: of so few pairs, all of them worse, no test would find a difference.

    Raises:
        ComparisonError: It is so for a candidate.
    """
    tested = [row for row in comparison.rows if row.p_adjusted is not None]
    # two-sided p where all pairs differ in one direction; adjusted, which is least where it is so for all
    floors = [0.5 ** (row.n - 1) for row in tested]
    adjusted = holm(floors, weights([row.metric for row in tested], comparison.primary))
    leasts = {(row.candidate, row.metric): least for row, least in zip(tested, adjusted, strict=True)}
    among = f" among {len(tested)} comparisons" if len(tested) > 1 else ""
    for row in primary_rows(comparison):
        least = leasts.get((row.candidate, row.metric), 0.5 ** (row.n - 1))
        if row.verdict == "inconclusive" and least >= comparison.alpha:
            raise ComparisonError(
                f"{row.candidate} is not judged: {row.n} pairs are too few for any difference to be found{among} (p is "
                f"at least {least:.2g}); give both sides more rows"
            )


def remedy(can_see: Sequence[str], *, primary: str = "") -> str:
    """What to do where the primary metric is blind to the data.

    Args:
        can_see: The judged metrics that were asked for and are not; empty: SEEING is named.
        primary: The metric, where its model can be chosen.
    """
    named = " or ".join(f"--primary {name}" for name in can_see)
    first = f"decide by {named}" if can_see else f"ask for --metrics {','.join(SEEING)}"
    return first + (", or give a multilingual --semantic-similarity-model" if primary == DEFAULT_PRIMARY else "")


def corpus_aggregates(metrics: Iterable[str]) -> dict[str, Aggregate]:
    """For the corpus metrics among these, the function from summed statistics to the value."""
    known = {name: METRICS[name].aggregate for name in metrics if name in METRICS}
    return {name: aggregate for name, aggregate in known.items() if aggregate is not None}


def write_comparison(
    directory: RunDirectory,
    comparison: Comparison,
    tests: Sequence[SdkPairedTest],
    confounds: Confounds | None = None,
    findings: Sequence[Finding] = (),
    protocols: Protocols | None = None,
    sweep: Sweep | None = None,
    *,
    further: Mapping[str, object] | None = None,
) -> None:
    """Write comparison.json, and what `further` has to say."""
    document = comparison_document(comparison, tests)
    files.write_json(
        directory.comparison,
        {
            **document,
            "confounds": plain(confounds or Confounds()),
            "protocols": plain(protocols),
            "sweep": plain(sweep),
            "findings": plain(findings),
            **(further or {}),
        },
    )


def comparison_document(comparison: Comparison, tests: Sequence[SdkPairedTest]) -> dict[str, object]:
    """The comparison as comparison.json holds it."""
    return {**plain(comparison), "nemo_evaluator": plain(tests)}


@dataclass(frozen=True, slots=True)
class Compared:
    """What comparison.json holds."""

    comparison: Comparison
    tests: tuple[SdkPairedTest, ...]
    confounds: Confounds
    findings: tuple[Finding, ...]
    protocols: Protocols | None = None
    judging: Judging | None = None
    sweep: Sweep | None = None


def read_comparison(directory: RunDirectory) -> Compared:
    """Read comparison.json.

    Raises:
        RunDirectoryError: It is damaged.
    """
    place = directory.comparison
    document = files.read_json(place)
    with within(place):
        tests, found = (document.pop(key, []) for key in ("nemo_evaluator", "findings"))
        confounds, protocols = document.pop("confounds", {}), document.pop("protocols", None)
        judging, sweep = document.pop("judging", None), document.pop("sweep", None)
        return Compared(
            consistent(decode(Comparison, document), place),
            tuple(decode(SdkPairedTest, test) for test in tests),
            decode(Confounds, confounds),
            tuple(decode(Finding, finding) for finding in found),
            None if protocols is None else decode(Protocols, protocols),
            None if judging is None else decode(Judging, judging),
            None if sweep is None else decode(Sweep, sweep),
        )
