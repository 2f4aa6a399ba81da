"""What becomes of a verdict under every protocol, against the base at its best, and with answers that end earlier."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from loralift.records import AgainstBest, Comparison, CutComparison, MetricComparison, MetricInfo, Protocols, Report
from loralift.reporting import formatting
from loralift.reporting.doubts import Doubt
from loralift.reporting.tables import IN_DOUBT, NOT_SCORED, Table, primary_row, small_change, verdict_words
from loralift.visible import clipped

MANY = 3
"""From so many adapters on they are shown side by side, the best one first."""

MOST_OF_A_STOP = 40
"""Characters of a stop string in a table."""

WORDS = {
    "better": "better",
    "worse": "worse",
    "equivalent": "equivalent",
    "inconclusive": "undecided",
    "depends": "depends on how it is asked",
}
"""A verdict, under one protocol or whichever way it is asked, to its words."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a matrix says of one variant.

    Attributes:
        figure: A difference with its sign, or the baseline's value.
        note: The difference's 95 % interval, or a p value; may be empty.
        verdict: A key of ``WORDS``; empty where nothing is judged.
        words: The verdict in words; may be empty.
    """

    figure: str
    note: str = ""
    verdict: str = ""
    words: str = ""

    @property
    def text(self) -> str:
        """All of it on one line."""
        return " ".join(part for part in (self.figure, self.note, self.words) if part) or formatting.NOT_THERE


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One variant in a matrix.

    Attributes:
        variant: Its name.
        cells: One a column.
        last: The last column, which sums up the others; None: there is none for it.
    """

    variant: str
    cells: tuple[Cell, ...]
    last: Cell | None = None


def asked_tables(report: Report) -> tuple[Table, ...]:
    """The tables of this module that have anything to say."""
    made = (protocols_table(report), best_table(report), cuts_table(report))
    return tuple(table for table in made if table.rows)


def protocols_table(report: Report) -> Table:
    """Variants by protocols: the baseline's value, each adapter's difference with interval and verdict."""
    comparison, protocols = report.comparison, report.protocols
    if comparison is None or protocols is None:
        return Table("", (), ())
    rows = []
    for row in protocol_rows(comparison, protocols):
        last = (formatting.NOT_THERE,) * 2 if row.last is None else (row.last.note, row.last.words)
        rows.append((row.variant, *(cell.text for cell in row.cells), *last))
    heads = ("variant", *protocols.names, "largest p", "whichever way")
    title = f"{comparison.metrics[comparison.primary].title}, asked another way"
    return Table(title, heads, tuple(rows), protocols_caption(comparison, protocols), ("largest p",))


def protocols_caption(comparison: Comparison, protocols: Protocols) -> str:
    """How to read the matrix of protocols."""
    return (
        f"{protocols.names[0]} decides · {comparison.baseline}: its value; adapters: difference, 95 % CI, verdict · "
        "p is adjusted within each protocol; what holds under every one (an intersection-union test) needs no more"
    )


def protocol_rows(comparison: Comparison, protocols: Protocols) -> tuple[MatrixRow, ...]:
    """The matrix of protocols, the baseline first, one cell a protocol."""
    whichever = {each.candidate: each for each in protocols.whichever}
    values = []
    for result in protocols.results:
        # Of several adapters each has its own pairs: where rows were dropped, the baseline has a value on each.
        known = [row for row in result.rows if row.baseline_value is not None]
        known.sort(key=lambda row: row.baseline_value or 0.0)
        ends = [formatting.value(row.baseline_value, comparison.metrics[row.metric]) for row in known]
        values.append(Cell(" to ".join(dict.fromkeys((ends[0], ends[-1]))) if ends else formatting.NOT_THERE))
    rows = [MatrixRow(comparison.baseline, tuple(values))]
    for candidate in best_first(comparison):
        found = protocols.rows_of(candidate)
        cells = tuple(judged_cell(comparison, found.get(name)) for name in protocols.names)
        way = whichever.get(candidate)
        last = None
        if way is not None:
            last = Cell("", formatting.p_value(way.p_value), way.verdict, WORDS[way.verdict])
        rows.append(MatrixRow(candidate, cells, last))
    return tuple(rows)


def metric_rows(comparison: Comparison) -> tuple[MatrixRow, ...]:
    """Adapters by judged metrics, one cell a metric of `judged_metrics`."""
    found = {(row.candidate, row.metric): row for row in comparison.rows}
    metrics = judged_metrics(comparison)
    return tuple(
        MatrixRow(name, tuple(judged_cell(comparison, found.get((name, info.name))) for info in metrics))
        for name in best_first(comparison)
    )


def judged_metrics(comparison: Comparison) -> tuple[MetricInfo, ...]:
    """The metrics that are judged, the one that decides first."""
    judged = [info for info in comparison.metrics.values() if info.higher_is_better is not None]
    return tuple(sorted(judged, key=lambda info: info.name != comparison.primary))


