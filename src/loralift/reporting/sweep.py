"""A sweep in a table and in sentences: which adapter may be the best, and what the choice among them is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loralift.records import BestOf, Comparison, Finding, MetricInfo, Report, Sweep
from loralift.reporting import formatting
from loralift.reporting.doubts import SAID
from loralift.reporting.tables import NOT_SCORED, Table, primary_row, verdict_words
from loralift.reporting.traced_figures import Facts

MOST_NAMED = 6
"""Names in a sentence."""

TITLES = {"step": "step", "epoch": "epoch", "r": "rank (r)", "lora_alpha": "alpha (lora_alpha)"}


def axis_title(field: str) -> str:
    """What people call a field by which adapters differ."""
    return TITLES.get(field, field)


def sweep_table(report: Report) -> Table:
    """Every adapter of a sweep with its numbers, in their order."""
    comparison, sweep = report.comparison, report.sweep
    if comparison is None or sweep is None:
        return Table("", (), ())
    info, rows = comparison.metrics[comparison.primary], []
    for name in by_axis(comparison, sweep):
        row = primary_row(comparison, name)
        numbers = (f"{axis.values[name]:g}" if name in axis.values else formatting.NOT_THERE for axis in sweep.axes)
        told = NOT_SCORED if row.verdict is None else verdict_words(comparison, row)
        rows.append(
            (
                *(name, *numbers, formatting.value(row.candidate_value, info)),
                *(formatting.difference(row.difference, info), formatting.interval(row.interval, info)),
                *(formatting.p_value(row.p_adjusted), told, _may_be(sweep.best, name)),
            )
        )
    heads = tuple(axis_title(axis.field) for axis in sweep.axes)
    columns = ("adapter", *heads, info.title, "difference", "95 % CI", "p (Holm)", "verdict", "may be the best")
    caption = (
        "difference, interval and verdict of each as if it were alone, p after Holm over all of them · may be the "
        "best: no other one is surely better; the best one is among these with 95 % confidence"
    )
    expendable = ("p (Holm)", info.title, *heads[1:], "95 % CI")
    return Table(f"The sweep: {info.title}", columns, tuple(rows), caption, expendable)


def by_axis(comparison: Comparison, sweep: Sweep) -> list[str]:
    """The adapters by their numbers on the first axis, then those that have none."""
    values = sweep.axes[0].values
    return sorted(comparison.candidates, key=lambda name: (name not in values, values.get(name, 0.0)))


def sweep_findings(comparison: Comparison, sweep: Sweep | None) -> Iterator[Finding]:
    """What is known of the best, in sentences; each figure under its expression, over ``sweep`` and ``rows``."""
    best = sweep.best if sweep else None
    if best is None or best.row.difference is None:
        return
    info = comparison.metrics[comparison.primary]
    yield _re_estimated(best, comparison, info)
    yield _contenders(best, comparison, info)


def _re_estimated(best: BestOf, comparison: Comparison, info: MetricInfo) -> Finding:
    """What the best is worth on rows that did not choose it."""
    facts, row, path = Facts(), best.row, "sweep.best.row"
    verdict = SAID[facts.text(f"{path}.verdict", row.verdict or "inconclusive")]
    words = f"The best of {facts.count('len(sweep.best.among)', len(best.among))} adapters on half the rows, "
    words += f"re-estimated on the other half: {facts.difference(f'{path}.difference', row.difference or 0.0, info)}"
    words += f"{facts.interval(f'{path}.interval', row.interval, info)} on {info.title}, {verdict}"
    words += {"better": " than ", "worse": " than ", "equivalent": " to "}.get(str(row.verdict), " against ")
    words += f"{row.baseline} (both directions averaged; chosen: "
    chosen = [facts.text(f"sweep.best.chosen[{half}]", name) for half, name in enumerate(best.chosen)]
    words += f"{' and '.join(dict.fromkeys(chosen))})."
    leader = facts.text("sweep.best.leader", best.leader)
    for number, seen in enumerate(comparison.rows):
        if seen.candidate == best.leader and seen.metric == comparison.primary and seen.difference is not None:
            figure = facts.difference(f"rows[{number}].difference", seen.difference, info)
            words += f" {leader}, which looks best on all rows, shows {figure} there, flattered by being chosen."
    return facts.info(words)


def _contenders(best: BestOf, comparison: Comparison, info: MetricInfo) -> Finding:
    facts, among, left = Facts(), len(best.among), len(best.contenders)
    every = facts.count("len(sweep.best.among)", among)
    sure = facts.percent("1 - alpha", 1 - comparison.alpha)
    if left == 1:
        name = facts.text("sweep.best.contenders[0]", best.contenders[0])
        return facts.info(f"{name} is the best of the {every} on {info.title}: with {sure} confidence no other one is.")
    if left == among:
        words = f"No adapter can be told from the others on {info.title}: each of the {every} may be the best"
        return facts.info(f"{words} ({sure} confidence), so the choice among them rests on something else.")
    count = facts.count("len(sweep.best.contenders)", left)
    words = f"{count} of {every} adapters cannot be told from the best on {info.title} ({sure} confidence): "
    return facts.info(f"{words}{_named(facts, best.contenders)}. The others are not the best.")


def _named(facts: Facts, names: Sequence[str]) -> str:
    shown = [facts.text(f"sweep.best.contenders[{place}]", name) for place, name in enumerate(names[:MOST_NAMED])]
    if len(names) <= MOST_NAMED:
        return ", ".join(shown)
    rest = facts.count(f"len(sweep.best.contenders) - {MOST_NAMED}", len(names) - MOST_NAMED)
    return f"{', '.join(shown)} and {rest} more"


def _may_be(best: BestOf | None, name: str) -> str:
    if best is None:
        return formatting.NOT_THERE
    return "yes" if name in best.contenders else "no"
