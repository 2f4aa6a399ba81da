"""`loralift merge`: the run of all its shards, with its verdict."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from loralift import arguments
from loralift.cli.offline import offline_option
from loralift.cli.options import Once
from loralift.cli.run import show
from loralift.errors import UsageError, wrong_argument


@click.command()
@click.argument("shards", metavar="SHARD…", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--output-dir", cls=Once, metavar="RUN", help="The run's folder; a new one.")
@click.option("--device", cls=Once, metavar="X", help="Where embedding models run [default: as the shards were told].")
@offline_option
def merge(shards: Sequence[Path], output_dir: str | None, device: str | None) -> None:
    """Make a run of all its shards: score their answers, compare, report.

    \b
    loralift run run.yaml --shard 0/2 -o runs/a-0
    loralift run run.yaml --shard 1/2 -o runs/a-1
    loralift merge runs/a-0 runs/a-1 -o runs/a

    It ends as the run does that was never parted; it loads no model.
    """
    if not shards:
        raise UsageError(wrong_argument("SHARD", "given, the folder of each shard", "none"))
    if output_dir is None:
        raise UsageError("`--output-dir` must be given: the new folder of the whole run")
    place = arguments.path("--output-dir", output_dir, "a folder")
    from loralift.versions import need_run

    need_run("`loralift merge`")
    from loralift.cli.progress import TerminalWatcher
    from loralift.workflow.merging import merge as merge_shards

    command = shlex.join(["loralift", *sys.argv[1:]])
    result = merge_shards(shards, place, device=device, watcher=TerminalWatcher(), command=command)
    show(result.report, result.files, result.unwritten)
