"""The report as one HTML page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from loralift.records import UNFINISHED, Comparison, Report, Row
from loralift.reporting import formatting, judging, matrices, tables
from loralift.reporting.charts import PALETTE, Chart
from loralift.reporting.doubts import Doubt, doubts, doubts_of, strongest
from loralift.reporting.examples import has_texts, telling_rows
from loralift.reporting.failures import failure_modes_of, failure_table, failures, tallied
from loralift.reporting.page import tables as tables_of_page
from loralift.reporting.page.rows import FailureModes, PackedRows, asked_names, in_sight, pack
from loralift.reporting.page.theme import chart_css, strips
from loralift.reporting.page.word_differences import word_differences
from loralift.reporting.page.words import WORDS, answer, answer_of_inputs, findings_by_candidate, shown_verdict
from loralift.reporting.sweep import sweep_table
from loralift.visible import clipped, visible

MOST_BYTES = 5_000_000
"""What the file may have: it is mailed and attached to pull requests."""

CHARTS_SHARE = 0.5
"""Of that for charts at most: they look at the rows from afar, and the rows are to be read."""

SCRIPTS = ("data.js", "view.js", "row.js", "rows.js", "page.js")
"""One module in several files, joined in this order: a page that may request nothing cannot import."""

CLIP = 2_000
"""Characters of a text that the page shows before its script runs."""

MOST_CHARACTERS = 10_000
"""Of any other text, such as a name or a fact."""

_INSIDE_FIGURE = re.compile(r"(?<=\d) (?=%)| (?=[=<] )|(?<= [=<]) ")
_NUMBER = re.compile(r"\[?[<+−]?\d|–$|$")


def render(report: Report, charts: Sequence[Chart]) -> str:
    """The whole report as a page.

    Args:
        report: What to show.
        charts: Pictures of it, in the order in which they are shown.

    Returns:
        HTML of at most 5 MB; of more rows, or larger charts, than fit it carries a part and says so.
    """
    style = _source("report.css") + chart_css(PALETTE)
    script = "\n".join(_source(f"script/{name}") for name in SCRIPTS)
    shown = _fitting(charts)
    known = {
        "report": report,
        "comparison": report.comparison,
        "base": report.variants[0],
        # The charts are drawn from the report by our own code, which escapes what it writes.
        "charts": [(chart, Markup(chart.svg)) for chart in shown],
        "left_out": [chart.title for chart in charts if chart not in shown],
        "asked": asked_names(report),
        "repeated": tallied(report).questions is not None,
        "turns": tallied(report).turns,
        "style": Markup(style),
        "script": Markup(script),
        "policy": _policy(style, script),
        "findings": findings_by_candidate(report),
        "strips": strips(report.comparison) if report.comparison else {},
        "formatting": formatting,
        "texts": {"references": report.has("reference"), "answers": bool(report.answering)},
        "examples": [_example(report, row) for row in telling_rows(report)] if has_texts(report) else [],
        **_verdicts(report),
        **_tables(report),
        **_matrices(report),
    }
    template = _environment().get_template("report.html.j2")
    # With the longest note that a page can need, so that what is left for rows is never too much.
    shell = template.render(known, packed=PackedRows("", max(1, len(report.rows) - 1), len(report.rows)))
    packed = pack(report, _failure_titles(report), MOST_BYTES - len(shell.encode("utf-8", "replace")))
    page = template.render(known, packed=packed)
    # Half a surrogate pair, which a model can write, has no UTF-8.
    return page.encode("utf-8", "replace").decode("utf-8")


def _verdicts(report: Report) -> dict[str, Any]:
    """What the templates say verdicts with, what speaks against them included."""
    own = doubts_of(report)
    in_doubt = strongest(own)
    confidence = tables.level_of(report.comparison) if report.comparison is not None else ""

    def against(comparison: Comparison) -> Sequence[Doubt]:
        return own if comparison is report.comparison else doubts(comparison)

    return {
        "answer": answer_of_inputs(report, own) if report.inputs else answer(report.comparison, in_doubt),
        "words": WORDS,
        "in_doubt": in_doubt,
        "shown_verdict": lambda comparison, name: shown_verdict(comparison, name, in_doubt),
        "primary_row": tables.primary_row,
        "headline": lambda comparison, name: tables.headline(comparison, name, against(comparison)),
        "small_change": tables.small_change,
        "confidence": confidence.replace("CI", "confidence interval"),
        "comparison_table": lambda of, name: _verdict_first(tables.comparison_table(of, name, against(of))),
    }


def _fitting(charts: Sequence[Chart]) -> list[Chart]:
    """The charts in their order, without the largest ones where all together take more than their share."""
    sizes = {chart.name: len(chart.svg.encode("utf-8", "replace")) for chart in charts}
    shown, total = list(charts), sum(sizes.values())
    for chart in sorted(charts, key=lambda chart: -sizes[chart.name]):
        if total <= CHARTS_SHARE * MOST_BYTES:
            break
        shown.remove(chart)
        total -= sizes[chart.name]
    return shown


def _failure_titles(report: Report) -> FailureModes:
    """The failure modes of one answer by the titles that people know them by."""
    titles = {mode.name: mode.title for mode in failures(report)}
    return lambda row, variant: tuple(titles.get(name, name) for name in failure_modes_of(row, variant))


def _tables(report: Report) -> dict[str, tables.Table | None]:
    return {
        "ranking": tables.ranking_table(report.comparison) if report.comparison else None,
        "sweep": _verdict_first(sweep_table(report)),
        "power": tables_of_page.power_table(report),
        "noise": tables_of_page.noise_table(report),
        "sdk": tables_of_page.sdk_table(report),
        "judged": tables.summary_table(report),
        "slices": tables.slices_table(report),
        "length": tables_of_page.lengths_table(report, all_metrics=False),
        "lengths": tables_of_page.lengths_table(report, all_metrics=True),
        "contributions": tables.contributions_table(report),
        "failures": failure_table(report),
        "perplexity": tables_of_page.perplexity_table(report),
        "descriptive": tables.description_table(report),
        "proofs": tables.proofs_table(report),
    }


def _matrices(report: Report) -> dict[str, Any]:
    """The matrices, and what their cells lead to: candidate to metric to the id of its row; under "" its own."""
    comparison = report.comparison
    if comparison is None:
        return {}
    order, metrics = matrices.best_first(comparison), matrices.judged_metrics(comparison)
    judged = {(row.candidate, row.metric) for row in comparison.rows if row.verdict is not None}
    anchors = {
        name: {"": f"of-{place}"}
        | {info.name: f"of-{place}-{at}" for at, info in enumerate(metrics, 1) if (name, info.name) in judged}
        for place, name in enumerate(order, 1)
    }
    ways = report.protocols.whichever if report.protocols else ()
    depends = {way.candidate for way in ways if way.verdict == "depends"}
    return {
        "standing": {name: "depends" if name in depends else comparison.verdicts[name] for name in order},
        "many": len(order) >= matrices.MANY,
        "order": order,
        "metrics": metrics,
        "metric_rows": matrices.metric_rows(comparison),
        "anchors": anchors,
        "row_ids": lambda name: [
            anchors[name][row.metric] for row in comparison.rows if row.candidate == name and row.verdict is not None
        ],
        "protocols_asked": matrices.protocols_table(report) if report.protocols else None,
        "protocol_rows": matrices.protocol_rows(comparison, report.protocols) if report.protocols else (),
        "best": _verdict_first(matrices.best_table(report)),
        "cuts": _verdict_first(matrices.cuts_table(report)),
        "judging": [_verdict_first(table) for table in judging.judging_tables(report)],
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("loralift.reporting.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["tight"] = _tight
    environment.filters["numeric_columns"] = _numeric_columns
    return environment


def _shown(value: Any) -> Any:
    """What every expression of the templates goes through: control characters and direction marks shown escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(clipped(value, MOST_CHARACTERS), lines=True)
    return value


