"""`loralift export`: a finished run or comparison in an experiment tracker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loralift.cli.options import Once
from loralift.errors import UsageError
from loralift.visible import visible

if TYPE_CHECKING:
    from loralift.workflow.exporting import Exported


@click.command()
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--to", "tracker", cls=Once, metavar="mlflow|wandb|trackio", help="The tracker.")
@click.option(
    "--project", cls=Once, metavar="NAME", help="Project or experiment [default: the tracker's own, else loralift]."
)
@click.option("--again", is_flag=True, help="Export it although the same figures are there.")
def export(run_dir: Path, tracker: str | None, project: str | None, again: bool) -> None:
    """Export RUN, or what `loralift compare -o DIR` wrote: verdicts, figures with intervals, tables, charts, the page.

    \b
    MLFLOW_TRACKING_URI=sqlite:///mlflow.db loralift export runs/mine --to mlflow
    WANDB_MODE=offline loralift export runs/mine --to wandb --project qa

    One run in the tracker is of the evaluation, and one of each variant, whose metrics have the same names everywhere.
    Where it goes, and as whom, is what the tracker's own variables say. `loralift run --track` does it as a run ends.
    """
    if tracker is None:
        raise UsageError("`--to` must be given: mlflow, wandb or trackio")

    from loralift.tracking import connect
    from loralift.workflow.exporting import export as export_folder

    tell(export_folder(run_dir, tracker, connect(tracker, project, "--to"), again=again))


def tell(exported: Exported) -> None:
    """Say where it is, and what is not there."""
    for sentence in exported.left_out:
        click.echo(f"loralift: not exported as it is: {visible(sentence)}", err=True)
    click.echo(f"exported: {visible(exported.place)}")
