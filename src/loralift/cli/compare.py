"""`loralift compare`: a verdict on answers or scores that are there already, from here or from another tool."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loralift import arguments
from loralift.cli.gate import conditions, gate_options, judge, least_share
from loralift.cli.offline import offline_option
from loralift.cli.options import Once, metric_names
from loralift.errors import UsageError, wrong_argument

if TYPE_CHECKING:
    from loralift.records import Comparison, SdkPairedTest
    from loralift.reporting.doubts import Doubt
    from loralift.workflow.compare_inputs import Asked, Prepared
    from loralift.workflow.doubting import Evidence
    from loralift.workflow.sides.side import Side

FORMATS = ("table", "md")


@click.command()
@click.argument("baseline", type=click.Path(path_type=Path))
@click.argument("candidates", metavar="CANDIDATE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--primary", cls=Once, metavar="M", help="The metric that decides [default: the run's, or the first].")
@click.option("--margin", "margins", multiple=True, metavar="M=X", help="Equivalence margin [default: the run's].")
@click.option("--metrics", cls=Once, metavar="M,…", help="Metrics to score {prediction, reference} lines with.")
@click.option("--tokenizer", cls=Once, metavar="X", help="Of BLEU, ROUGE and F1, as `loralift run` has it.")
@click.option(
    "--thinking", cls=Once, metavar="X", help="part or keep <think>…</think> of {prediction, reference} lines [part]."
)
@click.option(
    "--metric",
    "own",
    multiple=True,
    metavar="FILE.py:NAME",
    help="A metric of your own, which scores the answers of both sides besides; may be given again.",
)
@click.option(
    "--filter",
    "filter_name",
    cls=Once,
    metavar="NAME",
    help="Filter of lm-eval sample logs [default: the first that all have].",
)
@click.option(
    "--scale", "scales", multiple=True, metavar="M=LOW-HIGH", help="Scale of a score file's metric, e.g. rougeL=0-100."
)
@click.option("--higher-is-better", "higher", multiple=True, metavar="M", help="More of this metric is better.")
@click.option("--lower-is-better", "lower", multiple=True, metavar="M", help="Less of this metric is better.")
@click.option(
    "--allow-different",
    "allow_different",
    multiple=True,
    metavar="FIELD",
    help="Compare although this differs between the sides, as the refusal names it; the verdict then says so.",
)
@gate_options
@click.option("-f", "--format", "fmt", cls=Once, metavar="table|md", help="How it is printed [default: table].")
@click.option(
    "-o", "--output", cls=Once, metavar="DIR", help="Write the report there; to a FILE.json the comparison alone."
)
@click.option("--seed", cls=Once, metavar="N", help="Of every resampling [default: the run's, or 0].")
@offline_option
def compare(baseline: Path, candidates: tuple[Path, ...], **options: Any) -> None:
    """Compare each CANDIDATE with BASELINE, on rows paired by id.

    Each side is a variant of a run (RUN/base), a .jsonl of {"id", METRIC: value, …} or of
    {"id", "prediction", "reference"}, or a log of another tool, known by its shape: docs/compare.md lists them.

    \b
    A file of scores says only its columns' names, so what they do not tell must be said:
      --margin rougeL=0.02              no file has a margin of its own, and without one nothing is equivalent
      --scale rougeL=0-100              both sides; --scale candidate:rougeL=0-100 brings one onto the other's
      --lower-is-better regret          for a name that is not of known words, as val_loss or exact_match is

    \b
    loralift compare runs/a/base runs/a/mine runs/b/mine -o compared
    loralift compare before.jsonl after.jsonl --primary f1 --fail-on worse
    loralift compare base/samples_gsm8k_….jsonl mine/samples_gsm8k_….jsonl --filter flexible-extract
    """
    fail_on = conditions(options["fail_on"])
    if options["fmt"] not in (None, *FORMATS):
        raise UsageError(wrong_argument("--format", " or ".join(FORMATS), options["fmt"]))
    asked, least = _asked(options), least_share(options["min_paired"], bool(fail_on))

    from loralift.metrics import own_metrics
    from loralift.reporting.doubts import doubts
    from loralift.workflow import output
    from loralift.workflow.compare_inputs import compare_prepared, prepare, read_sides
    from loralift.workflow.doubting import evidence_of_sides

    place = None if options["output"] is None else output.place(options["output"])
    if place is not None:
        output.check(place, (baseline, *candidates))
    names = None if options["metrics"] is None else metric_names([options["metrics"]])
    chosen = {name: options[name] for name in ("tokenizer", "thinking", "allow_different")}
    chosen |= {"own": own_metrics("--metric", options["own"]), "further": candidates[1:]}
    sides = read_sides(baseline, candidates[0], names, options["filter_name"], **chosen)
    prepared = prepare(sides, asked)
    comparison, tests = compare_prepared(prepared)
    evidence = evidence_of_sides(prepared.sides, comparison)
    found = doubts(comparison, evidence.confounds, evidence.protocols)
    _print(comparison, found, sides, options["fmt"])
    if place is not None:
        _write(place, prepared, (comparison, tests), evidence, found)
    judge(comparison, evidence, fail_on, least)


def _write(
    place: Path,
    prepared: Prepared,
    compared: tuple[Comparison, tuple[SdkPairedTest, ...]],
    evidence: Evidence,
    found: Sequence[Doubt],
) -> None:
    """The report into a folder, or the comparison alone into a file."""
    from loralift.cli.run import tell_written
    from loralift.workflow import output
    from loralift.workflow.codec import plain
    from loralift.workflow.comparing import comparison_document

    if not output.is_folder(place):
        output.write_json(place, {**comparison_document(*compared), "doubts": plain(found)})
        return
    from loralift.reporting.charts.apart import NOT_INSTALLED, drawable
    from loralift.workflow.compared import write_folder

    if not drawable():
        click.echo(f"loralift: the report has no charts, since {NOT_INSTALLED}", err=True)

    command = shlex.join(["loralift", *sys.argv[1:]])
    written = write_folder(place, prepared, compared, evidence, command)
    tell_written(written.files, written.unwritten, "the same command")


def _print(comparison: Comparison, found: Sequence[Doubt], sides: Sequence[Side], fmt: str | None) -> None:
    """The comparison, with how many rows it rests on where it is not all of them."""
    from loralift.reporting import markdown
    from loralift.reporting.console import Terminal, shown
    from loralift.reporting.terminal import print_comparison
    from loralift.workflow import files
    from loralift.workflow.comparing import paired, primary_rows
    from loralift.workflow.sides.pairing import unpaired

    notes = {side.name: [lone] if (lone := unpaired(sides[0], side)) is not None else [] for side in sides[1:]}
    for row in primary_rows(comparison):
        notes[row.candidate] += [paired(row)] if row.dropped else []
    if fmt == "md":
        click.echo(files.encoded(markdown.render_comparison(comparison, found, notes)), nl=False)
        return
    console = Terminal()
    for name, of_candidate in notes.items():
        for note in of_candidate:
            console.print(shown(f"note: {name}: {note}"), soft_wrap=True)
    print_comparison(comparison, console, doubts=found, described=True)


def _asked(options: Mapping[str, Any]) -> Asked:
    """What the flags say of the comparison."""
    from loralift.workflow.compare_inputs import Asked
    from loralift.workflow.sides.scales import parse_scale

    return Asked(
        primary=options["primary"],
        margins=arguments.margins("--margin", arguments.pairs("--margin", map(_margin, options["margins"]))),
        scales=arguments.pairs("--scale", map(parse_scale, options["scales"])),
        higher_is_better=options["higher"],
        lower_is_better=options["lower"],
        seed=options["seed"],
    )


def _margin(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(wrong_argument("--margin", "METRIC=X with X a positive number", text))
    return name, value
