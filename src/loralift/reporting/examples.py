"""A few example rows: the largest gains and the largest losses."""

from __future__ import annotations

from loralift.records import Report, Row

EXAMPLES = 4


def telling_rows(report: Report, most: int = EXAMPLES) -> list[Row]:
    """Where the first candidate won and lost most on the primary metric; without a candidate, the first rows.

    Returns:
        At most so many: the largest gains first, the largest loss last.
    """
    gains = {row.id: gain for row in report.rows if (gain := _gain(report, row)) is not None}
    if not gains:
        return list(report.rows[:most])
    ordered = sorted((row for row in report.rows if row.id in gains), key=lambda row: -gains[row.id])
    if len(ordered) <= most:
        return ordered
    return ordered[: most - most // 2] + ordered[len(ordered) - most // 2 :]


def has_texts(report: Report) -> bool:
    """Whether there is anything to read in the rows; scores alone are none."""
    return bool(report.has("question") or report.has("reference") or report.answering)


def told(report: Report, most: int = EXAMPLES) -> str:
    """Which rows `telling_rows` picks, in a sentence."""
    compared, total = report.comparison, len(report.rows)
    scored = sum(_gain(report, row) is not None for row in report.rows)
    if compared is None or not scored:
        return f"The first {min(most, total)} of {total:,} rows."
    what = f"{compared.candidates[0]} against {compared.baseline} on {compared.metrics[compared.primary].title}"
    if scored <= most:
        return f"Every row scored, {what}, the largest gain first."
    gains, losses = most - most // 2, most // 2
    return f"Picked, not typical: the {gains} best and the {losses} worst of {scored:,} rows, {what}."


def _gain(report: Report, row: Row) -> float | None:
    """The first candidate's value less the baseline's, so that more is better."""
    comparison = report.comparison
    if comparison is None:
        return None
    info = comparison.metrics[comparison.primary]
    sides = (comparison.candidates[0], comparison.baseline)
    after, before = (row.values.get(variant, {}).get(info.name) for variant in sides)
    if after is None or before is None:
        return None
    return before - after if info.higher_is_better is False else after - before
