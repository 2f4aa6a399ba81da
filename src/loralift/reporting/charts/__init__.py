"""The charts of a report: static SVGs, made with Altair (Vega-Lite) and drawn by vl-convert.

Each stands in the page as it is, and travels alone as a PNG, so what a reader must know stands in the picture too.
Altair and vl-convert take a second to load and are imported when the first chart is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from loralift.records import Comparison, Report
from loralift.reporting.charts.answers import failure_shares, lengths
from loralift.reporting.charts.chart import Chart
from loralift.reporting.charts.contributions import contributions
from loralift.reporting.charts.differences import difference
from loralift.reporting.charts.distribution import distribution
from loralift.reporting.charts.effects import effects
from loralift.reporting.charts.pairs import pairs_of
from loralift.reporting.charts.scatter import scatter
from loralift.reporting.charts.slices import slices
from loralift.reporting.charts.style import PALETTE
from loralift.reporting.charts.sweep import MOST_AXES, sweep_chart
from loralift.reporting.matrices import best_first, judged_metrics

__all__ = ["PALETTE", "Chart", "draw", "drawers", "drawn_alone", "leading", "png"]

Drawer = Callable[[], Chart | None]

PNG_SCALE = 2

MOST_ALONE = 12
"""Candidates up to which each has four charts of its own."""


def draw(report: Report) -> tuple[Chart, ...]:
    """Every chart that the report's data allow, in reading order; none without a comparison."""
    return tuple(chart for _, drawer in drawers(report) if (chart := drawer()) is not None)


def png(chart: Chart) -> bytes:
    """The very same picture, two pixels for one."""
    import vl_convert

    picture: bytes = vl_convert.svg_to_png(chart.svg, scale=PNG_SCALE)
    return picture


def leading(charts: Sequence[Chart]) -> tuple[Chart, ...]:
    """Those that a page shows which has room for few: the effects, the sweep's curve, and the metric that decides."""
    differences = [chart for chart in charts if chart.name.startswith("difference-")]
    curves = [chart for chart in charts if chart.name.startswith("sweep-")]
    return (*(chart for chart in charts if chart.name == "effects"), *curves[:1], *differences[:1])


def drawn_alone(comparison: Comparison) -> tuple[str, ...]:
    """The candidates that have charts of their own: all, or of many the first and the last by the primary metric."""
    if len(comparison.candidates) <= MOST_ALONE:
        return comparison.candidates
    order = best_first(comparison)
    return (order[0], order[-1])


def drawers(report: Report) -> Iterator[tuple[str, Drawer]]:
    """What each chart is called, and what draws it; that gives None where the data do not allow it."""
    comparison = report.comparison
    if comparison is None:
        return
    yield "effects", _unchecked(effects, comparison)
    if (sweep := report.sweep) is not None:
        for axis in sweep.axes[:MOST_AXES]:
            yield f"sweep-{axis.field}", _unchecked(sweep_chart, comparison, sweep, axis)
    for info in judged_metrics(comparison):
        yield f"difference-{info.name}", _unchecked(difference, comparison, info)
    alone = drawn_alone(comparison)
    for candidate in alone:
        pairs = pairs_of(report, comparison, candidate)
        yield f"distribution-{candidate}", _unchecked(distribution, comparison, candidate, pairs)
        yield f"scatter-{candidate}", _unchecked(scatter, comparison, candidate, pairs)
        yield f"slices-{candidate}", _unchecked(slices, comparison, candidate, report.confounds.slices)
    for candidate in alone:
        parts = report.confounds.contributions
        yield f"contributions-{candidate}", _unchecked(contributions, comparison, candidate, parts)
    yield "lengths", _unchecked(lengths, report, comparison)
    yield "failures", _unchecked(failure_shares, report, comparison)


def _unchecked[**Given](draws: Callable[Given, Chart | None], *given: Given.args, **named: Given.kwargs) -> Drawer:
    """Without Altair's validation: it takes as long as the drawing, and the tests have done it."""

    def drawer() -> Chart | None:
        from altair.utils.schemapi import debug_mode

        with debug_mode(False):
            return draws(*given, **named)

    return drawer
