"""`loralift judge`: let a model judge a finished run's answers, once it has proved that it judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loralift.cli.judge_options import asked_judge, judge_options
from loralift.cli.run import judge_and_show
from loralift.errors import UsageError


@click.command()
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path))
@judge_options
def judge(run_dir: Path, **options: Any) -> None:
    """Let a model judge the answers of RUN, base's against each adapter's; needs no GPU and none of the run's models.

    \b
    loralift judge runs/mine --judge http://localhost:8000/v1 --judge-model my-judge
    loralift judge runs/mine --judge https://… --judge-model … --judge-key-env MY_KEY --judge-questions 100

    Each pair is asked in both orders, and one whose preference changes with the order is a tie. First the judge proves
    itself on the run's references; one that does not judge is refused with its figures, exit code 2. Every reply is on
    the disk as it comes: the same command asks nothing twice. The key is read from the variable and written nowhere.
    """
    asked = asked_judge(**options)
    if asked is None:
        raise UsageError("`--judge` must be given: the URL of an OpenAI-compatible endpoint")
    from loralift.versions import need_run

    need_run("`loralift judge`")
    judge_and_show(run_dir, asked)
