"""The report on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from loralift.records import Comparison, Finding, Parity, Report
from loralift.reporting import judging, matrices, parity, tables
from loralift.reporting.console import shown
from loralift.reporting.doubts import Doubt, doubts, doubts_of, strongest
from loralift.reporting.sweep import sweep_table

MOST_IN_CELL = 100
"""Characters of a name in a table."""

VERDICT_STYLES = {
    "better": "bold green",
    "worse": "bold red",
    "equivalent": "cyan",
    "inconclusive": "yellow",
    matrices.WORDS["depends"]: "bold magenta",
    "identical": "bold green",
    "within noise": "cyan",
    "undecided": "yellow",
    "MOVES": "bold red",
    judging.REFUSED: "bold red",
    judging.UNFINISHED: "yellow",
    judging.BELIEVED: "bold green",
}

DOUBT_STYLE = "bold yellow"
"""Of a verdict that something speaks against: neither of its colours."""


WORD_COLUMNS = ("verdict", "whichever way", "holds", "judge is")
"""Headings of columns of words, which are set to the left."""


def print_report(report: Report, console: Console) -> None:
    """Print how the answers look, then the comparison of each candidate and the verdicts."""
    print_table(tables.description_table(report), console)
    for note in (*report.notes, *(report.protocols.notes if report.protocols else ())):
        console.print(shown(f"note: {note}", style="dim"))
    if report.comparison is None:
        print_table(tables.summary_table(report), console)
    else:
        swept = (sweep_table(report),) if report.sweep else ()
        further = (*swept, *matrices.asked_tables(report), *judging.judging_tables(report))
        print_comparison(report.comparison, console, report.findings, doubts=doubts_of(report), further=further)
        for name, comparison in report.also.items():
            for candidate in comparison.candidates:
                console.print(shown(f"{name}: {tables.headline(comparison, candidate, doubts(comparison))}"))
    for verdict, sentence in judging.judge_sentences(report):
        console.print(shown(sentence, style=VERDICT_STYLES[verdict]))
    for name in report.refused:
        console.print(shown(tables.refusal(report, name), style=VERDICT_STYLES["worse"]))


def print_comparison(
    comparison: Comparison,
    console: Console,
    findings: Sequence[Finding] = (),
    *,
    doubts: Sequence[Doubt],
    described: bool = False,
    further: Sequence[tables.Table] = (),
) -> None:
    """Print the comparison of each candidate, then what was found, then the verdicts: they are what counts.

    Args:
        comparison: What to print.
        console: Where.
        findings: In words.
        doubts: What speaks against the verdicts; where there are no findings, those that no headline says are printed.
        described: Whether to print the metrics that are not judged too.
        further: Tables after those of the comparison.
    """
    for candidate in comparison.candidates:
        print_table(tables.comparison_table(comparison, candidate, doubts), console)
        if described and (table := tables.described_table(comparison, candidate)).rows:
            print_table(table, console)
    if comparison.ranking is not None:
        print_table(tables.ranking_table(comparison), console)
    for table in further:
        print_table(table, console)
    for candidate in comparison.candidates:
        for warning in tables.primary_row(comparison, candidate).warnings:
            console.print(shown(f"note: {candidate}: {warning}", style="dim"))
        for warning, titles in tables.shared_warnings(comparison, candidate).items():
            console.print(shown(f"note: {candidate}: {', '.join(titles)}: {warning}", style="dim"))
        for sentence in tables.blind_spots(comparison, candidate):
            console.print(shown(f"note: {candidate}: {sentence}", style="dim"))
    for finding in findings:
        mark, style = ("!", "yellow") if finding.severity == "warning" else ("·", "")
        console.print(shown(f"{mark} {finding.text}", style=style))
    first = strongest(doubts)
    for doubt in () if findings else [doubt for doubt in doubts if doubt not in first.values()]:
        console.print(shown(f"! {doubt.candidate}: {doubt.words}", style="yellow"))
    for candidate in comparison.candidates:
        style = DOUBT_STYLE if candidate in first else VERDICT_STYLES[comparison.verdicts[candidate]]
        console.print(shown(tables.headline(comparison, candidate, doubts), style=style))


def print_parity(found: Parity, console: Console) -> None:
    """Print how each variant's modes compare, then what moves, then the whole in one sentence."""
    for table in parity.parity_tables(found):
        print_table(table, console)
    for note in parity.parity_notes(found):
        console.print(shown(f"note: {note}", style="dim"))
    for verdict, sentence in parity.parity_sentences(found):
        console.print(shown(f"! {sentence}", style=VERDICT_STYLES[verdict]))
    console.print(shown(parity.parity_headline(found)))


def print_table(table: tables.Table, console: Console) -> None:
    """Print one table; on a narrow terminal without its expendable columns, and if need be in several pieces."""
    # by their places: an adapter's name may be that of another column
    kept = list(range(len(table.columns)))
    for heading in table.expendable:
        if _width(_draw(table, kept), console) <= console.width:
            break
        kept.remove(max(place for place in kept if table.columns[place] == heading))
    *before, last = _pieces(table, kept, console)
    for piece in before:
        console.print(_draw(replace(table, caption=""), piece))
    console.print(_draw(table, last))


def _pieces(table: tables.Table, kept: Sequence[int], console: Console) -> list[list[int]]:
    """Groups of columns that fit the terminal, each with the first column, so that no figure is cut off."""
    first, *others = kept
    pieces = [[first]]
    for place in others:
        wider = [*pieces[-1], place]
        if _width(_draw(table, wider), console) <= console.width or pieces[-1] == [first]:
            pieces[-1] = wider
        else:
            pieces.append([first, place])
    return pieces


def _width(drawn: RichTable, console: Console) -> int:
    """The width of a table in characters, on a terminal of unlimited width."""
    return Measurement.get(console, console.options.update(max_width=10_000), drawn).maximum


def _draw(table: tables.Table, places: Sequence[int]) -> RichTable:
    drawn = RichTable(
        title=shown(table.title, style="bold"),
        caption=shown(table.caption) if table.caption else None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    for place in places:
        justify: JustifyMethod = "left" if place == 0 or table.columns[place] in WORD_COLUMNS else "right"
        drawn.add_column(_cell(table.columns[place]), justify=justify, no_wrap=True)
    for row in table.rows:
        drawn.add_row(*(_cell(row[place]) for place in places))
    return drawn


def _cell(text: str) -> Text:
    # a cell of a matrix ends with its verdict, after the interval
    verdict = text.rpartition("] ")[2]
    return shown(text, style=VERDICT_STYLES.get(verdict, ""), most=MOST_IN_CELL)
