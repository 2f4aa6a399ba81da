"""One adapter's part of a report, as a model card on the Hugging Face hub has it: a section, and results for a machine.

Every sentence and figure is the report's own; what speaks against a verdict stands with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from loralift.errors import MOST_CHARACTERS
from loralift.records import Comparison, Judging, MetricComparison, Protocols, Report
from loralift.reporting import judging, matrices, tables
from loralift.reporting.doubts import Doubt, doubts, doubts_of, strongest
from loralift.reporting.markdown import escape, table_text
from loralift.version import VERSION
from loralift.visible import one_line

HUB_TYPES = {"rouge1": "rouge", "rouge2": "rouge", "rougeL": "rouge", "bert_score": "bertscore"}
"""Our metrics whose name on the hub is another."""

OURS = "loralift"
"""Argument of the data set of each of our results: the version; by it they are found again."""

LEFT_OUT = ("p", "d", "win/tie/loss", "margin")
"""Columns of the report's table that a card has not."""


def section(report: Report, adapter: str) -> str:
    """What a reader is told of one adapter, as Markdown.

    Args:
        report: Of the run, with a comparison.
        adapter: One of its candidates.
    """
    one = _alone(report, adapter)
    assert one.comparison is not None
    against = doubts_of(one)
    parts = ["## Evaluation", _about(report, adapter)]
    parts += [f"**{escape(tables.headline(one.comparison, adapter, against))}**"]
    parts += ["\n".join(_findings(one))]
    parts += [_table(one.comparison, adapter, against, "###")]
    parts += [table_text(table, "###") for table in matrices.asked_tables(one)]
    parts += [escape(sentence) for _, sentence in judging.judge_sentences(one)]
    for name, further in one.also.items():
        of_further = doubts(further)
        parts += [f"### Forgetting: {escape(name)}", f"**{escape(tables.headline(further, adapter, of_further))}**"]
        parts += [_table(further, adapter, of_further, "####")]
    parts += _notes(one)
    # the hub takes \( and $$ for formulas, and an escaped backslash for the first half of one
    return "\n\n".join(part for part in parts if part).replace("\\\\", "&#92;").replace("$", "&#36;")


def results(report: Report, adapter: str, dataset: Mapping[str, str]) -> list[dict[str, Any]]:
    """The figures of one adapter as entries of ``results`` in the hub's ``model-index``, one a data set.

    Args:
        report: Of the run, with a comparison.
        adapter: One of its candidates.
        dataset: Of the run: ``type`` (an id on the hub, where it is there) and ``name``, perhaps ``config``, ``split``
            and ``revision``.
    """
    one = _alone(report, adapter)
    assert one.comparison is not None
    asked = {"protocol": asked_by} if (asked_by := report.facts.get("asked by")) else {}
    found = [_result(one.comparison, adapter, doubts_of(one), dataset, asked)]
    for name, further in one.also.items():
        found.append(_result(further, adapter, doubts(further), {"type": name, "name": name}, {}))
    return [result for result in found if result["metrics"]]


def _alone(report: Report, adapter: str) -> Report:
    """The report as if it had been written of one adapter; its figures are those of all, adjusted p too."""
    assert report.comparison is not None
    also = {name: _only(further, adapter) for name, further in report.also.items() if adapter in further.candidates}
    return replace(
        report,
        comparison=_only(report.comparison, adapter),
        findings=tuple(finding for finding in report.findings if finding.candidate == adapter),
        also=also,
        protocols=None if report.protocols is None else _of_protocols(report.protocols, adapter),
        judging=None if report.judging is None else _of_judges(report.judging, adapter),
    )


def _only(comparison: Comparison, adapter: str) -> Comparison:
    rows = tuple(row for row in comparison.rows if row.candidate == adapter)
    verdicts = {adapter: comparison.verdicts[adapter]}
    return replace(comparison, candidates=(adapter,), rows=rows, verdicts=verdicts, ranking=None)


def _of_protocols(protocols: Protocols, adapter: str) -> Protocols:
    return replace(
        protocols,
        results=tuple(
            replace(result, rows=tuple(row for row in result.rows if row.candidate == adapter))
            for result in protocols.results
        ),
        whichever=tuple(each for each in protocols.whichever if each.candidate == adapter),
        best=tuple(each for each in protocols.best if each.candidate == adapter),
    )


