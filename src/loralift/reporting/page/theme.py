"""Colours of charts in the dark, and the little pictures that the page draws itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loralift.records import Comparison
from loralift.reporting.tables import primary_row

DARK = {
    "ink": "#e9e6df",
    "muted": "#a8a49b",
    "grid": "#35373d",
    "band": "#24364a",
    "better": "#5fc98a",
    "worse": "#ff8a80",
    "equivalent": "#7ab8ff",
    "inconclusive": "#dcb45a",
    "base": "#97a1ae",
    "adapter1": "#6fb1f5",
    "adapter2": "#f0974a",
    "adapter3": "#b794e6",
    "adapter4": "#4cc9bf",
    "adapter5": "#ec8dbd",
    "adapter6": "#c7b84f",
}
"""Role of a colour in the charts' palette to the same role's colour on a dark page."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A candidate's interval on a scale that all candidates share, each place in [0, 100].

    Attributes:
        zero: Of no difference.
        low: The interval's lower end.
        high: Its upper end.
        point: The difference.
        margin: Lower and upper end of the equivalence margin; None: none was declared.
    """

    zero: float
    low: float
    high: float
    point: float
    margin: tuple[float, float] | None


def chart_css(palette: Mapping[str, str]) -> str:
    """Style rules that give the charts' colours their dark counterparts, by attribute: a static SVG has no classes."""
    names = [
        # Paper is the page's own, so that no chart stands on a sheet of another white.
        f"--chart-{role}:{'var(--paper)' if role == 'paper' else f'light-dark({colour},{DARK.get(role, colour)})'}"
        for role, colour in palette.items()
    ]
    rules = [
        f'.plot [{attribute}="{colour}" i]{{{attribute}:var(--chart-{role})}}'
        for role, colour in palette.items()
        for attribute in ("fill", "stroke", "stop-color")
    ]
    return "\n".join([f":root{{{';'.join(names)}}}", *rules])


def strips(comparison: Comparison) -> dict[str, Strip]:
    """The primary metric's interval of each candidate that has one."""
    rows = {name: primary_row(comparison, name) for name in comparison.candidates}
    ends = [0.0]
    for row in rows.values():
        margin = row.margin or 0.0
        bounds = (row.interval.low, row.interval.high) if row.interval else ()
        ends += [-margin, margin, *bounds]
    reach = (max(ends) - min(ends)) or 1.0
    start, scale = min(ends) - 0.05 * reach, 100 / (1.1 * reach)

    def place(value: float) -> float:
        return round((value - start) * scale, 2)

    return {
        name: Strip(
            place(0.0),
            place(row.interval.low),
            place(row.interval.high),
            place(row.difference),
            (place(-row.margin), place(row.margin)) if row.margin else None,
        )
        for name, row in rows.items()
        if row.interval is not None and row.difference is not None
    }
