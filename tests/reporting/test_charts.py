from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import altair
import numpy as np
import pytest
import vl_convert

from loralift.records import Ids, Report
from loralift.reporting import charts, formatting
from loralift.reporting.charts import PALETTE, Chart, style
from loralift.reporting.charts.distribution import counts_in, edges_of
from loralift.reporting.charts.effects import LARGEST
from loralift.reporting.charts.pairs import Pairs, difference_of
from loralift.reporting.charts.scatter import MOST_POINTS, POINTS_OF_ALL, evenly, most_points
from tests.reporting.many import INFOS, LONG, report_of, row_id

SHAPES = {"svg", "g", "rect", "path", "line", "text", "tspan"}


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(("up", LONG.format(2)), 60)


@pytest.fixture(scope="module")
def drawn(report: Report) -> dict[str, Chart]:
    return {chart.name: chart for chart in charts.draw(report)}


def parsed(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(chart.svg)


def labels(chart: Chart) -> list[str]:
    return [
        element.attrib["aria-label"]
        for element in parsed(chart).iter()
        if element.get("aria-roledescription") in ("point", "tick") and "aria-label" in element.attrib
    ]


def texts(chart: Chart) -> list[str]:
    return ["".join(element.itertext()) for element in parsed(chart).iter("{http://www.w3.org/2000/svg}text")]


def test_every_chart_is_there_in_reading_order(drawn: dict[str, Chart]) -> None:
    long = LONG.format(2)
    of_each = [f"{kind}-{name}" for name in ("up", long) for kind in ("distribution", "scatter", "slices")]
    differences = ["difference-f1", "difference-ppl", "difference-same"]
    assert list(drawn) == ["effects", *differences, *of_each, "contributions-up", "lengths", "failures"]
    assert [chart.section for chart in drawn.values()] == ["change"] * 4 + ["where"] * 6 + ["why"] * 3
    assert {chart.candidate for chart in drawn.values()} == {None, "up", long}
    assert charts.leading(tuple(drawn.values())) == (drawn["effects"], drawn["difference-f1"])


def test_no_comparison_no_chart(report: Report) -> None:
    assert charts.draw(dataclasses.replace(report, comparison=None)) == ()


@pytest.mark.parametrize(("adapters", "rows"), [(1, 1), (1, 2), (10, 12)])
def test_the_smallest_and_the_largest_report_are_drawn(adapters: int, rows: int) -> None:
    found = charts.draw(report_of([LONG.format(i) for i in range(adapters)], rows))
    for chart in found:
        parsed(chart)
    assert sum(chart.name.startswith("scatter") for chart in found) == adapters
    assert "lengths" in {chart.name for chart in found}
    assert ("effects" in {chart.name for chart in found}) == (rows > 1)


def test_rows_without_values_or_answers_leave_charts_out_and_break_nothing(report: Report) -> None:
    bare = tuple(dataclasses.replace(row, answers={}, values={}) for row in report.rows)
    found = {chart.name for chart in charts.draw(dataclasses.replace(report, rows=bare))}
    assert not any(name.startswith(("scatter", "distribution", "failures")) for name in found)
    assert "effects" in found


def test_an_svg_stands_alone_and_among_others(drawn: dict[str, Chart]) -> None:
    for chart in drawn.values():
        root = parsed(chart)
        assert {element.tag.rpartition("}")[2] for element in root.iter()} <= SHAPES
        assert not any("id" in element.attrib or "clip-path" in element.attrib for element in root.iter())
        assert 300 <= float(root.attrib["width"]) <= 500
        sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)px"', chart.svg)]
        assert min(sizes) >= 11
        families = {element.attrib["font-family"] for element in root.iter() if "font-family" in element.attrib}
        assert families == {"sans-serif"}


def test_every_colour_is_one_of_the_palette_and_no_role_shares_one(drawn: dict[str, Chart]) -> None:
    assert len(set(PALETTE.values())) == len(PALETTE)
    used = {colour for chart in drawn.values() for colour in re.findall(r'(?:fill|stroke)="([^"]+)"', chart.svg)}
    assert used - {"none"} <= set(PALETTE.values())


def test_what_a_chart_says_in_words_are_the_figures_of_the_comparison(report: Report, drawn: dict[str, Chart]) -> None:
    assert report.comparison is not None
    for row in report.comparison.rows:
        if row.verdict is None:
            continue
        assert f"{row.candidate}: {_signed(row.difference, row.metric)} [" in drawn[f"difference-{row.metric}"].alt
        assert row.verdict in drawn[f"difference-{row.metric}"].alt
        if row.effect_size is not None:
            turned = row.effect_size * (1 if INFOS[row.metric].higher_is_better else -1)
            size = formatting.effect(turned)
            said = f"{INFOS[row.metric].title}, {row.candidate}: {size}"
            assert said in drawn["effects"].alt
            assert any(label.startswith(said) for label in labels(drawn["effects"]))


