"""The forest plot: every judged metric on one axis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from loralift.records import Comparison, MetricComparison, MetricInfo
from loralift.reporting import formatting
from loralift.reporting.charts import style
from loralift.reporting.charts.chart import Chart
from loralift.reporting.matrices import judged_metrics
from loralift.reporting.tables import PRIMARY_MARK, level_of

LARGEST = 3.0
"""Standard deviations: what lies beyond would squeeze all else, and is written at the edge instead."""

BARS = "bars: the difference's {} on the same scale, the uncertainty of the standard deviation not in them"
"""How to read the bars: an interval of Cohen's d itself would be wider where the rows are few."""

BEYOND_ROOM = 48
"""Pixels at the ends of the axis for what is written there."""


def effects(comparison: Comparison) -> Chart | None:
    """Every judged metric's difference in standard deviations, turned so that right is better; None without any."""
    metrics = judged_metrics(comparison)
    points = list(_points(comparison, metrics))
    if not points:
        return None
    shown = {point["metric"] for point in points}
    without = [info for info in metrics if info.name not in shown]
    title = f"Effect sizes against {comparison.baseline}"
    bars = BARS.format(level_of(comparison))
    how = f"Cohen's d · right is better · bold: decides · {bars}"
    caption = (
        f"Each difference from {comparison.baseline} divided by the standard deviation of its rows, and turned where "
        f"lower is better: right of zero is always better, whatever the metric's unit; {bars}. {PRIMARY_MARK} decides."
    )
    flat = [info.title for info in without if _compared(comparison, info)]
    bare = [info.title for info in without if not _compared(comparison, info)]
    if flat:
        caption += f" No point for {', '.join(flat)}: there the differences of the rows have no spread."
    if bare:
        caption += f" No point for {', '.join(bare)}: there too few rows were scored on both sides."
    return Chart(
        name="effects",
        title=title,
        caption=caption,
        alt=_alt(points, title),
        svg=_draw(comparison, [info for info in metrics if info.name in shown], points, title, how),
        section="change",
    )


def _compared(comparison: Comparison, info: MetricInfo) -> bool:
    """Whether there are differences of which a spread could be told."""
    return any(row.metric == info.name and row.difference is not None and row.n > 1 for row in comparison.rows)


def _points(comparison: Comparison, metrics: Sequence[MetricInfo]) -> Iterator[dict[str, Any]]:
    keys = style.adapter_keys(comparison.candidates)
    for info in metrics:
        turn = 1 if info.higher_is_better else -1
        for row in comparison.rows:
            if row.metric == info.name and row.difference is not None and row.effect_size is not None and row.deviation:
                ends = _ends(row, turn / row.deviation)
                size = row.difference * turn / row.deviation
                said = f"{info.title}, {row.candidate}: {formatting.effect(size)}"
                if ends:
                    said += f" [{formatting.effect(ends[0])}, {formatting.effect(ends[1])}]"
                yield {
                    **{"metric": info.name, "title": info.title, "key": keys[row.candidate]},
                    **{"size": _inside(size), "beyond": size if abs(size) > LARGEST else None},
                    **{"low": _inside(ends[0]) if ends else None, "high": _inside(ends[1]) if ends else None},
                    "said": style.printable(said),
                }


def _ends(row: MetricComparison, factor: float) -> tuple[float, float] | None:
    if row.interval is None:
        return None
    low, high = sorted((row.interval.low * factor, row.interval.high * factor))
    return low, high


def _inside(size: float) -> float:
    return max(-LARGEST, min(LARGEST, size))


def _draw(
    comparison: Comparison, metrics: Sequence[MetricInfo], points: Sequence[dict[str, Any]], title: str, how: str
) -> str:
    import altair as alt

    stars = {info.name: f"{PRIMARY_MARK} " if info.name == comparison.primary else "" for info in metrics}
    labels = {info.name: stars[info.name] + style.shorten(info.title, 24) for info in metrics}
    bold = {
        "condition": {"test": f"datum.value === {json.dumps(comparison.primary)}", "value": "bold"},
        "value": "normal",
    }
    axis = style.name_axis(labels, grid=True, tickBand="extent", labelFontWeight=bold)
    x_axis = alt.Axis(title="difference in standard deviations, → better", labelExpr=style.SIGNED, tickCount=6)
    y = alt.Y("metric:N", scale=alt.Scale(domain=list(labels), padding=0), axis=axis)
    adapters = style.side_by_side(comparison.candidates)
    shape = adapters.pop("shape")
    rows = {"y": y, **adapters}
    bars = [point for point in points if point["low"] is not None]
    beyond = [point | {"text": formatting.effect(point["beyond"])} for point in points if point["beyond"] is not None]
    layers = [
        style.vertical(0),
        style.layer(style.rules().encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), **rows), bars),
        style.layer(
            style.points(45).encode(
                x=alt.X("size:Q", axis=x_axis, scale=style.roomy(BEYOND_ROOM if beyond else style.ROOM)),
                shape=shape,
                description=alt.Description("said:N"),
                **rows,
            ),
            points,
        ),
        *(_labels(beyond, side, rows) for side in (-1, 1)),
    ]
    height = max(22, 12 * len(comparison.candidates) + 6) * len(metrics)
    return style.svg(layers, title, how, height=height, labels=labels)


def _labels(beyond: Sequence[dict[str, Any]], side: int, rows: dict[str, Any]) -> style.Layer:
    """What lies beyond the axis, in figures beside the mark at its edge."""
    import altair as alt

    chosen = [point for point in beyond if point["beyond"] * side > 0]
    marks = alt.Chart().mark_text(align="left" if side > 0 else "right", dx=6 * side, aria=False)
    return style.layer(marks.encode(x=alt.X("size:Q"), text=alt.Text("text:N"), **rows), chosen)


def _alt(points: Sequence[dict[str, Any]], title: str) -> str:
    return f"{title}, positive is better: " + "; ".join(point["said"] for point in points) + "."
