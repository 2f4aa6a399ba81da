"""The tables of a report, as rows of text that the terminal and Markdown show alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loralift.errors import some
from loralift.records import Comparison, MetricComparison, MetricInfo, MetricSummary, Report
from loralift.reporting import formatting
from loralift.reporting.doubts import Doubt, strongest
from loralift.visible import clipped

PRIMARY_MARK = "★"

MOST_IN_HEADLINE = 300
"""Characters of each name in the sentence of a verdict."""

MOST_IN_BRIEF = 60
"""Likewise where several sentences share a line."""

IS = {
    "better": "is BETTER than",
    "worse": "is WORSE than",
    "equivalent": "is EQUIVALENT to",
    "inconclusive": "is UNDECIDED against",
    "depends": "DEPENDS ON HOW IT IS ASKED against",
}
"""What is said of a candidate and its baseline."""

IN_DOUBT = "in doubt"
"""What stands behind a verdict that something speaks against."""

MOST_NAMED = 12
"""Variants whose number of rows or answers is said."""

OF_THINKING = ("thinking_tokens", "unfinished")
"""Descriptive metrics that are shown where any answer thinks."""

NOT_SCORED = "not scored"
"""In place of a verdict where the metric can score no row."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        title: What it shows.
        columns: The column headings.
        rows: Each with one cell for each column.
        caption: How to read it.
        expendable: Headings of columns that a narrow terminal leaves out, the first one first.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    expendable: tuple[str, ...] = ()


def comparison_table(comparison: Comparison, candidate: str, doubts: Sequence[Doubt]) -> Table:
    """The judged metrics of one candidate against the baseline.

    Args:
        comparison: Of all candidates.
        candidate: The one.
        doubts: What speaks against the verdicts, as `loralift.reporting.doubts` finds it; the verdict that decides is
            said to be in doubt.
    """
    rows, doubt = [], strongest(doubts).get(candidate)
    for row in comparison.rows:
        info = comparison.metrics[row.metric]
        if row.candidate == candidate and row.verdict is not None:
            decides = row.metric == comparison.primary
            mark = f" {PRIMARY_MARK}" if decides else ""
            verdict = NOT_SCORED if row.unscored and row.difference is None else verdict_words(comparison, row)
            rows.append(
                (
                    f"{info.title} {'↑' if info.higher_is_better else '↓'}{mark}",
                    formatting.value(row.baseline_value, info),
                    formatting.value(row.candidate_value, info),
                    formatting.difference(row.difference, info),
                    formatting.interval(row.interval, info),
                    formatting.p_value(row.p_value),
                    formatting.p_value(row.p_adjusted),
                    formatting.effect(row.effect_size),
                    f"{row.wins}/{row.ties}/{row.losses}",
                    formatting.NOT_THERE if row.margin is None else f"±{formatting.value(row.margin, info)}",
                    f"{verdict}, {IN_DOUBT}" if decides and doubt else verdict,
                )
            )
    confidence, adjusted = level_of(comparison), "p (Holm)" if comparison.stopping is None else "p (adjusted)"
    heads = (
        *("metric", comparison.baseline, candidate, "difference", confidence),
        *("p", adjusted, "d", "win/tie/loss", "margin", "verdict"),
    )
    caption = (
        f"{PRIMARY_MARK} decides · ↑ higher is better, ↓ lower is better · p two-sided · d as signed as the difference"
    )
    expendable = ("margin", "win/tie/loss", "d", "p", adjusted, comparison.baseline, candidate, confidence)
    return Table(f"{candidate} against {comparison.baseline}", heads, tuple(rows), caption, expendable)


def verdict_words(comparison: Comparison, row: MetricComparison) -> str:
    """The verdict of a judged row; a significant difference inside the margin is called what it is."""
    change = small_change(comparison, row)
    return f"{row.verdict}, {change}" if change else str(row.verdict)


def small_change(comparison: Comparison, row: MetricComparison) -> str:
    """``a small rise`` or ``a small fall`` of a metric that is equivalent and yet surely moved; else empty."""
    significant = row.p_adjusted is not None and row.p_adjusted < comparison.alpha
    if row.verdict != "equivalent" or not significant or not row.difference:
        return ""
    return "a small rise" if row.difference > 0 else "a small fall"


