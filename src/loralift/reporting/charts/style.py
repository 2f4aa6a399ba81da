"""How the charts look: colours, shapes, letters, and the one way in which a specification becomes an SVG."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from loralift.records import MetricInfo
from loralift.visible import clipped, visible

Layer = dict[str, Any]
"""One mark with its encoding and its data, as Vega-Lite writes it."""

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

PALETTE = {
    "ink": "#24292f",
    "muted": "#57606a",
    "grid": "#d8dee4",
    "paper": "#ffffff",
    "band": "#cfe4f7",
    "better": "#00744f",
    "worse": "#a3142e",
    "equivalent": "#3a86d0",
    "inconclusive": "#b58100",
    "base": "#7d8793",
    "adapter1": "#2472c4",
    "adapter2": "#d4690a",
    "adapter3": "#5c2d91",
    "adapter4": "#055f49",
    "adapter5": "#4a0d2b",
    "adapter6": "#514c14",
}
"""Role to colour: told apart in print and by the colour blind too; the page's style sheet turns them for the dark."""

VERDICT_SHAPES = {"better": "triangle-up", "worse": "triangle-down", "equivalent": "square", "inconclusive": "diamond"}
BASE_SHAPE = "circle"
ADAPTER_SHAPES = ("square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")
"""Seven beside six colours: the first 42 adapters differ."""

ADAPTERS = tuple(role for role in PALETTE if role.startswith("adapter"))

WIDE = 460
NARROW = 340
FONT_SIZE = 11
TITLE_SIZE = 13
# Pixels a letter, with room for a browser whose sans-serif is wider than the one measured here.
LETTER = 6.3
TITLE_LETTER = 7.6
LABEL_LETTER = 5.7
NUMBERS_ROOM = 44
LEGEND_LETTERS = 20
ROOM = 10
PADDING = 8

SIGNED = "datum.value == 0 ? '0' : format(datum.value, '+,.4~r')"
"""A Vega expression: the label of a tick on an axis of differences."""

MOST_SAID = 1_000
MOST_IN_TITLE = 200

_NO_XML = re.compile(r"[\ufffe\uffff]")


def shorten(text: str, most: int) -> str:
    """At most so many letters; what goes is the middle, since names of adapters differ at their ends."""
    text = text if len(text) <= MOST_SAID else text[:most] + text[-most:]
    text = _NO_XML.sub(" ", visible(text))
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def printable(text: str) -> str:
    """What a picture says: control characters escaped, none that XML knows no way to write, and no megabytes."""
    return _NO_XML.sub(" ", visible(clipped(text, MOST_SAID)))


def lookup(labels: Mapping[str, str]) -> str:
    """A Vega expression that labels a tick by its key: two long names that look alike when shortened stay apart."""
    return f"({json.dumps(dict(labels))})[datum.value]"


def adapter_keys(names: Sequence[str]) -> dict[str, str]:
    """Each adapter's name to a key for the data of a chart."""
    return {name: f"a{position}" for position, name in enumerate(names)}


def adapter_role(position: int) -> str:
    """The colour, as a key of ``PALETTE``, of the adapter at this position among the comparison's candidates."""
    return ADAPTERS[position % len(ADAPTERS)]


def adapter_colour(position: int) -> str:
    """The same as a hex number."""
    return PALETTE[adapter_role(position)]


def adapter_shape(position: int) -> str:
    """Its shape."""
    return ADAPTER_SHAPES[position % len(ADAPTER_SHAPES)]


def side_by_side(candidates: Sequence[str], baseline: str | None = None) -> dict[str, Any]:
    """Encodings of the field ``key``: each adapter, and perhaps the baseline first, with its own row, colour and shape.

    Returns:
        ``yOffset``, ``color`` and ``shape``; lines take the first two.
    """
    import altair as alt

    places = range(len(candidates))
    names = dict(zip(adapter_keys(candidates).values(), candidates, strict=True))
    colours, shapes = [adapter_colour(place) for place in places], [adapter_shape(place) for place in places]
    if baseline is not None:
        names = {"base": baseline} | names
        colours, shapes = [PALETTE["base"], *colours], [BASE_SHAPE, *shapes]
    labels = lookup({key: shorten(name, LEGEND_LETTERS) for key, name in names.items()})
    legend = alt.Legend(labelExpr=labels, columns=2, symbolSize=60)
    keys = list(names)
    return {
        "yOffset": alt.YOffset("key:N", scale=alt.Scale(domain=keys, paddingOuter=0.8)),
        "color": alt.Color("key:N", scale=alt.Scale(domain=keys, range=colours), legend=legend),
        "shape": alt.Shape("key:N", scale=alt.Scale(domain=keys, range=shapes), legend=legend),
    }


def axis_title(info: MetricInfo, words: str = "") -> str:
    """The metric, or what is said of it, with its unit."""
    return (words or shorten(info.title, 42)) + (f" ({shorten(info.unit, 20)})" if info.unit else "")


