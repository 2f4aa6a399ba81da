"""report.md: the page for a pull request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from loralift.errors import MOST_CHARACTERS
from loralift.records import UNFINISHED, Comparison, Report, Row
from loralift.reporting import judging, matrices, tables
from loralift.reporting.doubts import Doubt, doubts, doubts_of, strongest
from loralift.reporting.examples import has_texts, telling_rows, told
from loralift.reporting.failures import failure_table
from loralift.reporting.sweep import sweep_table
from loralift.visible import one_line

# Characters that are markup in Markdown or HTML.
_MARKUP = re.compile(r"([\\`*_\[\]|<>~&])")
# What GitHub turns into a link or a notification: @name, name@host, #12, GH-12, https://…, www.…
_REFERENCE = re.compile(
    r"(?<!\w)@(?=\w)|@(?=[\w-]+\.\w)|#(?=\d)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)", re.ASCII | re.IGNORECASE
)
_NOTHING = "&#8203;"  # a space without width; as an entity @ would still be one to GitHub

CLIP = 1_000
"""Most characters of a question, reference or answer, since a comment on GitHub holds 65,536."""


def render(report: Report, charts: Mapping[str, str] | None = None) -> str:
    """The whole report as GitHub-flavoured Markdown.

    Args:
        report: What to show.
        charts: Text alternative of a picture to its path, relative to the page.
    """
    parts = [f"# {escape(report.title)}"]
    comparison, against = report.comparison, doubts_of(report)
    if comparison is not None:
        parts += [f"**{escape(tables.headline(comparison, name, against))}**" for name in comparison.candidates]
        parts += [f"**{escape(tables.refusal(report, name))}**" for name in report.refused]
        parts += [f"**{escape(sentence)}**" for _, sentence in judging.judge_sentences(report)]
        parts.append(_findings(report))
        parts += [f"![{escape(alt)}]({path})" for alt, path in (charts or {}).items()]
        parts += [table_text(tables.comparison_table(comparison, name, against)) for name in comparison.candidates]
        parts += [table_text(sweep_table(report)), table_text(tables.ranking_table(comparison))]
        parts += [table_text(table) for table in (*matrices.asked_tables(report), *judging.judging_tables(report))]
    for name, further in report.also.items():
        parts.append(f"## Forgetting: {escape(name)}")
        further_against = doubts(further)
        parts += [f"**{escape(tables.headline(further, one, further_against))}**" for one in further.candidates]
        parts += [table_text(tables.comparison_table(further, one, further_against)) for one in further.candidates]
    parts += [table_text(tables.contributions_table(report)), table_text(tables.slices_table(report))]
    parts += [table_text(tables.proofs_table(report)), table_text(tables.summary_table(report))]
    parts += [table_text(tables.description_table(report)), table_text(failure_table(report))]
    parts += _warnings(report)
    if report.rows and has_texts(report):
        parts += ["## Read for yourself", escape(told(report))]
        parts += [_example(report, row) for row in telling_rows(report)]
    parts.append(_facts(report))
    return "\n\n".join(part for part in parts if part) + "\n"


def render_comparison(comparison: Comparison, against: Sequence[Doubt], notes: Mapping[str, Sequence[str]]) -> str:
    """One comparison without a run around it, as GitHub-flavoured Markdown: what the terminal is shown of it.

    Args:
        comparison: What to show.
        against: What speaks against its verdicts.
        notes: Candidate to what a reader must know of it first, one sentence each.
    """
    parts = [f"**{escape(tables.headline(comparison, name, against))}**" for name in comparison.candidates]
    first = strongest(against).values()  # which the sentences say
    further = [doubt for doubt in against if doubt not in first]
    parts.append("\n".join(f"- ⚠ {escape(f'{doubt.candidate}: {doubt.words}')}" for doubt in further))
    for name in comparison.candidates:
        parts.append(table_text(tables.comparison_table(comparison, name, against), "###"))
        parts.append(table_text(tables.described_table(comparison, name), "###"))
        shared = tables.shared_warnings(comparison, name).items()
        said = [*notes.get(name, ()), *tables.primary_row(comparison, name).warnings]
        said += [*(f"{', '.join(titles)}: {warning}" for warning, titles in shared)]
        said += tables.blind_spots(comparison, name)
        parts.append("\n".join(f"- {escape(sentence)}" for sentence in said))
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    r"""Escape text that a model wrote, so that it is shown as it is, on one line, and notifies nobody.

    >>> print(escape("*@octocat*, see #12 and https://x.org"))
    \*@&#8203;octocat\*, see #&#8203;12 and https:&#8203;//x.org
    """
    shown = one_line(text, MOST_CHARACTERS)
    return _REFERENCE.sub(rf"\g<0>{_NOTHING}", _MARKUP.sub(r"\\\1", shown))


def table_text(table: tables.Table, heading: str = "##") -> str:
    """A table under its title; empty where it has no rows."""
    if not table.rows:
        return ""
    lines = [
        f"{heading} {escape(table.title)}",
        "",
        "| " + " | ".join(map(escape, table.columns)) + " |",
        "| --- |" + " ---: |" * (len(table.columns) - 1),
        *("| " + " | ".join(map(escape, row)) + " |" for row in table.rows),
    ]
    if table.caption:
        lines += ["", escape(table.caption)]
    return "\n".join(lines)


def _findings(report: Report) -> str:
    lines = [f"- {'⚠ ' if finding.severity == 'warning' else ''}{escape(finding.text)}" for finding in report.findings]
    return "\n".join(lines)


def _warnings(report: Report) -> list[str]:
    sentences = [*report.notes, *(report.protocols.notes if report.protocols else ())]
    if report.comparison is not None:
        judged = [row for row in report.comparison.rows if row.verdict is not None]
        sentences += [f"{row.candidate}, {row.metric}: {warning}" for row in judged for warning in row.warnings]
    return ["## Notes", "\n".join(f"- {escape(sentence)}" for sentence in sentences)] if sentences else []


def _example(report: Report, row: Row) -> str:
    lines = [f"**{escape(_clipped(row.question or f'row {row.id}'))}**"]
    lines += [f"- reference: {escape(_clipped(row.reference))}"] if report.has("reference") else []
    lines += [f"- {escape(variant)}: {escape(_clipped(text))}" for variant, text in row.answers.items()]
    lines += [f"- {escape(variant)}: ({UNFINISHED})" for variant in row.thinking if variant not in row.answers]
    return lines[0] + "\n\n" + "\n".join(lines[1:])


def _clipped(text: str) -> str:
    return text if len(text) <= CLIP else f"{text[:CLIP]} … ({len(text):,} characters)"


def _facts(report: Report) -> str:
    lines = ["## How it was made", "", "| | |", "| --- | --- |"]
    lines += [f"| {escape(label)} | {escape(fact)} |" for label, fact in report.facts.items()]
    signatures = [info for info in report.metrics.values() if info.signature]
    lines += [f"| {escape(info.title)} | {escape(info.signature)} |" for info in signatures]
    return "\n".join(lines)