def described_table(comparison: Comparison, candidate: str) -> Table:
    """The metrics of one candidate that describe and are not judged, against the baseline."""
    rows = []
    for row in comparison.rows:
        info = comparison.metrics[row.metric]
        silent = row.metric in OF_THINKING and not (row.baseline_value or row.candidate_value)
        if row.candidate == candidate and row.verdict is None and row.difference is not None and not silent:
            values = (formatting.value(value, info) for value in (row.baseline_value, row.candidate_value))
            difference = formatting.difference(row.difference, info), formatting.interval(row.interval, info)
            rows.append((info.title, *values, *difference, formatting.p_value(row.p_value)))
    confidence = level_of(comparison)
    heads = ("metric", comparison.baseline, candidate, "difference", confidence, "p")
    return Table("Described, not judged", heads, tuple(rows), "p two-sided, not adjusted", ("p", confidence))


def shared_warnings(comparison: Comparison, candidate: str) -> dict[str, tuple[str, ...]]:
    """Warnings about the judged metrics that do not decide: each sentence once, with the metrics' titles.

    What the primary metric's row says already is left out, and so is what `blind_spots` says: that nothing of a metric
    was scored, or what it could not score.
    """
    said = primary_row(comparison, candidate).warnings
    titles: dict[str, list[str]] = {}
    for row in comparison.rows:
        if row.candidate == candidate and row.verdict is not None and not (row.unscored and row.difference is None):
            for warning in row.warnings:
                if warning not in said and not any(f"({reason})" in warning for reason in row.unscored):
                    titles.setdefault(warning, []).append(comparison.metrics[row.metric].title)
    return {warning: tuple(of) for warning, of in titles.items()}


def summary_table(report: Report) -> Table:
    """Mean, median and spread of each judged metric of each variant."""
    heads = ["metric", *(f"{variant}{part}" for variant in report.variants for part in ("", ": median ± std"))]
    rows = tuple(
        (info.title, *(cell for variant in report.variants for cell in _summary_cells(report, variant, info)))
        for info in report.metrics.values()
        if info.higher_is_better is not None
    )
    unscored = (
        f"{variant}: {count} rows without {report.metrics[name].title}: {reason}"
        for variant in report.variants
        for name, summary in report.summaries[variant].items()
        for reason, count in summary.reasons.items()
    )
    caption = "; ".join((*_own_rows(report), *unscored))
    return Table("Every variant", tuple(heads), rows, caption, tuple(heads[:1:-2]))


def description_table(report: Report) -> Table:
    """The mean of each metric that describes and is never judged, of each variant."""
    rows = tuple(
        (
            info.title + (f" ({info.unit})" if info.unit and info.unit.lower() != info.title.lower() else ""),
            *(_summary_cells(report, variant, info)[0] for variant in report.variants),
        )
        for info in report.metrics.values()
        if info.higher_is_better is None and not (info.name in OF_THINKING and _all_zero(report, info.name))
    )
    caption = "; ".join(("means", "of what can only be so or not, shares", *_own_rows(report)))
    return Table("How the answers look", ("metric", *report.variants), rows, caption)


def _own_rows(report: Report) -> Iterator[str]:
    """How many rows the figures of each variant are over, where what was compared does not all have the same."""
    if report.inputs and report.comparison is not None:
        of = {name: report.summaries[name][report.comparison.primary] for name in report.variants}
        counts = {name: summary.n + summary.unscored for name, summary in of.items()}
        if len(set(counts.values())) > 1:
            said = (f"{name} {count:,}" for name, count in counts.items())
            yield f"each over all of its own: {some(said, MOST_NAMED)}"


def _all_zero(report: Report, metric: str) -> bool:
    """Whether no variant has any of what a metric counts."""
    return not any(summaries[metric].value for summaries in report.summaries.values() if metric in summaries)


