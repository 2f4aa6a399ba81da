"""A few example rows: the largest gains and the largest losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loralift.records import Report, Row
from loralift.reporting.failures import tallied

if TYPE_CHECKING:
    from loralift.reporting.tally import Floats

EXAMPLES = 4


def telling_rows(report: Report, most: int = EXAMPLES) -> list[Row]:
    """Where the first candidate won and lost most on the primary metric; without a candidate, the first rows.

    Returns:
        At most so many: the largest gains first, the largest loss last.
    """
    import numpy as np

    gains = _gains(report)
    scored = np.flatnonzero(~np.isnan(gains))
    if not scored.size:
        return list(report.rows[:most])
    places = scored[np.argsort(-gains[scored], kind="stable")].tolist()
    if len(places) > most:
        places = places[: most - most // 2] + places[len(places) - most // 2 :]
    return [report.rows[place] for place in places]


def has_texts(report: Report) -> bool:
    """Whether there is anything to read in the rows; scores alone are none."""
    return bool(report.has("question") or report.has("reference") or report.answering)


def told(report: Report, most: int = EXAMPLES) -> str:
    """Which rows `telling_rows` picks, in a sentence."""
    compared, total = report.comparison, len(report.rows)
    scored = sum(gain == gain for gain in _gains(report).tolist())
    if compared is None or not scored:
        return f"The first {min(most, total)} of {total:,} rows."
    what = f"{compared.candidates[0]} against {compared.baseline} on {compared.metrics[compared.primary].title}"
    if scored <= most:
        return f"Every row scored, {what}, the largest gain first."
    gains, losses = most - most // 2, most // 2
    return f"Picked, not typical: the {gains} best and the {losses} worst of {scored:,} rows, {what}."


def _gains(report: Report) -> Floats:
    """The first candidate's value less the baseline's of each row, so that more is better; NaN where there is none."""
    import numpy as np

    comparison = report.comparison
    if comparison is None:
        return np.full(len(report.rows), np.nan)
    values = tallied(report).primary
    gains = values[comparison.candidates[0]] - values[comparison.baseline]
    return -gains if comparison.metrics[comparison.primary].higher_is_better is False else gains
