"""`loralift run`: from a question to a verdict."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loralift.cli.offline import offline_option
from loralift.cli.options import config_options, given
from loralift.errors import RunDirectoryError
from loralift.visible import visible

if TYPE_CHECKING:
    from loralift.config import RunConfig
    from loralift.records import Report


@click.command()
@click.argument("config_file", metavar="[CONFIG.yaml]", required=False, type=click.Path(path_type=Path))
@config_options
@click.option("--resume", is_flag=True, help="Go on with the run in --output-dir.")
@offline_option
def run(config_file: Path | None, resume: bool, **options: Any) -> None:
    """Evaluate a base model and its adapters; say whether each adapter is better.

    \b
    loralift run --adapter mine=./my-lora
    loralift run run.yaml --limit 50 -o runs/quick
    """
    from loralift.config import load

    config = load(config_file, given(options))
    run_and_show(config, resume=resume, command=shlex.join(["loralift", *sys.argv[1:]]))


def run_and_show(config: RunConfig, *, resume: bool = False, command: str) -> None:
    """Run, print the report's tables and verdicts, and say where the report lies."""
    from loralift.cli.progress import TerminalWatcher
    from loralift.workflow.running import run as run_workflow

    result = run_workflow(config, resume=resume, watcher=TerminalWatcher(), command=command)
    show(result.report, result.files, result.unwritten)


def show(report: Report, files: Sequence[Path], unwritten: Sequence[str]) -> None:
    """Print the report's tables and verdicts, and where its page lies.

    Raises:
        RunDirectoryError: Not every file could be written.
    """
    from loralift.reporting.console import Terminal
    from loralift.reporting.terminal import print_report

    print_report(report, Terminal())
    for why in unwritten:
        click.echo(f"loralift: {why}", err=True)
    if unwritten:
        raise RunDirectoryError(
            f"the verdicts above are whole, but {len(unwritten)} files could not be written, as said above; "
            "`loralift report` on the run writes its report once they can be"
        )
    click.echo(f"report: {visible(str(files[0]))}")