def test_a_metric_without_spread_has_no_point_and_the_caption_says_so(drawn: dict[str, Chart]) -> None:
    assert "No point for Exact match: there the differences of the rows have no spread." in drawn["effects"].caption
    assert "Exact match" not in texts(drawn["effects"])


def test_a_metric_that_was_not_scored_is_not_said_to_have_no_spread(report: Report) -> None:
    assert report.comparison is not None
    gone = {"n": 0, "difference": None, "effect_size": None, "deviation": None}
    rows = tuple(
        dataclasses.replace(row, **gone) if row.metric == "ppl" else row  # type: ignore[arg-type]
        for row in report.comparison.rows
    )
    comparison = dataclasses.replace(report.comparison, rows=rows)
    caption = charts.draw(dataclasses.replace(report, comparison=comparison, rows=()))[0].caption
    assert "No point for Exact match: there the differences of the rows have no spread." in caption
    assert "No point for Perplexity: there too few rows were scored on both sides." in caption


def test_the_bars_of_the_effects_say_what_is_not_in_them(drawn: dict[str, Chart]) -> None:
    words = "the uncertainty of the standard deviation not in them"
    assert words in drawn["effects"].caption
    assert words.replace(" ", "") in "".join(texts(drawn["effects"])).replace(" ", "")  # whose lines are wrapped


def test_an_effect_without_bounds_is_written_at_the_edge(report: Report) -> None:
    assert report.comparison is not None
    rows = [dataclasses.replace(row, deviation=row.deviation and row.deviation / 50) for row in report.comparison.rows]
    comparison = dataclasses.replace(report.comparison, rows=tuple(rows))
    chart = charts.draw(dataclasses.replace(report, comparison=comparison, rows=()))[0]
    beyond = [float(text.replace("−", "-")) for text in texts(chart) if re.fullmatch(r"[+−]\d+\.\d\d", text)]
    assert beyond
    assert all(abs(size) > LARGEST for size in beyond)


def test_a_point_of_the_scatter_is_labelled_by_its_rows_id_alone(report: Report, drawn: dict[str, Chart]) -> None:
    assert sorted(labels(drawn["scatter-up"])) == sorted(row.id for row in report.rows)
    unscored = [row_id(3)]
    assert set(labels(drawn[f"scatter-{LONG.format(2)}"])) == {row.id for row in report.rows} - set(unscored)


def test_wins_ties_and_losses_are_the_comparisons(report: Report, drawn: dict[str, Chart]) -> None:
    assert report.comparison is not None
    row = next(row for row in report.comparison.rows if (row.metric, row.candidate) == ("f1", "up"))
    assert f"{row.wins} wins · {row.ties} ties · {row.losses} losses" in texts(drawn["scatter-up"])


def test_answers_to_one_question_are_one_point_of_their_means() -> None:
    repeated = report_of(("up", "down"), 60, slices=False, repeats=3)
    assert repeated.comparison is not None
    found = {chart.name: chart for chart in charts.draw(repeated)}
    for row in (row for row in repeated.comparison.rows if row.metric == "f1"):
        chart = found[f"scatter-{row.candidate}"]
        assert row.n == len(labels(chart)) == 20  # question 1 of "down" has a value for two of its answers
        assert set(labels(chart)) == {row.question_id for row in repeated.rows}
        said = f"{row.wins} wins · {style.counted(row.ties, 'tie')} · {style.counted(row.losses, 'loss', 'losses')}"
        assert said in texts(chart)
        assert "question, the mean of its answers" in chart.caption
        assert any(text.startswith("20 questions · ") for text in texts(found[f"distribution-{row.candidate}"]))


def test_what_differs_by_rounding_only_is_a_tie_as_in_the_comparison() -> None:
    assert difference_of(0.3, 0.1 + 0.2) == 0
    assert difference_of(0.3, 0.3 * (1 + 1e-10)) > 0
    assert difference_of(1e-9, 3e-9) == pytest.approx(2e-9)


def test_the_points_of_all_adapters_have_a_bound() -> None:
    assert [most_points(adapters) for adapters in (1, 3, 10, 10_000)] == [MOST_POINTS, MOST_POINTS, 600, 1]
    assert all(adapters * most_points(adapters) <= POINTS_OF_ALL for adapters in range(3, 100))