def ranking_table(comparison: Comparison) -> Table:
    """Every variant on the primary metric, each tested against each."""
    ranking = comparison.ranking
    info = comparison.metrics[comparison.primary]
    rows = tuple(
        (
            str(place.rank),
            place.variant,
            formatting.value(place.value, info),
            ", ".join(place.better_than) or formatting.NOT_THERE,
        )
        for place in (ranking.places if ranking else ())
    )
    caption = "rank: 1 + the number of variants that are better, Holm over all pairs; one rank does not mean equivalent"
    if any(row.dropped for row in comparison.rows if row.metric == comparison.primary):
        caption += "; any two on the rows that both have, the values over each one's own"
    return Table(f"Ranked by {info.title}", ("rank", "variant", info.title, "better than"), rows, caption)


def slices_table(report: Report) -> Table:
    """The primary metric on parts of the rows."""
    rows, compared = [], [part for part in report.confounds.slices if part.row.difference is not None]
    for part in compared:
        row, info = part.row, report.metrics[part.row.metric]
        rows.append(
            (
                f"{part.column}: {part.part}",
                row.candidate,
                str(row.n),
                formatting.difference(row.difference, info),
                formatting.interval(row.interval, info),
                formatting.p_value(row.p_adjusted),
                row.verdict or formatting.NOT_THERE,
            )
        )
    heads = ("slice", report.of_candidates, "n", "difference", "95 % CI", "p (Holm)", "verdict")
    caption = "exploratory: a family of its own"
    if few := len(report.confounds.slices) - len(compared):
        caption += f"; {few} part{'s' if few > 1 else ''} with too few rows to compare left out"
    return Table("Where: the primary metric on parts of the rows", heads, tuple(rows), caption)


def contributions_table(report: Report) -> Table:
    """What each difference is made of, by which answers of a pair are sound; no rows where all are."""
    rows, parts = [], report.confounds.contributions
    if report.comparison is not None and any(part.rows for part in parts if part.kind != "both sound"):
        info, names = report.metrics[report.comparison.primary], {"baseline": report.comparison.baseline}
        for part in (part for part in parts if part.rows):
            kind = " ".join((names | {"candidate": part.candidate}).get(word, word) for word in part.kind.split())
            amount = formatting.difference(part.contribution, info)
            share = formatting.percent(part.share)
            rows.append(
                (part.candidate, kind, f"{part.rows:,}", share, amount, formatting.interval(part.interval, info))
            )
    caption = (
        "an answer is unsound that is empty, ends in a loop, runs on or copies the question; each kind's differences "
        "over all rows, so that they sum to the whole: arithmetic, not cause"
    )
    heads = (report.of_candidates, "pairs", "rows", "share", "contribution", "95 % CI")
    return Table("What the difference is made of", heads, tuple(rows), caption)


def proofs_table(report: Report) -> Table:
    """How far each adapter acts, and on how much."""
    changed = report.confounds.answers_changed
    rows = tuple(
        (
            proof.adapter,
            str(proof.prompts),
            *(formatting.NOT_THERE if nats is None else f"{nats:.3g}" for nats in (proof.kl_mean, proof.kl_max)),
            formatting.NOT_THERE if proof.top_token_changed is None else formatting.percent(proof.top_token_changed),
            formatting.NOT_THERE if changed.get(proof.adapter) is None else formatting.percent(changed[proof.adapter]),
        )
        for proof in report.proofs
    )
    heads = ("adapter", "prompts", "mean KL (nats)", "largest KL", "top token changed", "answers changed")
    caption = "KL: of the distribution at the answer's first token from the base's"
    return Table("Do the adapters act?", heads, rows, caption)