def best_first(comparison: Comparison) -> tuple[str, ...]:
    """The candidates; of many, in the order of their differences on the primary metric, the best one first."""
    if len(comparison.candidates) < MANY:
        return comparison.candidates
    sign = -1 if comparison.metrics[comparison.primary].higher_is_better is False else 1

    def rank(candidate: str) -> tuple[bool, float]:
        difference = primary_row(comparison, candidate).difference
        return difference is None, 0.0 if difference is None else -sign * difference

    return tuple(sorted(comparison.candidates, key=rank))


def judged_cell(comparison: Comparison, row: MetricComparison | None) -> Cell:
    """Difference, interval and verdict of one row; a significant difference inside the margin is called what it is."""
    if row is None or row.difference is None:
        return Cell(NOT_SCORED if row is not None and row.unscored else formatting.NOT_THERE)
    info, change = comparison.metrics[row.metric], small_change(comparison, row)
    words = WORDS.get(row.verdict or "", "") + (f", {change}" if change else "")
    interval = formatting.interval(row.interval, info)
    return Cell(formatting.difference(row.difference, info), interval, row.verdict or "", words)


def words_in_doubt(comparison: Comparison, row: MetricComparison, doubt: Doubt | None) -> str:
    """The verdict of a judged row on one line, outside of any table.

    Args:
        comparison: Of all candidates.
        row: One of its rows.
        doubt: What speaks most against it; None: nothing, or it does not decide.
    """
    if doubt is not None and doubt.kind == "depends":
        return WORDS["depends"]
    verdict = verdict_words(comparison, row)
    return f"{verdict}, {IN_DOUBT}" if doubt is not None else verdict


def best_table(report: Report) -> Table:
    """Each adapter, as it was trained and at its best, against the baseline at its best."""
    comparison, protocols = report.comparison, report.protocols
    if comparison is None or protocols is None:
        return Table("", (), ())
    rows = []
    for each in _ordered(comparison, protocols.best):
        cell = judged_cell(comparison, each.row)
        chosen = (_halves(each.candidate_protocols), _halves(each.baseline_protocols))
        p = formatting.p_value(each.row.p_adjusted)
        words = cell.words or formatting.NOT_THERE
        rows.append((f"{each.candidate}, {each.asked}", *chosen, cell.figure, cell.note, p, words))
    base = comparison.baseline
    heads = ("adapter, asked", "under", f"{base} under", "difference", "95 % CI", "p (Holm)", "verdict")
    caption = (
        "what is best is chosen on one half of the questions and judged on the other, and the other way round, so that "
        "choosing earns nothing; two names: the halves chose differently"
    )
    if (widest := max((each.widening for each in protocols.best), default=1.0)) > 1:
        most = formatting.percent(widest - 1)
        caption += f" · the halves choose for each other, so the spread is widened (by {most} at most)"
    title = f"Against {base} at its best: {comparison.metrics[comparison.primary].title}"
    return Table(title, heads, tuple(rows), caption, ("p (Holm)", "under", "95 % CI"))


def cuts_table(report: Report) -> Table:
    """The verdicts as they would be if every answer had ended earlier."""
    comparison = report.comparison
    if comparison is None or not report.confounds.cuts:
        return Table("", (), ())
    rows = []
    for cut in _ordered(comparison, report.confounds.cuts):
        cell = judged_cell(comparison, cut.row)
        shares = (formatting.percent(share) for share in (cut.baseline_share, cut.candidate_share))
        words = cell.words or formatting.NOT_THERE
        rows.append((f"{cut.candidate}: {_end(cut)}", *shares, cell.figure, cell.note, words, _holds(comparison, cut)))
    base = comparison.baseline
    heads = (
        *("adapter: answers end at", f"of {base} shortened", "of adapter shortened"),
        *("difference", "95 % CI", "verdict", "holds"),
    )
    caption = (
        "a greedy answer that ends earlier is the beginning of the one that goes on, so nothing was generated again; "
        "shortened: share of all answers · holds: whether the verdict is the same"
    )
    title = f"If answers ended earlier: {comparison.metrics[comparison.primary].title}"
    expendable = (f"of {base} shortened", "of adapter shortened", "95 % CI")
    return Table(title, heads, tuple(rows), caption, expendable)


def _ordered[Of: AgainstBest | CutComparison](comparison: Comparison, found: Sequence[Of]) -> list[Of]:
    """By candidate, in the order of `best_first`."""
    return [each for name in best_first(comparison) for each in found if each.candidate == name]


def _halves(protocols: tuple[str, str]) -> str:
    return " / ".join(name for name in dict.fromkeys(protocols) if name) or formatting.NOT_THERE


def _end(cut: CutComparison) -> str:
    if cut.kind == "half":
        return f"{cut.max_new_tokens:,} tokens"
    return clipped(json.dumps(cut.stop, ensure_ascii=False), MOST_OF_A_STOP)


def _holds(comparison: Comparison, cut: CutComparison) -> str:
    verdict = comparison.verdicts.get(cut.candidate)
    if verdict is None or cut.row.verdict is None:
        return formatting.NOT_THERE
    return "yes" if verdict == cut.row.verdict else f"no, it was {WORDS[verdict]}"
