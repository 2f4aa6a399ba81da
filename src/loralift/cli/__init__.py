"""The command line: one file a verb. Exit codes as in `nel`: 0 fine, 1 the condition of `--fail-on` holds, 2 wrong.

Each verb imports what it needs when it runs, so that `loralift --help` is there at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from loralift import __version__
from loralift.cli.check import check
from loralift.cli.compare import compare
from loralift.cli.demo import demo
from loralift.cli.doctor import doctor
from loralift.cli.report import report
from loralift.cli.run import run
from loralift.errors import MOST_CHARACTERS, LoraLiftError
from loralift.visible import one_line

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


for verb in (run, check, compare, report, doctor, demo):
    commands.add_command(verb)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; an error of ours is one line, never a traceback."""
    # Before torch is loaded: its threads then sleep while they wait for each other. Spinning, two of them on two cores
    # beside another busy process took 1.7 times as long for the whole demo.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # And its large tensors lie in large pages: up to a fifth more tokens a second on two cores.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        code = commands.main(arguments, prog_name="loralift", standalone_mode=False)
    except LoraLiftError as error:
        code = _fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        code = 0
    except click.ClickException as error:
        code = _fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        click.echo("loralift: interrupted; what was written is kept, `loralift run … --resume` goes on", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> int:
    click.echo(f"loralift: {one_line(message, MOST_CHARACTERS)}", err=True)
    return 2
