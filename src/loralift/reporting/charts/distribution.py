"""How the primary metric's values lie, the baseline's and a candidate's over each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from loralift.records import Comparison, MetricInfo
from loralift.reporting import formatting
from loralift.reporting.charts import style
from loralift.reporting.charts.chart import Chart, stem
from loralift.reporting.charts.pairs import Pairs

BINS = 30
HEIGHT = 170

WHOLE = "datum.value % 1 ? '' : format(datum.value, ',d')"
"""A Vega expression: counts are never halves, and of one row Vega would count halves."""


def distribution(comparison: Comparison, candidate: str, pairs: Pairs) -> Chart | None:
    """Both sides' values of the primary metric in the same bins, medians marked; None without any."""
    if not len(pairs):
        return None
    info = comparison.metrics[comparison.primary]
    base, adapter = comparison.baseline, candidate
    sides = {base: pairs.baseline.tolist(), adapter: pairs.candidate.tolist()}
    medians = {name: formatting.value(median(values), info) for name, values in sides.items()}
    title = f"{info.title}: {style.shorten(base, 20)} and {style.shorten(adapter, 40)}"
    lines = f"medians: {style.shorten(base, 20)} {medians[base]} (dashed), {style.shorten(adapter, 40)} "
    lines += f"{medians[adapter]} (solid)"
    unit = pairs.unit
    alt = f"{info.title} over {style.counted(len(pairs), unit)}. " + " ".join(
        f"{name}: {_range(values, info)}." for name, values in sides.items()
    )
    return Chart(
        name=stem("distribution", candidate),
        title=title,
        caption=(
            f"{unit.capitalize()}s by their {info.title}: grey areas {base}, the line {adapter}, in the same bins. "
            "The vertical lines are the medians."
        ),
        alt=alt,
        svg=_draw(comparison, candidate, sides, (title, f"{style.counted(len(pairs), unit)} · {lines}", f"{unit}s")),
        section="where",
        candidate=candidate,
    )


def edges_of(values: Sequence[float]) -> list[float]:
    """About 30 bins of a round width over all values; one bin where all are the same.

    Returns:
        One more edge than there are bins, rising.
    """
    low, high = min(values), max(values)
    rough = (high - low) / BINS
    if rough <= 0:
        return [low - 0.5, low + 0.5]
    power = 10.0 ** math.floor(math.log10(rough))
    width = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / width), math.floor(high / width) + 1
    return [place * width for place in range(first, last + 1)]


def counts_in(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """How many values are in each bin; the last one holds its upper edge too."""
    import numpy as np

    return [int(count) for count in np.histogram(values, edges)[0]]


def _draw(comparison: Comparison, candidate: str, sides: dict[str, list[float]], words: tuple[str, str, str]) -> str:
    """The picture; ``words`` are its title, its subtitle and what its axis counts."""
    import altair as alt

    title, how, counted = words
    info = comparison.metrics[comparison.primary]
    edges = edges_of([value for values in sides.values() for value in values])
    role = style.adapter_role(comparison.candidates.index(candidate))
    names = {"base": style.shorten(comparison.baseline, 24), "adapter": style.shorten(candidate, 40)}
    colours = alt.Color(
        "side:N",
        scale=alt.Scale(domain=list(names), range=[style.PALETTE["base"], style.PALETTE[role]]),
        legend=alt.Legend(labelExpr=style.lookup(names), symbolType="square", symbolOpacity=1, columns=2),
    )
    x = alt.X("x:Q", scale=alt.Scale(domain=[edges[0], edges[-1]], nice=False, zero=False))
    x = x.axis(title=style.axis_title(info), grid=False, tickCount=6)
    y = alt.Y("count:Q", axis=alt.Axis(title=counted, tickCount=4, labelExpr=WHOLE))
    base, adapter = (counts_in(values, edges) for values in sides.values())
    bars = [
        {"x": left, "right": right, "count": count, "zero": 0, "side": "base"}
        for left, right, count in zip(edges, edges[1:], base, strict=False)
    ]
    areas = alt.Chart().mark_rect(opacity=0.6, aria=False)
    areas = areas.encode(x=x, x2=alt.X2("right:Q"), y=y, y2=alt.Y2("zero:Q"), color=colours)
    outline = alt.Chart().mark_line(strokeWidth=2, aria=False)
    outline = outline.encode(x=x, y=y, order=alt.Order("order:Q"), color=colours)
    medians = [median(values) for values in sides.values()]
    layers = [
        style.layer(areas, bars),
        style.layer(outline, _outline(edges, adapter)),
        style.vertical(medians[0], "ink", width=1.5, dashes=[4, 3]),
        style.vertical(medians[1], role, width=1.5),
    ]
    return style.svg(layers, title, how, height=HEIGHT)


def _outline(edges: Sequence[float], counts: Sequence[int]) -> list[dict[str, Any]]:
    """The corners of the steps, from the axis up and back down to it."""
    corners = [(edges[0], 0)]
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        corners += [(left, count), (right, count)]
    corners.append((edges[-1], 0))
    return [{"x": x, "count": y, "order": order, "side": "adapter"} for order, (x, y) in enumerate(corners)]


def _range(values: Sequence[float], info: MetricInfo) -> str:
    low, middle, high = (formatting.value(value, info) for value in (min(values), median(values), max(values)))
    return f"median {middle}, from {low} to {high}"
