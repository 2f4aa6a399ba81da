from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from loralift.records import AgainstBest, CutComparison, Protocols, Report
from loralift.reporting import markdown, matrices, tables, terminal
from tests.reporting.asked import CHAT, NAMES, asked_report
from tests.reporting.many import report_of

FIVE = ("faint", "up", "down", '<b>"x"</b>', "better")
"""The names by their places: `tests.reporting.many` lifts the first and lowers the second."""


@pytest.fixture(scope="module")
def one() -> Report:
    return asked_report(("up",), 90)


@pytest.fixture(scope="module")
def five() -> Report:
    return asked_report(FIVE, 90, repeats=3)


def parts(report: Report) -> tuple:
    assert report.comparison is not None
    assert report.protocols is not None
    return report.comparison, report.protocols


def test_every_variant_under_every_protocol_and_whichever_way(one: Report) -> None:
    table = matrices.protocols_table(one)
    assert table.columns == ("variant", *NAMES, "largest p", "whichever way")
    base, up = table.rows
    row = parts(one)[1].results[0].rows[0]
    assert base == ("base", f"{row.baseline_value:.3f}", *base[2:4], "–", "–")
    assert up[1] == f"+{row.difference:.3f} [+{row.interval.low:.3f}, +{row.interval.high:.3f}] better"
    assert up[2].startswith("−")
    assert up[2].endswith("] worse")
    assert up[-2:] == ("–", "depends on how it is asked")
    assert table.caption.startswith("training decides · ")


def with_verdicts(report: Report, verdict: str, p: float | None) -> Report:
    protocols = parts(report)[1]
    way = dataclasses.replace(protocols.whichever[0], verdict=verdict, p_value=p)
    return dataclasses.replace(report, protocols=dataclasses.replace(protocols, whichever=(way,)))


@pytest.mark.parametrize(
    ("verdict", "p", "said"),
    [
        ("better", 0.0312, ("0.031", "better")),
        ("equivalent", 1e-9, ("<0.0001", "equivalent")),
        ("inconclusive", None, ("–", "undecided")),
    ],
)
def test_whichever_way_carries_the_largest_p(one: Report, verdict: str, p: float | None, said: tuple) -> None:
    assert matrices.protocols_table(with_verdicts(one, verdict, p)).rows[1][-2:] == said


def test_the_base_has_a_range_where_each_adapter_has_its_own_pairs(five: Report) -> None:
    results = parts(five)[1].results
    values = sorted(row.baseline_value for row in results[0].rows)
    assert values[0] < values[-1]
    shifted = tuple(
        dataclasses.replace(row, baseline_value=0.3 if place else 0.4) for place, row in enumerate(results[0].rows)
    )
    protocols = dataclasses.replace(
        parts(five)[1], results=(dataclasses.replace(results[0], rows=shifted), *results[1:])
    )
    assert matrices.protocol_rows(parts(five)[0], protocols)[0].cells[0].text == "0.300 to 0.400"


def test_an_adapter_that_a_protocol_did_not_judge_is_no_zero(one: Report) -> None:
    comparison, protocols = parts(one)
    unscored = dataclasses.replace(
        protocols.results[1].rows[0], difference=None, interval=None, verdict="inconclusive", unscored={"blind": 90}
    )
    results = (
        protocols.results[0],
        dataclasses.replace(protocols.results[1], rows=(unscored,)),
        dataclasses.replace(protocols.results[2], rows=()),
    )
    rows = matrices.protocol_rows(comparison, dataclasses.replace(protocols, results=results, whichever=()))
    assert [cell.text for cell in rows[1].cells[1:]] == ["not scored", "–"]
    assert rows[0].cells[2].text == "–"
    assert rows[1].last is None


def test_a_small_significant_change_is_no_plain_equivalence(one: Report) -> None:
    comparison = parts(one)[0]
    row = dataclasses.replace(tables.primary_row(comparison, "up"), verdict="equivalent", difference=-0.001)
    cell = matrices.judged_cell(comparison, dataclasses.replace(row, p_adjusted=0.001))
    assert (cell.verdict, cell.words) == ("equivalent", "equivalent, a small fall")
    assert matrices.judged_cell(comparison, dataclasses.replace(row, p_adjusted=0.2)).words == "equivalent"


