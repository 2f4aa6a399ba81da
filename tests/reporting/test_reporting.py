from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from loralift.comparison import Settings, compare, summarise
from loralift.records import AdapterProof, Interval, MetricInfo, Report, Row, Score
from loralift.reporting import formatting, markdown, tables, terminal

INFOS = {
    "f1": MetricInfo("f1", "Token F1", margin=0.01, signature="implementation:test"),
    "ppl": MetricInfo("ppl", "Perplexity", high=None, higher_is_better=False, decimals=2),
    "words": MetricInfo("words", "Words", high=None, higher_is_better=None, unit="words", decimals=1),
}


@pytest.fixture(scope="module")
def report() -> Report:
    def scores(shift: float) -> list[Score]:
        return [
            Score(str(i), {"f1": 0.3 + shift + (i * 7 % 11) / 50, "ppl": 9 - 10 * shift + i % 3, "words": i + 9.0})
            for i in range(60)
        ]

    sides = {"base": scores(0.0), "up": scores(0.2), "down": [*scores(-0.2)[:-1], Score("59", {"f1": None})]}
    candidates = {name: sides[name] for name in ("up", "down")}
    comparison = compare("base", sides["base"], candidates, INFOS, Settings("f1", resamples=500))
    return Report(
        title="a/model on <data>",
        variants=tuple(sides),
        metrics=INFOS,
        summaries={v: {name: summarise(s, info) for name, info in INFOS.items()} for v, s in sides.items()},
        comparison=comparison,
        facts={"command": "loralift run --adapter up=./up"},
        notes=("2 rows were left out",),
        rows=(Row("1", "Why <b>?", "Because | of *this*", {"base": "<script>alert(1)</script>\n\n# x", "up": ""}),),
    )


def printed(report: Report, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    terminal.print_report(report, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_headline_carries_verdict_difference_interval_p_and_n(report: Report) -> None:
    assert report.comparison is not None
    headline = tables.headline(report.comparison, "up", ())
    assert headline.startswith("up is BETTER than base on Token F1: +0.200 [+0.200, +0.200], adjusted p ")
    assert headline.endswith("n = 60")
    assert tables.headline(report.comparison, "down", ()).startswith("down is WORSE than base on Token F1: −0.200")


def test_the_headline_of_an_equivalent_one_shows_what_equivalence_rests_on(report: Report) -> None:
    assert report.comparison is not None
    row = tables.primary_row(report.comparison, "up")
    same = dataclasses.replace(
        row, verdict="equivalent", difference=0.001, equivalence_interval=Interval(0.0, 0.003, 0.9, "t"), margin=0.01
    )
    rows = tuple(
        dataclasses.replace(same, p_equivalence=1e-9) if each is row else each for each in report.comparison.rows
    )
    comparison = dataclasses.replace(report.comparison, rows=rows, verdicts={"up": "equivalent", "down": "worse"})
    assert tables.headline(comparison, "up", ()) == (
        "up is EQUIVALENT to base but for a small rise on Token F1: +0.001, 90 % CI [0.000, +0.003] inside ±0.010, "
        "equivalence p < 0.0001, n = 60"
    )


def test_what_is_not_known_of_an_adapter_is_no_zero(report: Report) -> None:
    table = tables.proofs_table(dataclasses.replace(report, proofs=(AdapterProof("up", 8, 0.1, 0.2, 0.5),)))
    assert (table.title, table.rows[0][-1]) == ("Do the adapters act?", "–")


def test_what_a_model_wrote_calls_nobody_and_links_nowhere() -> None:
    page = markdown.escape("Ask @octocat, see #12, gh-7, www.x.org or https://x.org; a b@c is no name, # no number")
    for alive in ("@octocat", "#12", "gh-7", "www.", "://"):
        assert alive not in page
    assert "b@c" in page
    assert "# no number" in page


def test_examples_are_clipped_and_said_to_be_picked(report: Report) -> None:
    row = dataclasses.replace(report.rows[0], answers={"base": "word " * 1_000}, values={})
    rows = [
        dataclasses.replace(row, id=str(n), values={"base": {"f1": 0.5}, "up": {"f1": 0.5 + (n % 3) / 10}})
        for n in range(9)
    ]
    page = markdown.render(dataclasses.replace(report, rows=tuple(rows)))
    assert "Picked, not typical: the 2 best and the 2 worst of 9 rows, up against base on Token F1." in page
    assert "… (5,000 characters)" in page
    assert max(map(len, page.splitlines())) < 1_200


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_the_verdict_always_shows(report: Report, width: int) -> None:
    lines = printed(report, width).splitlines()
    assert max(map(len, lines)) <= width
    row = next(line for line in lines if line.strip().startswith("Token F1 ↑ ★"))
    assert row.rstrip().endswith("better")


def test_a_wide_terminal_shows_everything(report: Report) -> None:
    text = printed(report, 200)
    assert all(column in text for column in ("95 % CI", "p (Holm)", "win/tie/loss", "difference"))
    assert "60/0/0" in text


def test_descriptive_metrics_have_no_verdict_row(report: Report) -> None:
    assert report.comparison is not None
    judged = tables.comparison_table(report.comparison, "up", ())
    assert [row[0] for row in judged.rows] == ["Token F1 ↑ ★", "Perplexity ↓"]
    assert [row[0] for row in tables.description_table(report).rows] == ["Words"]


def test_nothing_that_a_model_wrote_is_markup_in_the_page(report: Report) -> None:
    page = markdown.render(report, {"Effects": "charts/effects.png"})
    assert "<script>" not in page.replace("\\<script\\>", "")
    assert "Because \\| of \\*this\\*" in page
    assert "\n# x" not in page
    assert "![Effects](charts/effects.png)" in page
    assert "2 rows were left out" in page
    assert "implementation:test" in page


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(report: Report) -> None:
    tables_of_page = [part for part in markdown.render(report).split("\n\n") if part.startswith("| ")]
    assert len(tables_of_page) == 5
    for table in tables_of_page:
        assert len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1


def test_a_report_without_candidates_shows_the_variants_alone(report: Report) -> None:
    alone = dataclasses.replace(report, comparison=None, variants=("base",))
    assert "Every variant" in printed(alone, 100)
    assert "against" not in markdown.render(alone)


def test_numbers_are_never_rounded_into_what_they_are_not() -> None:
    assert formatting.p_value(0.00001) == "<0.0001"
    assert formatting.p_value(0.00987) == "0.0099"
    assert formatting.p_value(0.25) == "0.250"
    assert formatting.p_value(None) == formatting.value(None, INFOS["f1"]) == "–"
    assert formatting.difference(-0.5, INFOS["f1"]) == "−0.500"
    assert formatting.difference(-0.0001, INFOS["f1"]) == "0.000"
    assert formatting.effect(0.123) == "+0.12"
