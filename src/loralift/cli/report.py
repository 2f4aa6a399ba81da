"""`loralift report`: write a finished run's report again, without a model or a GPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from loralift.cli.run import show
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

    from loralift.reporting import markdown, page
    from loralift.reporting.charts.apart import draw_apart
    from loralift.workflow.codec import plain
    from loralift.workflow.reporting import build_report, with_notes, write_report
    from loralift.workflow.run_directory import RunDirectory

    directory = RunDirectory(run_dir)
    built = build_report(directory)
    match fmt:
        case "html":
            drawing = draw_apart(built)
            _print(page.render(with_notes(built, drawing), drawing.charts))
        case "md":
            _print(markdown.render(built))
        case "json":
            _print(json.dumps(plain(replace(built, rows=())), indent=2, ensure_ascii=False))
        case _:
            written = write_report(directory, built)
            show(written.report, written.files, written.unwritten)


def _print(document: str) -> None:
    """Print a document in UTF-8, which is what it says it is, whatever the terminal's encoding."""
    click.echo(document.encode("utf-8", "backslashreplace"))
