"""`loralift report`: write a finished run's report again, without a model or a GPU."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loralift.cli.gate import conditions, gate_options, judge, least_share
from loralift.cli.run import show
from loralift.errors import ComparisonError, RunDirectoryError, UsageError, wrong_argument
from loralift.reading import reading

if TYPE_CHECKING:
    from loralift.records import Report

FORMATS = ("html", "md", "json")


@click.command()
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "-f", "--format", "fmt", metavar="html|md|json", help="Print the report in this format instead of the table."
)
@gate_options
def report(run_dir: Path, fmt: str | None, fail_on: Sequence[str], min_paired: str | None) -> None:
    """Show the report of a run and write its files again.

    With --fail-on it ends as `loralift compare` does, judging all adapters of the run as the run compared them.
    """
    asked, least = conditions(fail_on), least_share(min_paired, bool(fail_on))
    if fmt is not None and fmt not in FORMATS:
        raise UsageError(wrong_argument("--format", " or ".join(FORMATS), fmt))

    from loralift.reporting.charts.apart import drawable
    from loralift.workflow.doubting import evidence_of_run
    from loralift.workflow.reporting import build_report, write_report
    from loralift.workflow.run_directory import RunDirectory

    directory = RunDirectory(run_dir)
    built = build_report(directory)
    if fmt is None and not drawable():
        _show_alone(built)
    elif fmt is None:
        written = write_report(directory, built)
        show(written.report, written.files, written.unwritten)
    else:
        _print(built, run_dir, fmt)
    if not asked and min_paired is None:
        return
    if built.comparison is not None:
        judge(built.comparison, evidence_of_run(directory, built), asked, least, refused=built.refused)
    else:
        raise ComparisonError(f"{run_dir} has nothing to judge: no adapter was compared with its base")


def _show_alone(built: Report) -> None:
    """Print the tables; a page with charts is not replaced by one without."""
    from loralift.reporting.charts.apart import NOT_INSTALLED
    from loralift.reporting.console import Terminal
    from loralift.reporting.terminal import print_report

    print_report(built, Terminal())
    click.echo(f"loralift: the run's pages and charts stay as they are, since {NOT_INSTALLED}", err=True)


def _print(built: Report, run_dir: Path, fmt: str) -> None:
    """Print the report in one of FORMATS.

    Raises:
        RunDirectoryError: The run is damaged.
    """
    from loralift.reporting import markdown, page
    from loralift.reporting.charts.apart import draw_apart
    from loralift.workflow.codec import plain
    from loralift.workflow.damage import REMEDY
    from loralift.workflow.reporting import with_notes

    with reading(f"the run in {run_dir}", RunDirectoryError, REMEDY):
        match fmt:
            case "html":
                drawing = draw_apart(built)
                document = page.render(with_notes(built, drawing), drawing.charts)
            case "md":
                document = markdown.render(built)
            case _:
                document = json.dumps(plain(replace(built, rows=())), indent=2, ensure_ascii=False)
    # in UTF-8, which is what it says it is, whatever the terminal's encoding
    click.echo(document.encode("utf-8", "backslashreplace"))
