"""`loralift run`: from a question to a verdict."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loralift.cli.offline import offline_option
from loralift.cli.options import config_options, given

if TYPE_CHECKING:
    from loralift.config import RunConfig


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
    from rich.console import Console

    from loralift.cli.progress import TerminalWatcher
    from loralift.reporting.terminal import print_report
    from loralift.workflow.running import run as run_workflow

    result = run_workflow(config, resume=resume, watcher=TerminalWatcher(), command=command)
    print_report(result.report, Console())
    click.echo(f"report: {result.files[0]}")
