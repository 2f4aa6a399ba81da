"""A sweep in the report: curve, table, and sentences whose figures are where they say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from loralift.records import Report
from loralift.reporting import charts, markdown, page
from loralift.reporting.sweep import by_axis, sweep_findings, sweep_table
from tests.reporting.swept import swept, without_best
from tests.reporting.test_findings import evaluated


@pytest.fixture(scope="module")
def report() -> Report:
    return swept(8)


def test_the_curve_has_every_adapter_its_interval_and_a_ring_round_those_that_may_be_the_best(report: Report) -> None:
    drawn = {chart.name: chart for chart in charts.draw(report)}
    assert {"sweep-step", "sweep-r"} <= drawn.keys()
    curve = drawn["sweep-step"]
    assert report.comparison is not None
    for row in report.comparison.rows:
        assert f"{row.candidate} (step {row.candidate.removeprefix('checkpoint-')}): " in curve.alt
        assert str(row.verdict) in curve.alt
    assert report.sweep is not None
    assert report.sweep.best is not None
    assert 1 <= len(report.sweep.best.contenders) < 8
    assert "ringed" in curve.svg
    assert charts.leading(tuple(drawn.values()))[1] == curve
    plain = {chart.name: chart for chart in charts.draw(without_best(report))}
    assert "ringed" not in plain["sweep-step"].svg
    used = {colour for chart in drawn.values() for colour in re.findall(r'(?:fill|stroke)="([^"]+)"', chart.svg)}
    assert used - {"none"} <= set(charts.PALETTE.values())


def test_every_figure_of_the_sentences_is_where_it_says(report: Report) -> None:
    for one in (report, swept(8, height=0.0), swept(3, height=0.9)):
        assert one.comparison is not None
        found = list(sweep_findings(one.comparison, one.sweep))
        assert len(found) == 2
        scope = {"rows": one.comparison.rows, "alpha": one.comparison.alpha, "sweep": one.sweep}
        for finding in found:
            assert evaluated(finding.figures, scope) == finding.figures
            assert finding.candidate is None


def test_the_best_is_named_only_as_far_as_it_can_be_told_from_the_others(report: Report) -> None:
    def said(one: Report) -> str:
        assert one.comparison is not None
        return " ".join(finding.text for finding in sweep_findings(one.comparison, one.sweep))

    assert "The best of 8 adapters on half the rows, re-estimated on the other half: +0.0" in said(report)
    assert "cannot be told from the best" in said(report)
    assert "No adapter can be told from the others on Token F1: each of the 8 may be the best" in said(
        swept(8, height=0.0)
    )
    assert "checkpoint-200 is the best of the 3" in said(swept(3, height=0.9))
    assert said(without_best(report)) == ""


def test_the_table_is_in_the_order_of_steps_and_says_who_may_be_the_best(report: Report) -> None:
    table = sweep_table(report)
    assert table.columns[:3] == ("adapter", "step", "rank (r)")
    assert [row[1] for row in table.rows] == [str(100 * place) for place in range(1, 9)]
    assert {row[-1] for row in table.rows} == {"yes", "no"}
    assert {row[-1] for row in sweep_table(without_best(report)).rows} == {"–"}
    for shown in (markdown.render(report), page.render(report, ())):
        assert "The sweep: Token F1" in shown
    assert sweep_table(replace(report, sweep=None)).rows == ()
    assert report.comparison is not None
    assert report.sweep is not None
    lacking = replace(report.sweep.axes[0], values={"checkpoint-300": 300.0, "checkpoint-200": 200.0})
    assert by_axis(report.comparison, replace(report.sweep, axes=(lacking,)))[:2] == [
        "checkpoint-200",
        "checkpoint-300",
    ]


def test_of_many_only_the_first_and_the_last_have_charts_of_their_own() -> None:
    report = swept(charts.MOST_ALONE + 1, 12)
    assert report.comparison is not None
    assert len(charts.drawn_alone(report.comparison)) == 2
    names = [name for name, _ in charts.drawers(report)]
    assert sum(name.startswith("scatter-") for name in names) == 2
    assert "sweep-step" in names
