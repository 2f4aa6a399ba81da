"""Question by question: the candidate's value over the baseline's."""

from __future__ import annotations

from collections import Counter
from typing import Any

from loralift.records import Comparison
from loralift.reporting import formatting
from loralift.reporting.charts import style
from loralift.reporting.charts.chart import Chart, stem
from loralift.reporting.charts.pairs import Pairs

MOST_POINTS = 2_000
"""Of one chart: more only hide each other."""

POINTS_OF_ALL = 6_000
"""Of all adapters' charts together: a point takes about 270 bytes of the page, which rows must fit in too."""

SIDE = 290
OUTCOMES = {"win": "better", "loss": "worse", "tie": "base"}
"""Outcome to its colour's role, in the legend's order."""

MANY = {"win": "wins", "tie": "ties", "loss": "losses"}
SHAPES = {"win": "triangle-up", "loss": "triangle-down", "tie": "circle"}


def scatter(comparison: Comparison, candidate: str, pairs: Pairs) -> Chart | None:
    """One point a row or question, named by its id alone, so that a page can open it; None without any."""
    if not len(pairs):
        return None
    info = comparison.metrics[comparison.primary]
    counts = Counter(pairs.outcomes(info))
    said = " · ".join(style.counted(counts[known], known, many) for known, many in MANY.items())
    shown = evenly(pairs, most_points(len(comparison.candidates)))
    unit = pairs.unit
    what = "a row" if unit == "row" else "a question, the mean of its answers"
    caption = (
        f"Each point is {what}: {comparison.baseline}'s {info.title} to the right, {candidate}'s upwards. "
        f"{'Above' if info.higher_is_better else 'Below'} the diagonal {candidate} does better."
    )
    how = said
    if len(shown) < len(pairs):
        caption += f" {len(shown):,} of {len(pairs):,} {unit}s are shown, evenly taken; the counts are of all."
        how += f" · {len(shown):,} of {len(pairs):,} {unit}s shown"
    differences = pairs.candidate - pairs.baseline
    least, most = (formatting.difference(float(of), info) for of in (differences.min(), differences.max()))
    title = f"{info.title}, {unit} by {unit}: {style.shorten(candidate, 40)}"
    return Chart(
        name=stem("scatter", candidate),
        title=title,
        caption=caption,
        alt=(
            f"{candidate} against {comparison.baseline} on {info.title}, {style.counted(len(pairs), unit)}: "
            f"{said.replace(' ·', ',')}; differences from {least} to {most}."
        ),
        svg=_draw(comparison, candidate, shown, title, how),
        section="where",
        candidate=candidate,
    )


def most_points(adapters: int) -> int:
    """Points that each of so many adapters' charts may show."""
    return max(1, min(MOST_POINTS, POINTS_OF_ALL // adapters))


def evenly(pairs: Pairs, most: int) -> Pairs:
    """At most so many, at even steps through the rows."""
    if len(pairs) <= most:
        return pairs
    return pairs.take([position * len(pairs) // most for position in range(most)])


def _draw(comparison: Comparison, candidate: str, pairs: Pairs, title: str, how: str) -> str:
    import altair as alt

    info = comparison.metrics[comparison.primary]
    values = [*pairs.baseline.tolist(), *pairs.candidate.tolist()]
    outcomes = pairs.outcomes(info)
    # One scale for both axes, a hair wider than the data: a mark at the edge stays whole.
    room = (max(values) - min(values)) * 0.03 or 0.5
    domain = [min(values) - room, max(values) + room]
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    ends = [{"x": end, "y": end} for end in domain]
    points = [
        {"x": x, "y": y, "outcome": outcome, "id": style.printable(name)}
        for x, y, outcome, name in zip(
            pairs.baseline.tolist(), pairs.candidate.tolist(), outcomes, pairs.ids, strict=True
        )
    ]
    axes = [alt.Axis(title=style.shorten(name, 40), tickCount=6) for name in (comparison.baseline, candidate)]
    diagonal = alt.Chart().mark_line(stroke=style.PALETTE["ink"], strokeWidth=1, aria=False)
    layers = [
        style.layer(diagonal.encode(x=alt.X("x:Q"), y=alt.Y("y:Q")), ends),
        style.layer(
            style.points(26, opacity=0.6).encode(
                x=alt.X("x:Q", scale=scale, axis=axes[0]),
                y=alt.Y("y:Q", scale=scale, axis=axes[1]),
                description=alt.Description("id:N"),
                **_marks(set(outcomes)),
            ),
            points,
        ),
    ]
    return style.svg(layers, title, how, height=SIDE, width=style.NARROW, square=True)


def _marks(outcomes: set[str]) -> dict[str, Any]:
    import altair as alt

    legend = alt.Legend(values=[known for known in OUTCOMES if known in outcomes], columns=3, symbolOpacity=1)
    colours = alt.Scale(domain=list(OUTCOMES), range=[style.PALETTE[role] for role in OUTCOMES.values()])
    shapes = alt.Scale(domain=list(OUTCOMES), range=[SHAPES[known] for known in OUTCOMES])
    return {
        "color": alt.Color("outcome:N", scale=colours, legend=legend),
        "shape": alt.Shape("outcome:N", scale=shapes, legend=legend),
    }
