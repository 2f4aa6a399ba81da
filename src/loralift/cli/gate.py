"""`--fail-on`: an exit code that a release waits for, and the line that says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from loralift import arguments
from loralift.cli.options import Once
from loralift.errors import MOST_CHARACTERS, ComparisonError, UsageError, wrong_argument
from loralift.visible import one_line

if TYPE_CHECKING:
    from loralift.records import Comparison
    from loralift.reporting.doubts import Doubt
    from loralift.workflow.doubting import Evidence

MIN_PAIRED = 0.9
"""Least share of the rows that a gate judges by: missing rows are often the ones that failed."""

MOST_SAID = 3
"""Candidates that the line of a gate names."""

WORSE, NOT_BETTER, FRAGILE = "worse", "not-better", "fragile"
CONDITIONS = (WORSE, NOT_BETTER, FRAGILE)


def gate_options[Command: Callable[..., Any]](command: Command) -> Command:
    """Give a command `--fail-on` and `--min-paired`."""
    command = click.option(
        "--min-paired",
        cls=Once,
        metavar="X",
        help="Least share of rows, above 0 and up to 1, with a value of the primary metric on both sides, else exit "
        "with 2 [default: 0.9 with --fail-on].",
    )(command)
    return click.option(
        "--fail-on",
        multiple=True,
        metavar="|".join(CONDITIONS),
        help="Exit with 1 when the verdict is so, with 2 when there is none; may be given again. fragile: worse, or "
        "something speaks against the verdict.",
    )(command)


def conditions(texts: Sequence[str]) -> tuple[str, ...]:
    """What `--fail-on` names, each once.

    Raises:
        UsageError: One is none.
    """
    for text in texts:
        if text not in CONDITIONS:
            raise UsageError(wrong_argument("--fail-on", " or ".join(CONDITIONS), text))
    return tuple(dict.fromkeys(texts))


def least_share(text: str | None, gated: bool) -> float:
    """What `--min-paired` says; 0 where nothing is gated and nothing was asked for.

    Raises:
        UsageError: It is no share.
    """
    if text is None:
        return MIN_PAIRED if gated else 0.0
    return arguments.number("--min-paired", text, 0, 1, "a share above 0 and up to 1, such as 0.9", above=True)


def judge(
    comparison: Comparison,
    evidence: Evidence,
    fail_on: Sequence[str],
    least: float,
    *,
    refused: Mapping[str, str] | None = None,
) -> None:
    """End with 1 where a condition holds for a candidate, with a line that says which and what speaks against it.

    Args:
        comparison: What is judged.
        evidence: What doubts are looked for in.
        fail_on: Of CONDITIONS; empty: nothing is gated.
        least: Share of the rows that must have a value on both sides.
        refused: Adapter that was left out to why.

    Raises:
        ComparisonError: Nothing was judged: too few rows, an adapter that was refused, or no doubt could be looked for.
    """
    from loralift.reporting.doubts import doubts
    from loralift.reporting.tables import brief
    from loralift.workflow.comparing import refuse_undecidable, refuse_unpaired
    from loralift.workflow.doubting import KINDS

    refuse_unpaired(comparison, least)
    if not fail_on:
        return
    refuse_undecidable(comparison)
    found = doubts(comparison, evidence.confounds, evidence.protocols)
    holding = {name: [one for one in fail_on if _holds(one, comparison, name, found)] for name in comparison.candidates}
    if failing := [name for name in comparison.candidates if holding[name]]:
        held = [one for one in fail_on if any(one in holding[name] for name in failing)]
        _say(f"--fail-on {' and '.join(held)}: {_listed([brief(comparison, name, found) for name in failing])}")
        click.get_current_context().exit(1)
    for name, why in (refused or {}).items():
        raise ComparisonError(f"{name} is not judged, since it was refused: {why}")
    if FRAGILE in fail_on:
        if set(evidence.missing) == set(KINDS):
            why = "scores alone tell none; compare variants of a run or predictions"
            if comparison.stopping is not None:
                why = "a run with --stop-when-sure tests nothing but its verdict; ask all rows"
            raise ComparisonError(
                f"--fail-on fragile has nothing to look for doubts in: {why}, or gate with --fail-on worse"
            )
        if evidence.missing:
            _say(f"--fail-on fragile could not look into {'; '.join(evidence.missing)}")
    if doubted := [name for name in comparison.candidates if any(doubt.candidate == name for doubt in found)]:
        said = _listed([brief(comparison, name, found) for name in doubted])
        _say(f"passes --fail-on {' and '.join(fail_on)} in doubt: {said}")


def _holds(condition: str, comparison: Comparison, candidate: str, found: Sequence[Doubt]) -> bool:
    """Whether a condition is so for a candidate."""
    verdict = comparison.verdicts[candidate]
    kinds = [doubt.kind for doubt in found if doubt.candidate == candidate]
    match condition:
        case "worse":
            return verdict == "worse"
        case "not-better":  # better under one protocol alone is no proof of gain
            return verdict != "better" or "depends" in kinds
        case _:
            return verdict == "worse" or bool(kinds)


def _listed(sentences: Sequence[str]) -> str:
    left = len(sentences) - MOST_SAID
    return "; ".join(sentences[:MOST_SAID]) + (f"; and {left} more" if left > 0 else "")


def _say(message: str) -> None:
    click.echo(f"loralift: {one_line(message, MOST_CHARACTERS)}", err=True)
