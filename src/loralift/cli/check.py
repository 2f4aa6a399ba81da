"""`loralift check`: is the adapter whole, does it fit, does it act?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loralift.cli.offline import offline_option
from loralift.cli.options import config_options, given, one_config
from loralift.errors import ComparisonError, UsageError, some, wrong_argument

if TYPE_CHECKING:
    from loralift.config import RunConfig
    from loralift.workflow.checking import CheckedAdapter

FORMATS = ("table", "json")
DATA_FORMATS = ("messages", "sharegpt", "alpaca", "prompt-completion", "qa")

# The flags of `run` are taken, so that its command line can be checked as it is; the help shows what is looked at.
LOOKED_AT = frozenset(
    {
        "model",
        "revision",
        "adapters",
        "dataset",
        "columns",
        "format",
        "every_turn",
        "limit",
        "engine",
        "device",
        "dtype",
        "batch_size",
    }
    | {
        "max_new_tokens",
        "stop",
        "eos_token",
        "system_prompt",
        "chat_template",
        "protocols",
        "shots",
        "num_shots",
        "metrics",
        "margins",
    }
)

Row = tuple[bool, str, str]


@click.command()
@click.argument("config_file", metavar="[CONFIG.yaml]", nargs=-1, type=click.Path(path_type=Path), callback=one_config)
@config_options
@click.option("--parity", is_flag=True, help="Answer in every mode that a run may take, and compare them.")
@click.option(
    "-f", "fmt", metavar="table|json", help="How the proof is printed; --format says it too [default: table]."
)
@offline_option
def check(config_file: Path | None, parity: bool, fmt: str | None, **options: Any) -> None:
    """Prove that each adapter is whole, fits its base, and acts on it.

    \b
    loralift check --model my-base --adapter mine=./my-lora
    loralift check run.yaml
    loralift check --model my-base --adapter mine=./my-lora --parity

    Without --dataset a few built-in questions are asked. What is wrong is one line, and exit code 2. The
    configuration of `loralift run` and its flags are understood whole; those that change nothing here are not listed.

    --parity asks 32 questions of up to 64 tokens (--limit, --max-new-tokens) merged and unmerged, in batches and one
    by one, by each engine that is here. Exit code 1: some mode moves a metric by more than noise; 2: undecided.
    """
    allowed = " or ".join(FORMATS)
    # the format of what is printed had this flag before that of the data
    if fmt is None and options["format"] not in (None, *DATA_FORMATS):
        fmt, options["format"] = options["format"], None
        allowed += f", or of the data {some(DATA_FORMATS, 9)}"
    fmt = fmt or FORMATS[0]
    if fmt not in FORMATS:
        raise UsageError(wrong_argument("--format", allowed, fmt))
    from loralift.versions import need_run

    need_run("`loralift check`")
    from loralift.config import load

    config = load(config_file, given(options))
    if parity:
        _check_parity(config, fmt)
        return

    from loralift.cli.progress import TerminalWatcher
    from loralift.reporting.console import Terminal
    from loralift.workflow.checking import check as check_workflow
    from loralift.workflow.codec import plain

    checked = check_workflow(config, TerminalWatcher())
    if fmt == "json":
        click.echo(json.dumps(plain(checked), indent=2, ensure_ascii=False))
        return
    console = Terminal()
    for one in checked:
        _print(one, console)


for parameter in check.params:
    if isinstance(parameter, click.Option) and parameter.name not in LOOKED_AT | {"fmt", "parity"}:
        parameter.hidden = True


def _check_parity(config: RunConfig, fmt: str) -> None:
    from loralift.cli.progress import TerminalWatcher
    from loralift.reporting.console import Terminal
    from loralift.reporting.terminal import print_parity
    from loralift.workflow.codec import plain
    from loralift.workflow.parity_check import check_parity

    found = check_parity(config, TerminalWatcher())
    if fmt == "json":
        click.echo(json.dumps(plain(found), indent=2, ensure_ascii=False))
    else:
        print_parity(found, Terminal())
    verdicts = {mode.verdict for mode in found.modes}
    if "MOVES" in verdicts:
        click.get_current_context().exit(1)
    if "undecided" in verdicts:
        raise ComparisonError("some mode moves a metric beyond the noise, or not: ask more questions (--limit N)")


def _print(checked: CheckedAdapter, console: Any) -> None:
    """One adapter's proof, then what a reader must know."""
    from rich import box
    from rich.table import Table

    from loralift.reporting.console import shown

    table = Table(box=box.SIMPLE, title=shown(checked.proof.adapter), title_justify="left", show_header=False)
    for fine, what, found in _rows(checked):
        table.add_row(shown("✓" if fine else "–", style="green" if fine else "yellow"), what, shown(found))
    console.print(table)
    for note in checked.proof.notes:
        console.print(shown(f"note: {note}"), soft_wrap=True)


def _rows(checked: CheckedAdapter) -> Iterator[Row]:
    from loralift.workflow.checking import describe_shift

    info, proof = checked.adapter, checked.proof
    yield True, "file", f"{info.tensors} tensors, each in its place; {info.parameters:,} numbers, all finite"
    variant = " with rsLoRA" * info.use_rslora + " with DoRA" * info.use_dora
    yield True, "kind", f"{info.peft_type}{variant}, {info.strength}"
    whole = f"; replaces {some(info.modules_to_save)}" if info.modules_to_save else ""
    yield True, "adapts", f"{some(info.target_modules, 8)}{whole}"
    yield True, "base", f"trained on {info.base_model or 'a base that it does not name'}; keys and shapes fit"
    yield True, "acts", describe_shift(proof)
    yield (
        checked.answers_changed > 0,
        "answers",
        f"{checked.answers_changed:.0%} of {checked.answers} short greedy answers changed ({checked.questions})",
    )