def test_many_rows_are_thinned_evenly() -> None:
    def numbered(count: int) -> Pairs:
        return Pairs(Ids.of(map(str, range(count))), np.zeros(count), np.arange(float(count)))

    assert len(evenly(numbered(10), 20)) == 10
    kept = evenly(numbered(5 * MOST_POINTS), MOST_POINTS)
    assert list(map(int, kept.ids)) == kept.candidate.tolist() == list(range(0, 5 * MOST_POINTS, 5))


@pytest.mark.parametrize("values", [[0.5], [0.0, 1.0], [-3.25, 0.1, 7.0], [1e-9, 3e-9], [5000.0, 90000.0]])
def test_every_value_is_in_one_bin(values: list[float]) -> None:
    edges = edges_of(values)
    assert edges[0] <= min(values) <= max(values) <= edges[-1]
    assert sum(counts_in(values, edges)) == len(values)
    assert len(edges) <= 40


def test_what_a_difference_is_made_of_names_the_pairs_and_their_sum(report: Report, drawn: dict[str, Chart]) -> None:
    chart = drawn["contributions-up"]
    up = [part for part in report.confounds.contributions if part.candidate == "up" and part.rows]
    assert [part.kind for part in up] == ["both sound", "only candidate unsound"]
    assert len(labels(chart)) == 2
    assert f"only up unsound ({up[1].rows})" in texts(chart)
    whole = next(row for row in report.comparison.rows if row.candidate == "up" and row.metric == "f1").difference
    assert sum(part.contribution for part in up) == pytest.approx(whole, abs=1e-12)
    assert f"{whole:+.3f} in all" in chart.alt


def test_parts_with_too_few_rows_are_left_out_and_counted() -> None:
    few = report_of(("up",), 19)
    chart = next(chart for chart in charts.draw(few) if chart.name == "slices-up")
    assert "even (10)" in texts(chart)
    assert not any(text.startswith("odd") for text in texts(chart))
    assert chart.caption.endswith("Left out with too few rows: 1.")


def test_a_picture_that_travels_alone_says_how_to_read_it(drawn: dict[str, Chart]) -> None:
    said = " ".join(texts(drawn["difference-f1"]))
    assert "→ better" in said
    assert "bars: 95 % CI · shaded: equivalence margin ±0.010" in said
    assert "← better" in " ".join(texts(drawn["difference-ppl"]))
    assert "shaded" not in " ".join(texts(drawn["difference-ppl"]))
    assert "better" in texts(drawn["difference-f1"])  # the verdict is a word in the legend, never colour alone


def test_long_names_keep_their_ends() -> None:
    assert style.shorten("short", 18) == "short"
    short = [style.shorten(LONG.format(i), 18) for i in range(10)]
    assert {len(name) for name in short} == {18}
    assert len(set(short)) == 10


def test_the_png_is_twice_the_svg(drawn: dict[str, Chart]) -> None:
    picture = charts.png(drawn["effects"])
    assert picture.startswith(b"\x89PNG\r\n")
    width = int.from_bytes(picture[16:20], "big")
    assert width == 2 * float(parsed(drawn["effects"]).attrib["width"])


def test_every_specification_is_valid_vega_lite(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", lambda specification: found.append(specification) or "")
    charts.draw(report)
    assert len(found) == 13
    for specification in found:
        altair.LayerChart.from_dict(specification)


def test_altair_loads_with_the_first_chart_only() -> None:
    code = "import sys, loralift.reporting.charts; print({'altair', 'vl_convert'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


# Machado, Oliveira and Fernandes 2009, severity 1.0: linear RGB as the colour blind see it.
SIGHTS = {
    "all": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)


def linear(role: str) -> Any:
    parts = np.array([int(PALETTE[role][at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: Any) -> Any:
    x, y, z = np.cbrt(TO_XYZ @ np.clip(rgb, 1e-4, 1) / np.array([0.95047, 1.0, 1.08883]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("roles", [(*style.VERDICT_SHAPES,), ("base", *style.ADAPTERS)])
def test_no_two_marks_of_a_chart_look_alike(roles: tuple[str, ...], sight: str) -> None:
    seen = {role: lab(np.array(SIGHTS[sight]) @ linear(role)) for role in roles}
    apart = {(a, b): np.linalg.norm(seen[a] - seen[b]) for a in roles for b in roles if a < b}
    assert min(apart.values()) > 15, min(apart, key=lambda pair: apart[pair])
    luminances = [float(TO_XYZ[1] @ linear(role)) for role in roles]
    assert all(1.05 / (luminance + 0.05) >= 3 for luminance in luminances)  # WCAG 1.4.11, on white


def _signed(number: float | None, metric: str) -> str:
    assert number is not None
    text = f"{number:+.{INFOS[metric].decimals}f}"
    return text.replace("-", "−") if float(text) else text[1:]
