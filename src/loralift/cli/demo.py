"""`loralift demo`: four adapters, four truths, in under a minute on two cores."""

from __future__ import annotations

import time
from pathlib import Path

import click

from loralift.cli.offline import offline_option


@click.command()
@click.option("-o", "--output-dir", type=click.Path(path_type=Path), metavar="X", help="[default: runs/demo-DATE-TIME]")
@click.option("--device", default="cpu", show_default=True, metavar="X", help="Where the models run.")
@offline_option
def demo(output_dir: Path | None, device: str) -> None:
    """Evaluate the models that come with LoraLift, and show the verdicts.

    One adapter makes the answers of its base better, one makes them worse, one changes next to nothing, and one is
    dead. None was trained on what is asked here.
    """
    from loralift import demo as shipped
    from loralift.cli.run import run_and_show
    from loralift.config import parse

    output_dir = output_dir or Path("runs") / time.strftime("demo-%Y-%m-%d-%H%M%S")
    run_and_show(parse({**shipped.settings(), "device": device, "output_dir": output_dir}), command="loralift demo")
