"""What the answers are like: how long, and how often they fail."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from loralift.records import Comparison, Report
from loralift.reporting.charts import style
from loralift.reporting.charts.chart import Chart
from loralift.reporting.failures import FailureMode, failures, own_answers, tallied
from loralift.reporting.formatting import percent
from loralift.reporting.tally import NOWHERE

REFERENCES = "references"
TWENTIETHS = {"q05": 0, "q25": 4, "q50": 9, "q75": 14, "q95": 18}
"""Where the quantiles stand among the 19 that cut the values into twenty parts."""


def lengths(report: Report, comparison: Comparison) -> Chart | None:
    """Words of the references and of each variant's answers, by quantiles; None without any text of them."""
    tally = tallied(report)
    words = {"reference": tally.reference_words.tolist() if report.has("reference") else []}
    names = {"reference": REFERENCES}
    for key, variant in _variants(comparison).items():
        words[key] = tally.words[variant][tally.words[variant] != NOWHERE].tolist()
        names[key] = variant
    rows: list[dict[str, Any]] = [{"key": key, **_quantiles(counts)} for key, counts in words.items() if counts]
    if not rows:
        return None
    how = _with_own("line: 5 to 95 % of the texts · box: 25 to 75 % · mark and number: median", report)
    figures = "; ".join(f"{names[row['key']]}: {_five(row)}" for row in rows)
    return Chart(
        name="lengths",
        title="Length of the answers",
        caption=(
            "Words of the references and of each variant's answers: the line holds the middle 90 % of the texts, the "
            "box the middle half, the mark is the median."
        ),
        alt=f"Words per text, quantiles at 5, 25, 50, 75 and 95 %: {figures}.",
        svg=_draw_lengths(comparison, names, rows, how),
        section="why",
    )


def failure_shares(report: Report, comparison: Comparison) -> Chart | None:
    """Share of each variant's answers with each failure mode that occurs; None where none does."""
    modes = [mode for mode in failures(report) if mode.occurs]
    if not modes:
        return None
    figures = "; ".join(
        f"{mode.title}: " + ", ".join(f"{count.variant} {percent(count.share)}" for count in mode.counts)
        for mode in modes
    )
    return Chart(
        name="failures",
        title="How answers fail",
        caption=(
            "Share of each variant's answers that fail in a way that can be counted; an answer may fail in several. "
            "Far shorter, far longer: fewer than a quarter, more than four times the reference's words."
        ),
        alt=f"Share of answers that fail: {figures}.",
        svg=_draw_failures(report, comparison, modes),
        section="why",
    )


def _with_own(how: str, report: Report) -> str:
    """What stands below a title, with how many answers there are of each where one lacks some that another has."""
    return " · ".join(filter(None, (how, own_answers(report))))


def _variants(comparison: Comparison) -> dict[str, str]:
    """Key in the data to variant."""
    adapters = style.adapter_keys(comparison.candidates)
    return {"base": comparison.baseline} | {key: name for name, key in adapters.items()}


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(values if len(values) > 1 else [*values, *values], n=20, method="inclusive")
    return {name: cuts[place] for name, place in TWENTIETHS.items()}


def _five(row: dict[str, Any]) -> str:
    return ", ".join(f"{row[name]:.0f}" for name in TWENTIETHS)


def _colours(comparison: Comparison, **others: str) -> dict[str, str]:
    places = range(len(comparison.candidates))
    return others | {f"a{place}": style.adapter_colour(place) for place in places}


def _draw_lengths(comparison: Comparison, names: dict[str, str], rows: list[dict[str, Any]], how: str) -> str:
    import altair as alt

    colours = _colours(comparison, reference=style.PALETTE["muted"], base=style.PALETTE["base"])
    keys = [row["key"] for row in rows]
    labels = {key: style.shorten(name, 24) for key, name in names.items()}
    axis = style.name_axis(labels)
    shared = {
        "y": alt.Y("key:N", scale=alt.Scale(domain=keys), axis=axis),
        "color": alt.Color("key:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=None),
    }
    furthest = max(row["q95"] for row in rows) or 1.0
    # Room to the right for the number beside the longest line.
    scale = alt.Scale(domain=[-furthest / 60, furthest * 1.12], nice=False, zero=False)
    x_axis = alt.Axis(title="words", tickCount=6, format=",d")
    texts = [
        row | {"text": f"{row['q50']:,.0f}", "said": style.printable(f"{names[row['key']]}: {_five(row)}")}
        for row in rows
    ]
    boxes = alt.Chart().mark_bar(size=12, aria=False)
    medians = alt.Chart().mark_tick(thickness=2, size=16, color=style.PALETTE["ink"], opacity=1)
    words = alt.Chart().mark_text(align="left", dx=5, aria=False)
    marks = [
        style.rules().encode(x=alt.X("q05:Q", scale=scale, axis=x_axis), x2=alt.X2("q95:Q"), **shared),
        boxes.encode(x=alt.X("q25:Q"), x2=alt.X2("q75:Q"), **shared),
        medians.encode(x=alt.X("q50:Q"), y=shared["y"], description=alt.Description("said:N")),
        words.encode(x=alt.X("q95:Q"), y=shared["y"], text=alt.Text("text:N")),
    ]
    layers = [style.layer(mark, texts) for mark in marks]
    return style.svg(layers, "Length of the answers", how, height=24 * len(rows), labels=labels)


def _draw_failures(report: Report, comparison: Comparison, modes: Sequence[FailureMode]) -> str:
    import altair as alt

    variants = _variants(comparison)
    keys = {variant: key for key, variant in variants.items()}
    points = [
        {
            **{"mode": mode.name, "key": keys[count.variant], "share": count.share, "zero": 0},
            "said": style.printable(f"{mode.title}, {count.variant}: {percent(count.share)}"),
        }
        for mode in modes
        for count in mode.counts
        if count.variant in keys
    ]
    labels = {mode.name: style.shorten(mode.title, 24) for mode in modes}
    axis = style.name_axis(labels, grid=True, tickBand="extent")
    y = alt.Y("mode:N", scale=alt.Scale(domain=list(labels), padding=0), axis=axis)
    sides = style.side_by_side(comparison.candidates, comparison.baseline)
    shape = sides.pop("shape")
    shared = {"y": y, **sides}
    x_axis = alt.Axis(title="share of answers", format="~%", tickCount=6)
    stems = style.rules().encode(x=alt.X("zero:Q"), x2=alt.X2("share:Q"), **shared)
    dots = style.points(45).encode(
        x=alt.X("share:Q", axis=x_axis, scale=style.roomy()),
        shape=shape,
        description=alt.Description("said:N"),
        **shared,
    )
    layers = [style.layer(marks, points) for marks in (stems, dots)]
    how = _with_own("share of each variant's answers; one answer may fail in several ways", report)
    height = max(22, 10 * len(variants) + 8) * len(modes)
    return style.svg(layers, "How answers fail", how, height=height, labels=labels)
