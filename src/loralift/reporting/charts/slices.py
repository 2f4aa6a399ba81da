"""The primary metric's difference on parts of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loralift.records import Comparison, MetricInfo, SliceComparison
from loralift.reporting import formatting, tables
from loralift.reporting.charts import style
from loralift.reporting.charts.chart import Chart, stem
from loralift.reporting.charts.differences import bars_and_points, point, said

HEADS = {"condition": {"test": "datum.value[0] === 'c'", "value": "bold"}, "value": "normal"}
"""The names of columns stand among the labels, in bold."""


def slices(comparison: Comparison, candidate: str, parts: Sequence[SliceComparison]) -> Chart | None:
    """One candidate's difference by slice, grouped by column; None where no slice was compared."""
    compared = [part for part in parts if part.row.candidate == candidate and part.row.difference is not None]
    if not compared:
        return None
    overall = tables.primary_row(comparison, candidate)
    info = comparison.metrics[compared[0].row.metric]
    whole = formatting.difference(overall.difference, info)
    left_out = sum(part.row.candidate == candidate for part in parts) - len(compared)
    caption = (
        f"The difference of {candidate} from {comparison.baseline} on {info.title} on parts of the rows, with 95 % CI; "
        f"the dashed line is the difference on all rows, {whole}. Exploratory: of many parts "
        "a few stand out by chance, also where intervals do not meet."
    )
    if left_out:
        caption += f" Left out with too few rows: {left_out}."
    title = f"{info.title} by part of the rows: {style.shorten(candidate, 40)}"
    how = f"bars: 95 % CI · dashed: all rows, {whole} · (number of rows) · {style.direction(info)}"
    figures = "; ".join(said(f"{part.column} {part.part} ({part.row.n} rows)", part.row, info) for part in compared)
    return Chart(
        name=stem("slices", candidate),
        title=title,
        caption=caption,
        alt=f"{candidate}, {info.title}, difference from {comparison.baseline}: all rows {whole}; {figures}.",
        svg=_draw(comparison, info, compared, overall.difference, title, how),
        section="where",
        candidate=candidate,
    )


def _draw(
    comparison: Comparison,
    info: MetricInfo,
    parts: Sequence[SliceComparison],
    overall: float | None,
    title: str,
    how: str,
) -> str:
    import altair as alt

    labels, points = _rows(parts, info)
    axis = style.name_axis(labels, labelFontWeight=HEADS, labelOverlap=False)
    y = alt.Y("key:N", scale=alt.Scale(domain=list(labels)), axis=axis)
    words = f"difference from {style.shorten(comparison.baseline, 20)}, {style.direction(info)}"
    x_axis = alt.Axis(title=style.axis_title(info, words), labelExpr=style.SIGNED, tickCount=5)
    layers = [style.vertical(0), *bars_and_points(points, x_axis, y)]
    if overall is not None:
        layers.insert(1, style.vertical(overall, "muted", dashes=[4, 3]))
    return style.svg(layers, title, how, height=22 * len(labels), labels=labels)


def _rows(parts: Sequence[SliceComparison], info: MetricInfo) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The labels from top to bottom, each column's name above its parts, and the points."""
    labels, points = {}, []
    for place, column in enumerate(dict.fromkeys(part.column for part in parts)):
        labels[f"c{place}"] = style.shorten(column, 28)
        for number, part in enumerate(part for part in parts if part.column == column):
            key = f"p{place}-{number}"
            labels[key] = f"{style.shorten(part.part, 22)} ({part.row.n:,})"
            points.append(point(key, f"{part.column} {part.part}", part.row, info))
    return labels, points
