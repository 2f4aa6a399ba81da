"""The flags that say who judges a run's answers, of `loralift run` and of `loralift judge`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from loralift import arguments
from loralift.cli.options import Once
from loralift.errors import UsageError

if TYPE_CHECKING:
    from loralift.workflow.judging import Asked

MOST_AT_A_TIME = 256


def judge_options[Command: Callable[..., Any]](command: Command) -> Command:
    """Give a command the flags that say who judges what."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option("--judge", "judge_url", cls=Once, metavar="URL", help="An OpenAI-compatible endpoint that judges."),
    click.option("--judge-model", cls=Once, metavar="NAME", help="The judge's name there."),
    click.option("--judge-key-env", cls=Once, metavar="VAR", help="Environment variable that holds its key."),
    click.option("--judge-questions", cls=Once, metavar="N", help="Questions at most, spread evenly [default: 200]."),
    click.option("--judge-rubric", cls=Once, metavar="FILE", help="What the judge is told [default: LoraLift's own]."),
    click.option(
        "--judge-option", "judge_options", multiple=True, metavar="NAME=JSON", help="A field of every request, or null."
    ),
    click.option("--judge-parallel", cls=Once, metavar="N", help="Requests under way at most [default: 8]."),
)


def asked_judge(
    judge_url: str | None,
    judge_model: str | None,
    judge_key_env: str | None,
    judge_questions: str | None,
    judge_rubric: str | None,
    judge_options: Sequence[str],
    judge_parallel: str | None,
) -> Asked | None:
    """What the flags say; None where they name no judge.

    Raises:
        UsageError: One is wrong, or says something of a judge that is not named.
    """
    others = (judge_model, judge_key_env, judge_questions, judge_rubric, judge_parallel, *judge_options)
    if judge_url is None:
        if any(value is not None for value in others):
            raise UsageError("`--judge` must be given, the URL of the judge that the other flags are about")
        return None
    if judge_model is None:
        raise UsageError("`--judge-model` must be given: the judge's name at --judge")
    from loralift.judge import endpoint_of, load_rubric
    from loralift.workflow.judging import QUESTIONS, Asked

    rubric = None if judge_rubric is None else arguments.path("--judge-rubric", judge_rubric, "a file")
    return Asked(
        endpoint_of(judge_url, judge_model, os.environ, key_env=judge_key_env, options=judge_options),
        load_rubric(rubric),
        questions=arguments.whole_number("--judge-questions", judge_questions or QUESTIONS, 1, 10**9),
        at_a_time=arguments.whole_number("--judge-parallel", judge_parallel or 8, 1, MOST_AT_A_TIME),
    )


def parted(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A command's options: those about the judge, and the others."""
    about = {name: value for name, value in options.items() if name.startswith("judge_")}
    return about, {name: value for name, value in options.items() if name not in about}
