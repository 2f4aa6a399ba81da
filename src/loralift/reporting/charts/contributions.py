"""What a difference is made of: how much each kind of pairs adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loralift.records import Comparison, Contribution, MetricInfo
from loralift.reporting import formatting, tables
from loralift.reporting.charts import style
from loralift.reporting.charts.chart import Chart, stem

CAPTION = (
    "An answer is unsound that is empty, ends in a loop, runs on into a next question or only copies the question. "
    "Each row's difference counts in one line, over the number of all rows, so the lines sum to the whole difference. "
    "This is arithmetic, not cause."
)


def contributions(comparison: Comparison, candidate: str, parts: Sequence[Contribution]) -> Chart | None:
    """One candidate's difference by which answers of a pair are sound; None where all are, or it is not parted."""
    own = [part for part in parts if part.candidate == candidate and part.rows]
    if all(part.kind == "both sound" for part in own):
        return None
    overall = tables.primary_row(comparison, candidate)
    info = comparison.metrics[overall.metric]
    whole = formatting.difference(overall.difference, info)
    title = f"What {info.title}'s difference is made of: {style.shorten(candidate, 40)}"
    how = f"bars: 95 % CI · dashed: their sum, {whole} · (number of rows) · {style.direction(info)}"
    said = "; ".join(_said(comparison, part, info) for part in own)
    return Chart(
        name=stem("contributions", candidate),
        title=title,
        caption=CAPTION,
        alt=f"{candidate}, {info.title}, difference from {comparison.baseline}: {whole} in all; {said}.",
        svg=_draw(comparison, info, own, overall.difference, title, how),
        section="why",
        candidate=candidate,
    )


def _draw(
    comparison: Comparison, info: MetricInfo, parts: Sequence[Contribution], whole: float | None, title: str, how: str
) -> str:
    import altair as alt

    points: list[dict[str, Any]] = [
        {
            **{"key": part.kind, "x": part.contribution, "said": style.printable(_said(comparison, part, info))},
            **({"low": part.interval.low, "high": part.interval.high} if part.interval else {}),
        }
        for part in parts
    ]
    labels: dict[str, str] = {part.kind: f"{_title(comparison, part, 14)} ({part.rows:,})" for part in parts}
    y = alt.Y("key:N", scale=alt.Scale(domain=list(labels)), axis=style.name_axis(labels))
    words = f"contribution to the difference from {style.shorten(comparison.baseline, 20)}"
    x_axis = alt.Axis(title=style.axis_title(info, words), labelExpr=style.SIGNED, tickCount=5)
    colour = alt.value(style.PALETTE["base"])
    bars = style.rules().encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=y, color=colour)
    x = alt.X("x:Q", axis=x_axis, scale=style.roomy())
    dots = style.points(70).encode(x=x, y=y, color=colour, description=alt.Description("said:N"))
    layers = [style.vertical(0), style.layer(bars, [row for row in points if "low" in row]), style.layer(dots, points)]
    if whole is not None:
        layers.insert(1, style.vertical(whole, "muted", dashes=[4, 3]))
    return style.svg(layers, title, how, height=26 * len(parts), labels=labels)


def _title(comparison: Comparison, part: Contribution, most: int) -> str:
    """A kind of pairs for people, with the variants' names."""
    names = {"baseline": comparison.baseline, "candidate": part.candidate}
    return " ".join(style.shorten(names.get(word, word), most) for word in part.kind.split())


def _said(comparison: Comparison, part: Contribution, info: MetricInfo) -> str:
    amount = f"{formatting.difference(part.contribution, info)} {formatting.interval(part.interval, info)}".rstrip()
    return f"{_title(comparison, part, 40)} ({part.rows:,} rows) {amount}"
