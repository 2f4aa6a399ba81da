"""The picture of the results: whole processes above, generation alone below."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from loralift.reporting.charts import style

OURS, RIVAL = style.PALETTE["adapter1"], style.PALETTE["base"]
BAR = 22
SCALE = 2
# Of the axis beyond the longest bar, for its figure.
ROOM = 1.15


def write(results: Mapping[str, Any], path: Path) -> None:
    """Draw both halves under each other."""
    whole = [
        _bar(name, found["median_seconds"], _seconds(found["median_seconds"]), extrapolated=found["extrapolated"])
        for name, found in results["whole_process"].items()
    ]
    speeds = [
        _bar(name, found["median_tokens_per_second"], f"{found['median_tokens_per_second']:,.0f}")
        for name, found in results["generation"]["ways"].items()
    ]
    work, machine = results["workload"], results["machine"]
    about = f"{work['rows']['whole_process']:,} rows x {work['new_tokens']} new tokens, base and adapter"
    place = f"{work['model'].partition(',')[0]}, {machine['cores']} cores ({machine['cpu']})"
    halves = [
        _half(
            whole,
            "Seconds from command to result",
            f"{about} · fewer is better · * extrapolated from a few rows",
            "seconds",
        ),
        _half(speeds, "Generation alone", f"{place} · tokens a second, more is better", "tokens/s"),
    ]
    drawn = alt.vconcat(*halves, background=style.PALETTE["paper"], padding=style.PADDING).to_dict()
    drawn["config"] = style.config()
    path.write_bytes(vl_convert.vegalite_to_png(drawn, scale=SCALE))


def _bar(name: str, value: float, words: str, *, extrapolated: bool = False) -> dict[str, Any]:
    mark = "*" if extrapolated else ""
    return {"way": name + mark, "value": value, "words": words + mark, "ours": name.startswith("LoraLift")}


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value < 600 else f"{value / 60:,.0f} min"


def _half(bars: list[dict[str, Any]], title: str, subtitle: str, unit: str) -> Any:
    longest = max(bar["value"] for bar in bars)
    y = alt.Y("way:N", sort=[bar["way"] for bar in bars], axis=alt.Axis(title=None, labelLimit=0))
    x = alt.X(
        "value:Q", axis=alt.Axis(title=unit, tickCount=5), scale=alt.Scale(domain=[0, longest * ROOM], nice=False)
    )
    colour = alt.condition("datum.ours", alt.value(OURS), alt.value(RIVAL))
    base = alt.Chart(alt.Data(values=bars)).encode(x=x, y=y)
    words = base.mark_text(align="left", dx=4).encode(text="words:N")
    return (base.mark_bar().encode(color=colour) + words).properties(
        title=alt.Title(title, subtitle=subtitle), width=style.WIDE, height=BAR * len(bars)
    )


if __name__ == "__main__":
    # draws again what was measured: python -m benchmarks.chart RESULTS.json
    source = Path(sys.argv[1])
    write(json.loads(source.read_text(encoding="utf-8")), source.with_suffix(".png"))