def counted(number: int, what: str, many: str = "") -> str:
    """``1 row``, ``1,200 rows``."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def direction(info: MetricInfo) -> str:
    """Where better is on an axis of the metric's differences."""
    return "→ better" if info.higher_is_better else "← better"


def name_axis(labels: Mapping[str, str], **more: Any) -> Any:
    """The axis of names on the left: keys to labels, without a line."""
    import altair as alt

    return alt.Axis(title=None, labelExpr=lookup(labels), ticks=False, domain=False, **more)


def roomy(room: int = ROOM) -> Any:
    """A scale with room at both ends, in pixels: no mark lies on the frame or on a label."""
    import altair as alt

    return alt.Scale(nice=False, padding=room)


def rules() -> Any:
    """Bars of intervals, as thin as lines."""
    import altair as alt

    return alt.Chart().mark_rule(strokeWidth=2, aria=False)


def points(size: int, opacity: float = 1) -> Any:
    """Filled marks, whose colour and shape the encoding gives; size in square pixels."""
    import altair as alt

    return alt.Chart().mark_point(filled=True, opacity=opacity, size=size)


def layer(marks: Any, rows: Sequence[Mapping[str, Any]]) -> Layer:
    """Altair's marks over these rows; joined here, because Altair would copy the rows several times."""
    drawn = marks.to_dict(validate=False)
    return {"data": {"values": [dict(row) for row in rows]}, "mark": drawn["mark"], "encoding": drawn["encoding"]}


def vertical(at: float, role: str = "ink", *, width: float = 1, dashes: Sequence[int] = ()) -> Layer:
    """A line from top to bottom; without more, at zero, where nothing differs.

    Args:
        at: Where on the x axis.
        role: A key of ``PALETTE``.
        width: In pixels.
        dashes: Pixels on and off; none: drawn through.
    """
    import altair as alt

    line = alt.Chart().mark_rule(stroke=PALETTE[role], strokeWidth=width, strokeDash=list(dashes), aria=False)
    return layer(line.encode(x=alt.X("x:Q")), [{"x": at}])


def svg(
    layers: Sequence[Layer],
    title: str,
    subtitle: str,
    *,
    height: int,
    width: int = WIDE,
    labels: Mapping[str, str] | None = None,
    square: bool = False,
) -> str:
    """Draw the layers over each other.

    Args:
        layers: The lowest first.
        title: Wrapped to the width.
        subtitle: Wrapped too; what a reader of the picture alone must know.
        height: Of the plot, in pixels; labels, legends and titles come on top.
        width: Of the whole picture, in pixels, to within a few: Vega's own fitting would draw everything twice.
        labels: On the left; none: numbers.
        square: Whether the plot is as wide as it is high, whatever the whole picture's width comes to.
    """
    import vl_convert

    left = round(LABEL_LETTER * max(map(len, labels.values()))) + 10 if labels else NUMBERS_ROOM
    specification = {
        "$schema": SCHEMA,
        "title": {
            "text": _wrapped(shorten(title, MOST_IN_TITLE), width / TITLE_LETTER),
            "subtitle": _wrapped(subtitle, width / LETTER),
        },
        "layer": list(layers),
        "width": height if square else width - 2 * PADDING - left,
        "height": height,
        "padding": PADDING,
        "background": PALETTE["paper"],
        "config": config(),
    }
    drawn: str = vl_convert.vegalite_to_svg(specification)
    return drawn


def _wrapped(text: str, letters: float) -> list[str]:
    """Lines of at most so many letters; a name with hyphens stays whole."""
    return textwrap.wrap(printable(text), int(letters), break_on_hyphens=False)


def config() -> dict[str, Any]:
    """Letters and colours of every picture, as Vega-Lite's configuration."""
    letters = {"labelFontSize": FONT_SIZE, "titleFontSize": FONT_SIZE, "titleFontWeight": "normal"}
    colours = {"labelColor": PALETTE["ink"], "titleColor": PALETTE["muted"]}
    return {
        "font": "sans-serif",
        "view": {"stroke": None},
        "title": {
            **{"anchor": "start", "frame": "bounds", "fontSize": TITLE_SIZE, "subtitleFontSize": FONT_SIZE},
            **{"color": PALETTE["ink"], "subtitleColor": PALETTE["muted"], "offset": 10, "subtitlePadding": 4},
        },
        "axis": {
            **{**letters, **colours, "gridColor": PALETTE["grid"], "tickColor": PALETTE["muted"]},
            **{"domainColor": PALETTE["muted"], "labelLimit": 0, "titlePadding": 6, "labelFlush": False},
        },
        "legend": {
            **{**letters, **colours, "labelLimit": 0, "orient": "top", "rowPadding": 3, "title": None},
            **{"offset": 8, "columnPadding": 14},
        },
        "text": {"fontSize": FONT_SIZE, "color": PALETTE["ink"]},
    }
