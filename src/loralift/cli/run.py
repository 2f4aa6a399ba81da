"""`loralift run`: from a question to a verdict."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loralift.cli.judge_options import asked_judge, judge_options, parted
from loralift.cli.offline import offline_asked, offline_option
from loralift.cli.options import Once, config_options, given, one_config
from loralift.cli.track import asked_track, follow, track_options
from loralift.errors import LoraLiftError, RunDirectoryError, UsageError
from loralift.visible import visible

if TYPE_CHECKING:
    from loralift.config import RunConfig
    from loralift.records import Report
    from loralift.workflow.following import Track
    from loralift.workflow.judging import Asked as AskedOfJudge
    from loralift.workflow.sharding import Shard


@click.command()
@click.argument("config_file", metavar="[CONFIG.yaml]", nargs=-1, type=click.Path(path_type=Path), callback=one_config)
@config_options
@judge_options
@click.option("--resume", is_flag=True, help="Go on with the run in --output-dir.")
@click.option(
    "--shard",
    cls=Once,
    metavar="I/N|none",
    help="Ask only the I-th of N parts of the questions, from 0, for `loralift merge`; none: all of them [default: as "
    "NEL_SHARD_IDX or a Slurm array says, else none].",
)
@track_options
@offline_option
def run(config_file: Path | None, resume: bool, shard: str | None, **options: Any) -> None:
    """Evaluate a base model and its adapters; say whether each adapter is better.

    \b
    loralift run --adapter mine=./my-lora
    loralift run run.yaml --limit 50 -o runs/quick

    With --judge the answers are then judged too, as `loralift judge` does it. With --track a tracker is told.
    """
    from loralift.versions import need_run

    need_run("`loralift run`")
    from loralift.config import load

    of_track = {name: options.pop(name) for name in ("track", "project")}
    of_judge, of_run = parted(options)
    asked = asked_judge(**of_judge)
    part = _shard(shard)
    config = load(config_file, given(of_run))
    refuse_out_of_reach(config)
    track = asked_track(**of_track)
    if part is not None:
        if track is not None:
            raise UsageError("`--track` follows a whole run: merge the shards first, then `loralift export RUN`")
        if asked is not None:
            raise UsageError("`--judge` judges a whole run: merge the shards first, then `loralift judge RUN`")
        run_part(config, part, resume=resume)
        return
    if asked is not None:
        _refuse_in_vain(asked, config)
    command = shlex.join(["loralift", *sys.argv[1:]])
    run_and_show(config, resume=resume, command=command, asked=asked, track=track)


def refuse_out_of_reach(config: RunConfig) -> None:
    """Refuse a server elsewhere where no network is to be reached.

    Raises:
        UsageError: It is.
    """
    from loralift.endpoints.address import is_local

    offline = offline_asked()
    if offline and config.endpoint is not None and not is_local(config.endpoint):
        raise UsageError("`--endpoint` is not on this machine, and --offline reaches no network: leave one of them out")


def _shard(given: str | None) -> Shard | None:
    """The shard that the flag says, else the environment, which is told; None: the whole run."""
    from loralift.workflow.sharding import parse_shard, shard_of_environment

    if given is not None:
        return parse_shard(given)
    if (found := shard_of_environment(os.environ)) is None:
        return None
    shard, names = found
    click.echo(f"shard: {shard} of the questions, as {names} say; --shard none asks all of them", err=True)
    return shard


def run_part(config: RunConfig, shard: Shard, *, resume: bool) -> None:
    """Ask one shard of a run, and say that it has no verdict."""
    from loralift.cli.progress import TerminalWatcher
    from loralift.workflow.running import run_shard

    command = shlex.join(["loralift", *sys.argv[1:]])
    directory = run_shard(config, shard, resume=resume, watcher=TerminalWatcher(), command=command)
    click.echo(
        f"shard {shard} in {visible(str(directory.root))}: no verdict, as it is a part of the data; once all "
        f"{shard.of} are done: loralift merge SHARD… -o RUN"
    )


def _refuse_in_vain(asked: AskedOfJudge, config: RunConfig) -> None:
    """Refuse, before hours of generation, a judge that could not be asked then.

    Raises:
        UsageError: There is nothing to judge, or rows are asked until they are sure, or the judge is elsewhere
            and no network is to be reached.
    """
    if config.stop_when_sure:
        raise UsageError("`--judge` and `--stop-when-sure` exclude each other: it would look at the same rows again")
    if not config.compared:
        raise UsageError("`--judge` judges answers of adapters against the base's: give an --adapter")
    offline = offline_asked()
    if offline and not asked.endpoint.local:
        raise UsageError("`--judge` is not on this machine, and --offline reaches no network: leave one of them out")


def run_and_show(
    config: RunConfig,
    *,
    resume: bool = False,
    command: str,
    asked: AskedOfJudge | None = None,
    track: Track | None = None,
) -> None:
    """Run, let a judge judge if one is asked, print the report's tables and verdicts, and say where the report lies.

    Where a tracker follows the run it is given all at the end, and cannot change how the run ends.
    """
    from loralift.cli.progress import TerminalWatcher
    from loralift.workflow.running import run as run_workflow

    with follow(track, config, TerminalWatcher()) as (watcher, export):
        result = run_workflow(config, resume=resume, watcher=watcher, command=command)
        try:
            if asked is None or result.unwritten:
                show(result.report, result.files, result.unwritten)
            else:
                judge_and_show(result.directory, asked, lambda: show(result.report, result.files, result.unwritten))
        finally:
            export(result.directory)


def judge_and_show(run_dir: Path, asked: AskedOfJudge, otherwise: Callable[[], None] = lambda: None) -> None:
    """Ask a judge, print the run's report with what it found, and refuse it if it does not judge.

    Args:
        run_dir: The finished run.
        asked: The judge.
        otherwise: Called where it cannot be asked, or the user gives up.
    """
    from loralift.cli.progress import TerminalWatcher
    from loralift.workflow.judge_files import new_judge
    from loralift.workflow.judging import judge_run, refuse_unproved
    from loralift.workflow.run_directory import RunDirectory

    directory = RunDirectory(run_dir)
    try:
        written = judge_run(directory, asked, TerminalWatcher())
    except (LoraLiftError, KeyboardInterrupt):
        otherwise()
        raise
    show(written.report, written.files, written.unwritten)
    name = new_judge(directory, asked.endpoint, asked.rubric, asked.questions).name
    refuse_unproved(written.report.judging, name)


def show(report: Report, files: Sequence[Path], unwritten: Sequence[str]) -> None:
    """Print the report's tables and verdicts, and where its page lies.

    Raises:
        RunDirectoryError: Not every file could be written.
    """
    from loralift.reporting.console import Terminal
    from loralift.reporting.terminal import print_report

    print_report(report, Terminal())
    tell_written(files, unwritten, "`loralift report` on the run")


def tell_written(files: Sequence[Path], unwritten: Sequence[str], remedy: str) -> None:
    """Say where a report's page lies.

    Args:
        files: Those that were written.
        unwritten: Why the others could not be.
        remedy: What writes them once they can be.

    Raises:
        RunDirectoryError: Not every file could be written.
    """
    for why in unwritten:
        click.echo(f"loralift: {why}", err=True)
    if unwritten:
        raise RunDirectoryError(
            f"the verdicts above are whole, but {len(unwritten)} files could not be written, as said above; "
            f"{remedy} writes its report once they can be"
        )
    click.echo(f"report: {visible(str(files[0]))}")
