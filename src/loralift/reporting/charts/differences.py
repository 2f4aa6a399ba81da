"""One panel a metric: every adapter's difference in the metric's own unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loralift.records import Comparison, MetricComparison, MetricInfo
from loralift.reporting import formatting
from loralift.reporting.charts import style
from loralift.reporting.charts.chart import Chart, stem
from loralift.reporting.tables import PRIMARY_MARK, level_of


def difference(comparison: Comparison, info: MetricInfo) -> Chart | None:
    """Every candidate's difference on one metric with its interval and verdict; None where there is no difference."""
    rows = [row for row in comparison.rows if row.metric == info.name and row.difference is not None]
    if not rows:
        return None
    margin = next((row.margin for row in rows if row.margin), None)
    mark = f" {PRIMARY_MARK}" if info.name == comparison.primary else ""
    title = f"{info.title}{mark}  ({style.direction(info)})"
    confidence = level_of(comparison)
    how = f"bars: {confidence}"
    if margin is not None:
        how += f" · shaded: equivalence margin ±{formatting.value(margin, info)}"
    caption = f"The difference from {comparison.baseline} on {info.title}, in its own unit, with its {confidence}."
    if margin is not None:
        caption += (
            f" Inside the shaded band, ±{formatting.value(margin, info)}, a difference counts as none: equivalent is "
            f"what has its {formatting.level(rows[0].equivalence_interval, 0.9)} inside."
        )
    return Chart(
        name=stem("difference", info.name),
        title=title,
        caption=caption,
        alt=_alt(comparison, info, rows),
        svg=_draw(comparison, info, rows, margin, title, how),
        section="change",
    )


def verdict_encoding(verdicts: Sequence[str]) -> Mapping[str, Any]:
    """Colour and shape by the field ``verdict``; the legend names those that occur."""
    import altair as alt

    known = list(style.VERDICT_SHAPES)
    legend = alt.Legend(values=[verdict for verdict in known if verdict in verdicts], symbolSize=60, columns=4)
    colours = alt.Scale(domain=known, range=[style.PALETTE[verdict] for verdict in known])
    shapes = alt.Scale(domain=known, range=list(style.VERDICT_SHAPES.values()))
    return {
        "color": alt.Color("verdict:N", scale=colours, legend=legend),
        "shape": alt.Shape("verdict:N", scale=shapes, legend=legend),
    }


def bars_and_points(rows: Sequence[Mapping[str, Any]], axis: Any, y: Any) -> list[style.Layer]:
    """Two layers: the intervals from ``low`` to ``high``, and on them the points at ``x`` by ``verdict``."""
    import altair as alt

    marks = verdict_encoding([row["verdict"] for row in rows])
    bars = style.rules().encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=y, color=marks["color"])
    x = alt.X("x:Q", axis=axis, scale=style.roomy())
    points = style.points(70).encode(x=x, y=y, description=alt.Description("said:N"), **marks)
    return [style.layer(bars, [row for row in rows if row["low"] is not None]), style.layer(points, rows)]


def said(name: str, row: MetricComparison, info: MetricInfo) -> str:
    """One difference in words."""
    words = f"{name}: {formatting.difference(row.difference, info)} {formatting.interval(row.interval, info)}".rstrip()
    return style.printable(f"{words}, {row.verdict}" if row.verdict else words)


def point(key: str, name: str, row: MetricComparison, info: MetricInfo) -> dict[str, Any]:
    """What ``bars_and_points`` draws of one difference."""
    low, high = (row.interval.low, row.interval.high) if row.interval else (None, None)
    verdict = row.verdict or "inconclusive"
    return {
        **{"key": key, "x": row.difference, "low": low, "high": high},
        **{"verdict": verdict, "said": said(name, row, info)},
    }


def _draw(
    comparison: Comparison,
    info: MetricInfo,
    rows: Sequence[MetricComparison],
    margin: float | None,
    title: str,
    how: str,
) -> str:
    import altair as alt

    keys = style.adapter_keys(comparison.candidates)
    labels = {key: style.shorten(name, 18) for name, key in keys.items()}
    axis = style.name_axis(labels)
    y = alt.Y("key:N", scale=alt.Scale(domain=[keys[row.candidate] for row in rows]), axis=axis)
    words = f"difference from {style.shorten(comparison.baseline, 20)}"
    x_axis = alt.Axis(title=style.axis_title(info, words), labelExpr=style.SIGNED, tickCount=4)
    points = [point(keys[row.candidate], row.candidate, row, info) for row in rows]
    layers = [style.vertical(0), *bars_and_points(points, x_axis, y)]
    if margin is not None:
        band = alt.Chart().mark_rect(fill=style.PALETTE["band"], aria=False)
        band = band.encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"))
        layers.insert(0, style.layer(band, [{"low": -margin, "high": margin}]))
    return style.svg(layers, title, how, height=26 * len(rows), width=style.NARROW, labels=labels)


def _alt(comparison: Comparison, info: MetricInfo, rows: Sequence[MetricComparison]) -> str:
    better = "higher" if info.higher_is_better else "lower"
    figures = "; ".join(said(row.candidate, row, info) for row in rows)
    of = f"difference from {comparison.baseline} with {level_of(comparison)}"
    return f"{info.title}, {better} is better, {of}: {figures}."