def _of_judges(found: Judging, adapter: str) -> Judging:
    judges = tuple(
        replace(judge, judged=tuple(judged for judged in judge.judged if judged.row.candidate == adapter))
        for judge in found.judges
    )
    return replace(found, judges=judges)


def _about(report: Report, adapter: str) -> str:
    """What was evaluated on what, by what; of several adapters that there were others."""
    assert report.comparison is not None
    asked = f"{report.comparison.baseline} and {adapter} asked the same"
    said = f"{report.title}, {asked}. Evaluated with LoraLift {VERSION}"
    if (count := len(report.comparison.candidates)) > 1:
        said += f", as one of {count} adapters; p (Holm) is adjusted for all of them"
    return f"{escape(said)}."


def _findings(report: Report) -> Iterator[str]:
    for finding in report.findings:
        yield f"- {'⚠ ' if finding.severity == 'warning' else ''}{escape(finding.text)}"


def _table(comparison: Comparison, adapter: str, against: tuple[Doubt, ...], heading: str) -> str:
    """The report's table without the columns of LEFT_OUT."""
    table = tables.comparison_table(comparison, adapter, against)
    # the variants' own columns may be called like one of these
    kept = [place for place, head in enumerate(table.columns) if place in (1, 2) or head not in LEFT_OUT]
    columns = tuple(table.columns[place] for place in kept)
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    caption = f"{tables.PRIMARY_MARK} decides · ↑ higher is better, ↓ lower is better · p two-sided, adjusted"
    return table_text(replace(table, columns=columns, rows=rows, caption=caption), heading)


def _notes(report: Report) -> list[str]:
    assert report.comparison is not None
    sentences = [*report.notes, *(report.protocols.notes if report.protocols else ())]
    for comparison in (report.comparison, *report.also.values()):
        for row in comparison.rows:
            if row.verdict is not None:
                sentences += [f"{comparison.metrics[row.metric].title}: {warning}" for warning in row.warnings]
    return ["### Notes", "\n".join(f"- {escape(sentence)}" for sentence in dict.fromkeys(sentences))] * bool(sentences)


def _result(
    comparison: Comparison,
    adapter: str,
    against: tuple[Doubt, ...],
    dataset: Mapping[str, str],
    asked: Mapping[str, str],
) -> dict[str, Any]:
    row = tables.primary_row(comparison, adapter)
    args = {OURS: VERSION, "questions": row.n, "decides": comparison.metrics[row.metric].title, **asked}
    doubt = strongest(against).get(adapter)
    return {
        "task": {"type": "text-generation"},
        "dataset": {**_lines(dataset), "args": _lines(args)},
        "metrics": [
            _metric(comparison, row, doubt if row.metric == comparison.primary else None)
            for row in comparison.rows
            if row.verdict is not None and row.candidate_value is not None and row.difference is not None
        ],
    }


def _metric(comparison: Comparison, row: MetricComparison, doubt: Doubt | None) -> dict[str, Any]:
    """One metric: the adapter's value, and what makes it readable, the base's value, interval and verdict."""
    info = comparison.metrics[row.metric]

    def rounded(number: float) -> float:
        return round(number, info.decimals) + 0.0  # no -0.0

    assert row.candidate_value is not None
    assert row.baseline_value is not None
    assert row.difference is not None
    args: dict[str, Any] = {
        "base": rounded(row.baseline_value),
        "difference": rounded(row.difference),
        "verdict": matrices.words_in_doubt(comparison, row, doubt),
    }
    if row.interval is not None:
        args |= {"interval": [rounded(row.interval.low), rounded(row.interval.high)], "level": row.interval.level}
    if doubt is not None:
        args["doubt"] = doubt.words
    kind = one_line(HUB_TYPES.get(info.name, info.name), MOST_CHARACTERS)
    name = one_line(info.title, MOST_CHARACTERS)
    return {"type": kind, "value": rounded(row.candidate_value), "name": name, "args": _lines(args)}


def _lines(values: Mapping[str, Any]) -> dict[str, Any]:
    """Names and sentences, on one line each, with nothing in them that hides."""
    return {key: one_line(value, MOST_CHARACTERS) if isinstance(value, str) else value for key, value in values.items()}
