from __future__ import annotations

import ast
import dataclasses
import io
from pathlib import Path

import pytest

import loralift
from loralift.records import MetricInfo, Report
from loralift.reporting import charts, markdown, page, tables
from loralift.reporting.charts import style
from loralift.reporting.charts.apart import draw_apart
from loralift.reporting.console import Terminal, shown
from loralift.reporting.terminal import print_report, print_table
from loralift.visible import clipped
from tests.reporting.many import INFOS, report_of

ESCAPE = "\x1b]0;title\x07\x1b[31m\r\u202e\x00\n| `x` <script> [l](https://x.org) me@x.org"
"""What a terminal would obey, a page would run, and Markdown would link."""


@pytest.fixture(scope="module")
def hostile() -> Report:
    made = report_of([f"a{ESCAPE}"], 12)
    infos = {**INFOS, "f1": dataclasses.replace(INFOS["f1"], title=ESCAPE, unit=ESCAPE)}
    assert made.comparison is not None
    return dataclasses.replace(
        made,
        title=ESCAPE,
        metrics=infos,
        comparison=dataclasses.replace(made.comparison, metrics=infos),
        facts={ESCAPE: ESCAPE},
        notes=(ESCAPE,),
        refused={ESCAPE: ESCAPE},
        rows=tuple(
            dataclasses.replace(row, question=ESCAPE, answers=dict.fromkeys(made.variants, ESCAPE)) for row in made.rows
        ),
    )


def obeyed(text: str) -> set[str]:
    return {sign for sign in text if sign in "\x1b\x07\r\u202e\x00"}


def test_the_terminal_is_given_no_control_character(hostile: Report) -> None:
    console = Terminal(file=io.StringIO(), width=400)
    print_report(hostile, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert obeyed(text) == set()
    assert r"\x1b]0;title\x07\x1b[31m\r\u202e\x00\n" in text


def test_neither_is_a_page(hostile: Report) -> None:
    pictures = charts.draw(hostile)
    html, text = page.render(hostile, pictures), markdown.render(hostile, {chart.alt: "x.png" for chart in pictures})
    for document in (html, text, *(chart.svg for chart in pictures)):
        assert obeyed(document) == set()
        assert r"\x1b" in document
    assert "<script> [l]" not in html
    for alive in ("| `x`", "<script>", "[l](", "://", "me@x"):
        assert alive not in text.replace(r"\<script", "")


def test_only_one_page_makes_text_for_the_terminal() -> None:
    root = Path(loralift.__file__).parent
    for path in root.rglob("*.py"):
        made = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "Console" not in made, path
        own = path.name in ("console.py", "progress.py")  # the latter's tokens a second are our own words
        assert own or "Text" not in made, path


@pytest.mark.parametrize("columns", ["0", "1", "20"])
def test_the_narrowest_terminal_has_the_verdict(hostile: Report, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    console = Terminal(file=io.StringIO())
    print_report(hostile, console)
    assert "BETTER" in console.file.getvalue()  # type: ignore[attr-defined]


def test_megabytes_are_clipped() -> None:
    long = "x" * 10_000_000
    assert len(shown(long).plain) < 2_100
    assert len(markdown.escape(long)) < 2_100
    assert len(style.shorten(long, 40)) == 40
    assert len(style.printable(long)) < 1_100
    assert len(style.shorten("\x1b" * 10_000, 40)) == 40


def test_a_long_name_leaves_the_verdict_its_place() -> None:
    made = report_of(["n" * 5_000], 12)
    assert made.comparison is not None
    headline = tables.headline(made.comparison, "n" * 5_000, ())
    assert " is BETTER than base on " in headline
    assert headline.endswith(", n = 10") or "n = " in headline
    assert len(headline) < 1_000


def test_names_that_are_also_columns_stay_apart() -> None:
    heads, cells = ("metric", "p", "d", "p", "d"), ("m", "base", "adapter", "0.05", "1.2")
    table = tables.Table("t", heads, (cells,), expendable=("p", "d"))
    for width, gone in ((24, {"0.05", "1.2"}), (80, set())):
        console = Terminal(file=io.StringIO(), width=width)
        print_table(table, console)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert {"base", "adapter"} <= {word for line in text.splitlines() for word in line.split()}
        assert not any(figure in text for figure in gone)


def test_two_charts_of_one_name_are_two_files() -> None:
    made = report_of(["up"], 12)
    assert made.comparison is not None
    row = next(row for row in made.comparison.rows if row.metric == "f1")
    names = ("a b", "a/b", "A_b", "ü" * 9_000)
    infos = {**INFOS, **{name: MetricInfo(name, clipped(name, 50)) for name in names}}
    rows = (*made.comparison.rows, *(dataclasses.replace(row, metric=name) for name in names))
    comparison = dataclasses.replace(made.comparison, metrics=infos, rows=rows)
    drawing = draw_apart(dataclasses.replace(made, comparison=comparison, rows=()))
    stems = [chart.name for chart in drawing.charts]
    assert drawing.missing == ()
    assert len({stem.lower() for stem in stems}) == len(stems) == len(drawing.pictures)
    assert max(len(stem.encode()) for stem in stems) < 250
    assert {"difference-a_b", "difference-a_b.2", "difference-A_b.3"} <= set(stems)