def _tight(text: str) -> str:
    """With spaces that no line breaks at inside a figure."""
    return _INSIDE_FIGURE.sub("\u00a0", text)


def _numeric_columns(table: tables.Table) -> list[bool]:
    """Which columns hold nothing but numbers, and are set to the right."""
    return [all(_NUMBER.match(cell) for cell in column) for column in zip(*table.rows, strict=True)]


def _verdict_first(table: tables.Table) -> tables.Table:
    """The same table with its verdict, and what follows it, beside the first column: a narrow screen shows these."""
    if "verdict" not in table.columns:
        return table
    at = len(table.columns) - 1 - table.columns[::-1].index("verdict")

    def moved(cells: tuple[str, ...]) -> tuple[str, ...]:
        return (cells[0], *cells[at:], *cells[1:at])

    return replace(table, columns=moved(table.columns), rows=tuple(moved(row) for row in table.rows))


def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which the page can neither request nor run anything but itself."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _example(report: Report, row: Row) -> dict[str, Any]:
    """A row as the page shows it before its script runs: parts of texts, marked or not."""
    row = in_sight(row)
    base = report.variants[0]
    first = _said(row, base)
    answers = []
    for name in report.answering:
        text = _said(row, name)
        found = "" if name == base or base not in report.answering else word_differences(first, text)
        answers.append((name, _parts(text, () if isinstance(found, str) else found[1])))
    return {"row": row, "reference": _parts(row.reference, ()), "answers": answers}


def _said(row: Row, variant: str) -> str:
    """An answer, or that there is none."""
    return row.answers.get(variant, f"({UNFINISHED})" if variant in row.thinking else "(no answer)")


def _parts(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[str, bool]]:
    """A text cut at the spans and clipped: each part with whether it is marked."""
    clipped = text if len(text) <= CLIP else f"{text[:CLIP]} …"
    parts, last = [], 0
    for start, end in spans:
        if start >= CLIP:
            break
        parts += [(clipped[last:start], False), (clipped[start:end], True)]
        last = end
    return [part for part in [*parts, (clipped[last:], False)] if part[0]]
