"""`loralift card`: one adapter's verdict for its model card on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import click

from loralift.cli.options import Once
from loralift.errors import UsageError
from loralift.visible import visible


@click.command()
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--adapter", cls=Once, metavar="NAME", help="Whose card [default: the only one of the run].")
@click.option("-o", "--output", cls=Once, metavar="FILE", help="Write a whole card instead of printing it.")
@click.option("--write", cls=Once, metavar="FOLDER/README.md", help="Put the card into this one; the rest of it stays.")
def card(run_dir: Path, adapter: str | None, output: str | None, write: str | None) -> None:
    """Make the model card of an adapter of RUN: results for the hub's `model-index`, and a section for people.

    \b
    loralift card runs/mine                                   # prints it
    loralift card runs/mine --adapter v2 --write my-lora/README.md

    It says what the report says, with all that speaks against the verdict. Written into a README.md it replaces its
    own earlier results and what stands between its two markers. Read it before you publish it: notes may name files.
    """
    if output is not None and write is not None:
        raise UsageError("`-o` writes a whole card and `--write` puts it into one: give one of them")

    from loralift.workflow import files
    from loralift.workflow import output as out
    from loralift.workflow.model_card import make_card, write_into
    from loralift.workflow.run_directory import RunDirectory

    said, flag = (output, "-o") if write is None else (write, "--write")
    place = None if said is None else out.file_place(said, flag)
    made = make_card(RunDirectory(run_dir), adapter)
    if place is None:
        click.echo(files.encoded(made.whole), nl=False)
    elif write is None:
        out.write(place, made.whole)
    else:
        write_into(place, made)
        click.echo(f"the card of {visible(made.adapter)} is in {visible(str(place))}; read it before you publish it")
