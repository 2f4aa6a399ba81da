"""`loralift report`: write a finished run's report again, without a model or a GPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from loralift.cli.run import show
from loralift.errors import RunDirectoryError, UsageError, wrong_argument
from loralift.reading import reading

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
    from loralift.workflow.damage import REMEDY
    from loralift.workflow.reporting import build_report, with_notes, write_report
    from loralift.workflow.run_directory import RunDirectory

    directory = RunDirectory(run_dir)
    built = build_report(directory)
    if fmt is None:
        written = write_report(directory, built)
        show(written.report, written.files, written.unwritten)
        return
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
