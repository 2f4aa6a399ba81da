"""The verbs as one click group, and how click's own ways out become ours."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from loralift import __version__
from loralift.cli.card import card
from loralift.cli.check import check
from loralift.cli.compare import compare
from loralift.cli.demo import demo
from loralift.cli.doctor import doctor
from loralift.cli.export import export
from loralift.cli.judge import judge
from loralift.cli.merge import merge
from loralift.cli.report import report
from loralift.cli.run import run
from loralift.errors import UsageError

CONTEXT = {
    "help_option_names": ["-h", "--help"],
    # --max_new_tokens is --max-new-tokens: both spellings are known from other tools
    "token_normalize_func": lambda token: token.replace("_", "-"),
    "max_content_width": 100,
}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="loralift")
def commands() -> None:
    """Did the LoRA lift the model?

    Evaluates a base model and its adapters on the same questions and says, with evidence, whether each adapter is
    better, worse, equivalent or not yet decided.
    """


for verb in (run, merge, check, compare, judge, report, card, export, doctor, demo):
    commands.add_command(verb)


def run_commands(arguments: Sequence[str]) -> int:
    """Run one verb.

    Not by click's `main`, which exits with 1 at a broken pipe, and takes an EOFError for an interrupt.

    Args:
        arguments: Behind the name of the program.

    Returns:
        The exit code.

    Raises:
        UsageError: click does not understand the arguments.
        KeyboardInterrupt: The user gave up.
    """
    if "_LORALIFT_COMPLETE" in os.environ:  # a shell asks click how a word may go on
        commands.main(list(arguments), prog_name="loralift", standalone_mode=False)
    try:
        with commands.make_context("loralift", list(arguments)) as context:
            commands.invoke(context)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    return 0
