"""The metric that decides against the step, or another number by which the adapters of a sweep differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loralift.records import Axis, Comparison, MetricComparison, MetricInfo, Sweep
from loralift.reporting.charts import style
from loralift.reporting.charts.chart import Chart, stem
from loralift.reporting.charts.differences import said, verdict_encoding
from loralift.reporting.sweep import axis_title

MOST_AXES = 4
"""Charts of one sweep; the table has every number."""

WIDE_SPAN = 8.0
"""Largest over smallest number from which an axis is logarithmic, but for steps and epochs."""

HEIGHT = 220


def sweep_chart(comparison: Comparison, sweep: Sweep, axis: Axis) -> Chart | None:
    """Every adapter's difference from the baseline against one number; None where fewer than two have both."""
    info = comparison.metrics[comparison.primary]
    rows = [
        row
        for row in comparison.rows
        if row.metric == info.name and row.difference is not None and row.candidate in axis.values
    ]
    if len({axis.values[row.candidate] for row in rows}) < 2:
        return None
    rows.sort(key=lambda row: axis.values[row.candidate])
    contenders = sweep.best.contenders if sweep.best else ()
    ringed = [row for row in rows if row.candidate in contenders] if len(contenders) < len(rows) else []
    of, title = axis_title(axis.field), f"{info.title} by {axis_title(axis.field)}"
    how = f"difference from {style.shorten(comparison.baseline, 20)} · bars: 95 % CI of each alone"
    caption = (
        f"Each adapter's difference from {comparison.baseline} on {info.title} against its {of}, with the 95 % CI that "
        "it has alone: the highest of many is flattered by its choice, and the sentences say what it is worth."
    )
    if ringed:
        how += " · ringed: may be the best"
        caption += " A ring: no other adapter is surely better."
    figures = "; ".join(said(f"{row.candidate} ({of} {axis.values[row.candidate]:g})", row, info) for row in rows)
    return Chart(
        name=stem("sweep", axis.field),
        title=title,
        caption=caption,
        alt=f"{info.title}, difference from {comparison.baseline} with 95 % CI, by {of}: {figures}.",
        svg=_draw(axis, info, rows, ringed, title, f"{how} · {'↑' if info.higher_is_better else '↓'} better"),
        section="change",
    )


def _draw(
    axis: Axis,
    info: MetricInfo,
    rows: Sequence[MetricComparison],
    ringed: Sequence[MetricComparison],
    title: str,
    how: str,
) -> str:
    import altair as alt

    values = [axis.values[row.candidate] for row in rows]
    log = axis.field not in ("step", "epoch") and min(values) > 0 and max(values) >= WIDE_SPAN * min(values)
    scale = alt.Scale(type="log" if log else "linear", nice=False, padding=14, zero=False)
    ticks = sorted(set(values)) if len(set(values)) <= 8 else alt.Undefined
    x = alt.X("x:Q", scale=scale, axis=alt.Axis(title=axis_title(axis.field), values=ticks, grid=False, tickCount=6))
    y_axis = alt.Axis(title=style.axis_title(info, "difference"), labelExpr=style.SIGNED, tickCount=5)
    marks = verdict_encoding([row.verdict or "inconclusive" for row in rows])
    points = [_point(axis, row, info) for row in rows]
    y = alt.Y("y:Q", axis=y_axis, scale=style.roomy())
    layers = _background(next((row.margin for row in rows if row.margin), None))
    if len(set(values)) == len(values):
        line = alt.Chart().mark_line(stroke=style.PALETTE["muted"], strokeWidth=1, aria=False)
        layers.append(style.layer(line.encode(x=x, y=y), points))
    thin = 2 if len(rows) <= 20 else 1
    bars = alt.Chart().mark_rule(strokeWidth=thin, aria=False)
    bars = bars.encode(x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q"), color=marks["color"])
    layers.append(style.layer(bars, [point for point in points if point["low"] is not None]))
    size = 70 if len(rows) <= 20 else 40
    described = alt.Description("said:N")
    layers.append(style.layer(style.points(size).encode(x=x, y=y, description=described, **marks), points))
    ring = alt.Chart().mark_point(
        filled=False, shape="circle", size=3 * size, stroke=style.PALETTE["ink"], strokeWidth=1, aria=False
    )
    layers.append(style.layer(ring.encode(x=x, y=y), [_point(axis, row, info) for row in ringed]))
    return style.svg(layers, title, how, height=HEIGHT)


def _background(margin: float | None) -> list[style.Layer]:
    """The band of the margin, and the baseline's line at zero."""
    import altair as alt

    zero = alt.Chart().mark_rule(stroke=style.PALETTE["ink"], strokeWidth=1, aria=False)
    layers = [style.layer(zero.encode(y=alt.Y("at:Q")), [{"at": 0}])]
    if margin is not None:
        band = alt.Chart().mark_rect(fill=style.PALETTE["band"], aria=False)
        band = band.encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))
        layers.insert(0, style.layer(band, [{"low": -margin, "high": margin}]))
    return layers


def _point(axis: Axis, row: MetricComparison, info: MetricInfo) -> dict[str, Any]:
    low, high = (row.interval.low, row.interval.high) if row.interval else (None, None)
    return {
        **{"x": axis.values[row.candidate], "y": row.difference, "low": low, "high": high},
        **{"verdict": row.verdict or "inconclusive", "said": said(row.candidate, row, info)},
    }
