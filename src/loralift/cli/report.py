"""`loralift report`: write a finished run's report again, without a model or a GPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from loralift.errors import UsageError, wrong_argument

FORMATS = ("html", "md", "json")


@click.command()
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "-f", "--format", "fmt", metavar="html|md|json", help="Print the report in this format instead of the table."
)
def report(run_dir: Path, fmt: str | None) -> None:
    """Show the report of a run and write its files again."""
    if fmt is not None and fmt not in FORMATS:
        raise UsageError(wrong_argument("--format", " or ".join(FORMATS), fmt))

    from rich.console import Console

    from loralift.reporting import charts, markdown, page
    from loralift.reporting.terminal import print_report
    from loralift.workflow.codec import plain
    from loralift.workflow.reporting import build_report, write_report
    from loralift.workflow.run_directory import RunDirectory

    directory = RunDirectory(run_dir)
    built = build_report(directory)
    if fmt == "html":
        click.echo(page.render(built, charts.draw(built)))
    elif fmt == "md":
        click.echo(markdown.render(built))
    elif fmt == "json":
        click.echo(json.dumps(plain(replace(built, rows=())), indent=2, ensure_ascii=False))
    else:
        written = write_report(directory, built)
        print_report(built, Console())
        click.echo(f"report: {written[0]}")
