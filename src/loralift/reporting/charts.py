"""The charts as PNG files."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from loralift.records import Comparison, MetricComparison

# Colours that also differ in lightness, so that they survive print and colour blindness.
VERDICT_COLOURS = {
    "better": "#1a7f37",
    "worse": "#cf222e",
    "equivalent": "#0969da",
    "inconclusive": "#8c6d1f",
}
DPI = 150


def differences(comparison: Comparison) -> bytes:
    """Every judged metric's difference with its 95 % CI, each in its own unit, as a PNG.

    A panel a metric; a line a candidate; zero marked; the equivalence margin shaded.
    """
    from matplotlib.figure import Figure

    judged = [info for info in comparison.metrics.values() if info.higher_is_better is not None]
    columns = min(3, len(judged))
    rows = -(-len(judged) // columns)
    height = (1.1 + 0.28 * len(comparison.candidates)) * rows + 0.9
    figure = Figure(figsize=(3.6 * columns + 0.8, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, info in zip(axes, judged, strict=False):
        _panel(axis, [row for row in comparison.rows if row.metric == info.name])
        better = "→ better" if info.higher_is_better else "← better"
        mark = " ★" if info.name == comparison.primary else ""
        axis.set_title(f"{info.title}{mark}  ({better})", fontsize=9, loc="left")
    for axis in axes[len(judged) :]:
        axis.set_visible(False)
    figure.suptitle(f"Difference from {comparison.baseline}, with 95 % CI", fontsize=11, x=0.01, ha="left")
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    return picture.getvalue()


def _panel(axis: Any, rows: list[MetricComparison]) -> None:
    axis.axvline(0, color="#57606a", linewidth=1)
    margins = [row.margin for row in rows if row.margin]
    if margins:
        axis.axvspan(-margins[0], margins[0], color="#0969da", alpha=0.10, linewidth=0)
    for position, row in enumerate(rows):
        if row.difference is None:
            continue
        colour = VERDICT_COLOURS[row.verdict or "inconclusive"]
        if row.interval is not None:
            axis.plot([row.interval.low, row.interval.high], [position, position], color=colour, linewidth=2)
        axis.plot([row.difference], [position], "o", color=colour, markersize=5)
    axis.set_yticks(range(len(rows)), [row.candidate for row in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(axis="x", labelsize=8)
    axis.locator_params(axis="x", nbins=4)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
