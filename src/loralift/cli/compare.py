"""`loralift compare`: a verdict on answers or scores that are there already, from here or from another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loralift.errors import ComparisonError, UsageError, wrong_argument

FAIL_ON = {"worse": {"worse"}, "not-better": {"worse", "equivalent", "inconclusive"}}


@click.command()
@click.argument("baseline", type=click.Path(path_type=Path))
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option("--primary", metavar="M", help="The metric that decides [default: the run's, or the first].")
@click.option("--margin", "margins", multiple=True, metavar="M=X", help="Equivalence margin [default: the run's].")
@click.option("--metrics", metavar="M,…", help="Metrics to score {prediction, reference} lines with.")
@click.option("--filter", "filter_name", metavar="NAME", help="Filter of an lm-eval sample log [default: its first].")
@click.option(
    "--fail-on", metavar="worse|not-better", help="Exit with 1 when the verdict is so, with 2 when there is none."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the comparison as JSON.")
@click.option("--seed", metavar="N", help="Of every resampling [default: the run's, or 0].")
def compare(baseline: Path, candidate: Path, **options: Any) -> None:
    """Compare CANDIDATE with BASELINE, on rows paired by id.

    Each side is a variant of a run (RUN/base), a .jsonl of {"id", METRIC: value, …} or of
    {"id", "prediction", "reference"}, or a sample log of lm-evaluation-harness (--log_samples).

    \b
    loralift compare runs/a/base runs/a/mine
    loralift compare before.jsonl after.jsonl --primary f1 --fail-on worse
    loralift compare base/samples_gsm8k_….jsonl mine/samples_gsm8k_….jsonl --filter flexible-extract
    """
    fail_on = options["fail_on"]
    if fail_on is not None and fail_on not in FAIL_ON:
        raise UsageError(wrong_argument("--fail-on", " or ".join(FAIL_ON), fail_on))
    seed = None if options["seed"] is None else _whole_number("--seed", options["seed"])
    margins = dict(_margin(text) for text in options["margins"])

    from rich.console import Console

    from loralift.reporting.terminal import print_comparison
    from loralift.workflow import files
    from loralift.workflow.compare_inputs import compare_read, read_sides, unpaired
    from loralift.workflow.comparing import comparison_document

    names = options["metrics"].replace(",", " ").split() if options["metrics"] else None
    sides = read_sides(baseline, candidate, names, options["filter_name"])
    comparison, tests = compare_read(*sides, primary=options["primary"], margins=margins, seed=seed)
    if (lone := unpaired(*sides)) is not None:
        click.echo(f"note: {lone}")
    print_comparison(comparison, Console())
    if options["output"] is not None:
        files.write_json(options["output"], comparison_document(comparison, tests))
    if fail_on is not None and all(
        row.difference is None for row in comparison.rows if row.metric == comparison.primary
    ):
        raise ComparisonError(f"nothing could be compared: no row has a value of {comparison.primary} on both sides")
    if fail_on is not None and set(comparison.verdicts.values()) & FAIL_ON[fail_on]:
        click.get_current_context().exit(1)


def _margin(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        margin = float(value)
    except ValueError:
        margin = -1.0
    if not name or not 0 < margin < float("inf"):
        raise UsageError(wrong_argument("--margin", "METRIC=X with X a positive number", text))
    return name, margin


def _whole_number(argument: str, text: str) -> int:
    if not text.isdecimal():
        raise UsageError(wrong_argument(argument, "a non-negative integer", text))
    return int(text)
