"""The tables that only the page has room for: power, noise, the SDK's tests, lengths, perplexity."""

from __future__ import annotations

from loralift.records import Report
from loralift.reporting import formatting
from loralift.reporting.tables import PRIMARY_MARK, Table, level_of, primary_row


def power_table(report: Report) -> Table:
    """What this many rows can find, and how many more it would take."""
    called = report.of_candidates
    heads = (called, "n", "left out", "difference", "found 4 times in 5 from", "rows it would take")
    rows = []
    if report.comparison is not None:
        for candidate in report.comparison.candidates:
            row = primary_row(report.comparison, candidate)
            info = report.metrics[row.metric]
            rows.append(
                (
                    candidate,
                    f"{row.n:,}",
                    f"{row.dropped:,}",
                    formatting.difference(row.difference, info),
                    formatting.value(row.minimum_detectable_effect, info),
                    formatting.NOT_THERE if row.rows_needed is None else f"{row.rows_needed:,}",
                )
            )
    level = formatting.percent(report.comparison.alpha) if report.comparison is not None else ""
    caption = (
        f"The smallest difference that an unadjusted test at {level} finds with 80 % power at this n and spread, and "
        "the rows at which one as large as the observed is found as often; "
        "after the adjustment for all that was compared it takes more"
    )
    return Table("What these rows can tell", heads, tuple(rows), caption)


def noise_table(report: Report) -> Table:
    """How far the base is from itself."""
    rows = []
    for noise in report.confounds.noise:
        info = report.metrics[noise.metric]
        moved = formatting.difference(noise.difference, info)
        rows.append((info.title, f"{noise.n:,}", moved, formatting.value(noise.floor, info)))
    heads = ("metric", "n", "difference", "noise floor")
    return Table(
        "The base against itself", heads, tuple(rows), "differences up to the noise floor may come from nowhere"
    )


def sdk_table(report: Report) -> Table:
    """NeMo Evaluator's own paired tests."""
    rows = tuple(
        (
            f"{test.candidate}: {report.metrics[test.metric].title if test.metric in report.metrics else test.metric}",
            f"{test.n:,}",
            test.test or formatting.NOT_THERE,
            formatting.p_value(test.p_degradation),
            formatting.p_value(test.p_improvement),
            test.note or formatting.NOT_THERE,
        )
        for test in report.sdk_tests
    )
    heads = (f"{report.of_candidates} and metric", "n", "test", "p of worse", "p of better", "note")
    caption = "one-sided, before adjustment; shown beside ours, and never the verdict"
    return Table("NeMo Evaluator's own paired tests", heads, rows, caption)


def lengths_table(report: Report, *, all_metrics: bool) -> Table:
    """How much of each difference goes with the answers' length.

    Args:
        report: Its confounds.
        all_metrics: Every judged metric, or else only the one that decides.
    """
    rows = []
    for at_length in report.confounds.lengths:
        if not all_metrics and (report.comparison is None or at_length.metric != report.comparison.primary):
            continue
        info = report.metrics[at_length.metric]
        rows.append(
            (
                f"{at_length.candidate}: {info.title}",
                f"{at_length.words_baseline:.1f}",
                f"{at_length.words_candidate:.1f}",
                formatting.difference(at_length.difference, info),
                formatting.difference(at_length.adjusted, info),
                formatting.interval(at_length.interval, info) or formatting.NOT_THERE,
                formatting.NOT_THERE
                if at_length.explained is None
                else formatting.percent(at_length.explained, minus="−"),
            )
        )
    first = (f"{report.of_candidates} and metric", f"words, {report.variants[0]}")
    heads = (*first, "words", "difference", "at equal length", "95 % CI", "explained")
    caption = "explained: the share of the difference that goes with length; negative where length hides some of it"
    return Table("Is it only the length?", heads, tuple(rows), caption)


def perplexity_table(report: Report) -> Table:
    """How likely each variant finds the reference answers."""
    rows = []
    info = report.metrics.get("perplexity")
    if report.comparison is not None and info is not None:
        for row in report.comparison.rows:
            if row.metric == info.name:
                mark = f" {PRIMARY_MARK}" if row.metric == report.comparison.primary else ""
                rows.append(
                    (
                        f"{row.candidate}{mark}",
                        f"{row.n:,}",
                        formatting.value(row.baseline_value, info),
                        formatting.value(row.candidate_value, info),
                        formatting.difference(row.difference, info),
                        formatting.interval(row.interval, info),
                        row.verdict or formatting.NOT_THERE,
                    )
                )
    base = report.variants[0]
    called = report.of_candidates
    confidence = level_of(report.comparison) if report.comparison is not None else ""
    heads = (called, "n", base, f"{called}'s", "difference", confidence, "verdict")
    caption = "of the reference answers, teacher-forced after the prompt; lower is better"
    return Table("Perplexity", heads, tuple(rows), caption)