def headline(comparison: Comparison, candidate: str, doubts: Sequence[Doubt]) -> str:
    """The verdict on one candidate in one sentence with its evidence, and what speaks most against it.

    Args:
        comparison: Of all candidates.
        candidate: The one.
        doubts: What speaks against the verdicts, each candidate's strongest first.
    """
    row = primary_row(comparison, candidate)
    doubt = strongest(doubts).get(candidate)
    said = _brief(comparison, candidate, doubt, MOST_IN_HEADLINE)
    if doubt is not None and doubt.kind == "depends":
        return f"{said}: {doubt.words}, n = {row.n:,}"
    evidence = f"{said}: {_evidence(row, comparison.metrics[row.metric])}, n = {row.n:,}"
    if (stopping := comparison.stopping) is not None:
        told = "sure" if stopping.sure else "not every verdict sure before"
        evidence += f", stopped after {stopping.rows} of {stopping.of} rows: {told}"
    return f"{evidence}, but {doubt.words}" if doubt is not None else evidence


def brief(comparison: Comparison, candidate: str, doubts: Sequence[Doubt]) -> str:
    """The verdict on one candidate and what speaks most against it, without the evidence."""
    doubt = strongest(doubts).get(candidate)
    said = _brief(comparison, candidate, doubt, MOST_IN_BRIEF)
    if doubt is None:
        return said
    return f"{said}: {doubt.words}" if doubt.kind == "depends" else f"{said}, but {doubt.words}"


def _brief(comparison: Comparison, candidate: str, doubt: Doubt | None, most: int) -> str:
    info = comparison.metrics[comparison.primary]
    # names are cut first, so that no clipping further on takes the verdict or the doubt with it
    name, base, title = (clipped(text, most) for text in (candidate, comparison.baseline, info.title))
    if doubt is not None and doubt.kind == "depends":
        return f"{name} {IS['depends']} {base} on {title}"
    change = small_change(comparison, primary_row(comparison, candidate))
    return f"{name} {IS[comparison.verdicts[candidate]]} {base}{change and f' but for {change}'} on {title}"


def _evidence(row: MetricComparison, info: MetricInfo) -> str:
    """What a verdict rests on: equivalence on the 90 % interval inside the margin, all else on the 95 % interval."""
    evidence = formatting.difference(row.difference, info)
    if row.verdict == "equivalent" and row.equivalence_interval is not None:
        within = formatting.interval(row.equivalence_interval, info)
        inside = f"{formatting.level(row.equivalence_interval)} {within} inside ±{formatting.value(row.margin, info)}"
        return f"{evidence}, {inside}, equivalence p = {formatting.p_value(row.p_equivalence)}".replace("= <", "< ")
    if row.interval is not None:
        evidence += f" {formatting.interval(row.interval, info)}"
    return f"{evidence}, adjusted p = {formatting.p_value(row.p_adjusted)}".replace("= <", "< ")


def refusal(report: Report, name: str) -> str:
    """Why an adapter was left out."""
    return f"{name} was REFUSED: {report.refused[name]}"


def blind_spots(comparison: Comparison, candidate: str) -> list[str]:
    """What the metrics that do not decide cannot score, one sentence a reason; the primary row warns of its own."""
    titles: dict[str, list[str]] = {}
    for row in comparison.rows:
        if row.candidate == candidate and row.metric != comparison.primary:
            for reason, count in row.unscored.items():
                said = f"cannot score {count} of {row.answers + row.dropped} rows: {reason}"
                titles.setdefault(said, []).append(comparison.metrics[row.metric].title)
    return [f"{', '.join(named)} {said}" for said, named in titles.items()]


def level_of(comparison: Comparison) -> str:
    """What the intervals of a comparison are called, by those of the metric that decides."""
    rows = (row for row in comparison.rows if row.metric == comparison.primary and row.interval is not None)
    return formatting.level(next((row.interval for row in rows), None))


def primary_row(comparison: Comparison, candidate: str) -> MetricComparison:
    """The row that decides on one candidate."""
    return next(row for row in comparison.rows if row.candidate == candidate and row.metric == comparison.primary)


def _summary_cells(report: Report, variant: str, info: MetricInfo) -> tuple[str, str]:
    summary: MetricSummary | None = report.summaries[variant].get(info.name)
    if summary is None or summary.n == 0:
        return formatting.NOT_THERE, formatting.NOT_THERE
    spread = f"{formatting.value(summary.median, info)} ± {formatting.value(summary.std, info)}"
    if info.corpus:
        spread += " (rows)"
    return formatting.value(summary.value, info), spread