def test_the_base_at_its_best_says_what_each_half_chose(one: Report) -> None:
    table = matrices.best_table(one)
    assert [row[0] for row in table.rows] == ["up, as trained", "up, at its best"]
    assert [row[1:3] for row in table.rows] == [("training", CHAT), ("few-shot / training", CHAT)]
    best: AgainstBest = parts(one)[1].best[0]
    assert table.rows[0][3] == f"+{best.row.difference:.3f}"
    assert "the spread is widened (by 8 % at most)" in table.caption
    plain = tuple(dataclasses.replace(each, widening=1.0) for each in parts(one)[1].best)
    unwidened = dataclasses.replace(one, protocols=dataclasses.replace(parts(one)[1], best=plain))
    assert "widened" not in matrices.best_table(unwidened).caption


def test_cuts_say_what_they_shorten_and_whether_the_verdict_holds(one: Report) -> None:
    stop, half = matrices.cuts_table(one).rows
    assert stop[:3] == (r'up: "\n\nQuestion: <s>"', "30 %", "0.4 %")
    assert stop[-2:] == ("worse", "no, it was better")
    assert half[:3] == ("up: 128 tokens", "43 %", "100 %")
    assert half[-2:] == ("better", "yes")
    unjudged: tuple[CutComparison, ...] = tuple(
        dataclasses.replace(cut, row=dataclasses.replace(cut.row, difference=None, verdict=None))
        for cut in one.confounds.cuts
    )
    confounds = dataclasses.replace(one.confounds, cuts=unjudged)
    assert [row[-2:] for row in matrices.cuts_table(dataclasses.replace(one, confounds=confounds)).rows] == [
        ("–", "–")
    ] * 2


def test_many_adapters_stand_best_first_and_few_as_they_came(five: Report) -> None:
    comparison = parts(five)[0]
    order = matrices.best_first(comparison)
    assert (order[0], order[-1]) == ("faint", "up")
    differences = [tables.primary_row(comparison, name).difference for name in order]
    assert differences == sorted(differences, reverse=True)
    for made in (matrices.metric_rows(comparison), matrices.protocol_rows(*parts(five))[1:]):
        assert [row.variant for row in made] == list(order)
    assert [row[0].removesuffix(", as trained") for row in matrices.best_table(five).rows[::2]] == list(order)
    two = report_of(("down", "up"), 30).comparison
    assert two is not None
    assert matrices.best_first(two) == ("down", "up")


def test_best_is_lowest_where_lower_is_better_and_unscored_is_last(five: Report) -> None:
    comparison = dataclasses.replace(parts(five)[0], primary="ppl")
    order = matrices.best_first(comparison)
    differences = [tables.primary_row(comparison, name).difference for name in order]
    assert differences == sorted(differences)
    rows = tuple(
        dataclasses.replace(row, difference=None) if (row.candidate, row.metric) == (order[0], "ppl") else row
        for row in comparison.rows
    )
    assert matrices.best_first(dataclasses.replace(comparison, rows=rows)) == (*order[1:], order[0])


def test_the_metric_that_decides_stands_first_and_descriptions_nowhere(five: Report) -> None:
    comparison = dataclasses.replace(parts(five)[0], primary="same")
    assert [info.name for info in matrices.judged_metrics(comparison)] == ["same", "f1", "ppl"]


def test_nothing_is_said_where_all_were_asked_in_one_way() -> None:
    assert matrices.asked_tables(report_of(("up",), 30)) == ()
    alone = dataclasses.replace(asked_report(("up",), 30), comparison=None)
    assert matrices.asked_tables(alone) == ()


def test_a_corpus_metric_has_no_best(one: Report) -> None:
    protocols: Protocols = dataclasses.replace(parts(one)[1], best=())
    made = matrices.asked_tables(dataclasses.replace(one, protocols=protocols))
    assert [table.columns[0] for table in made] == ["variant", "adapter: answers end at"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_every_claim_shows(five: Report, width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    terminal.print_report(five, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    for said in ("depends on how it is asked", "whichever way", "no, it was", "at its best", "note: The examples"):
        assert said in text
    caption = " ".join(text.split())
    assert caption.count("needs no more") == 1, "a table in pieces has its caption once"


def test_a_verdict_at_the_end_of_a_cell_has_its_colour() -> None:
    assert terminal._cell("+0.1 [+0.1, +0.2] worse").style == terminal.VERDICT_STYLES["worse"]
    assert terminal._cell("depends on how it is asked").style == "bold magenta"
    assert terminal._cell("no worse").style == ""


def test_markdown_has_the_three_tables_and_the_notes(five: Report) -> None:
    page = markdown.render(five)
    for said in (", asked another way\n", "## Against base at its best", "## If answers ended earlier", "\\<train\\>"):
        assert said in page
    assert "<b>" not in page
    assert "<i>" not in page
