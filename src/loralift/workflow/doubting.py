"""What can be looked into for doubts about a verdict, and what not: of a finished run, and of sides on the disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from loralift.comparison import Settings, adjust_for_length, contributions
from loralift.records import Comparison, Confounds, LengthAdjustment, Protocols, Report
from loralift.reporting.caveats import LENGTH_CHANGE
from loralift.reporting.doubts import FLAWS, PERPLEXITY
from loralift.workflow import files
from loralift.workflow.comparing import read_comparison
from loralift.workflow.confounds import LENGTHS, UNSOUND
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.sides.pairing import clusters
from loralift.workflow.sides.side import Side

ASKED_ANOTHER_WAY = "all asked another way (a run with --protocol, compared as it was there)"
ENDED_EARLIER = "answers that end earlier (a run, compared as it was there)"
LEAKED = "rows that leaked (a run with --train-data, compared as it was there)"
LIKELIHOOD = "the references' perplexity"
FAILED = "answers that failed"
MADE_OF = "what the difference is made of"
LENGTH = "length"

KINDS = (ASKED_ANOTHER_WAY, ENDED_EARLIER, LEAKED, LIKELIHOOD, FAILED, MADE_OF, LENGTH)
"""What doubts are looked for in, in words."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What doubts about a comparison are looked for in.

    Attributes:
        confounds: What else than quality may stand behind the differences, as far as it is known.
        protocols: What becomes of the verdicts when all are asked another way; None: not known.
        missing: Those of KINDS that could not be looked into.
    """

    confounds: Confounds
    protocols: Protocols | None
    missing: tuple[str, ...]


def evidence_of_run(directory: RunDirectory, report: Report) -> Evidence:
    """What a finished run knows.

    Args:
        directory: The run.
        report: Of it, with a comparison.
    """
    assert report.comparison is not None
    missing = _missing(report.comparison, report.confounds, report.protocols, cut=_cut(directory))
    return Evidence(report.confounds, report.protocols, tuple(missing))


def evidence_of_sides(sides: Sequence[Side], comparison: Comparison) -> Evidence:
    """What sides know: all that their run knows where they are compared as it did, else what their scores tell.

    Args:
        sides: The baseline and the candidates, as they were compared: on one scale.
        comparison: Of them.
    """
    before, *others = sides
    if before.root is not None and all(side.root == before.root for side in others):
        directory = RunDirectory(before.root)
        compared = read_comparison(directory) if directory.comparison.exists() else None
        if compared is not None and _same(comparison, compared.comparison):
            missing = _missing(comparison, compared.confounds, compared.protocols, cut=_cut(directory))
            return Evidence(compared.confounds, compared.protocols, tuple(missing))
    confounds = _confounds(sides, comparison) if all(side.ours for side in sides) else Confounds()
    confounds = replace(confounds, allowed={side.name: side.allowed for side in others if side.allowed})
    return Evidence(confounds, None, tuple(_missing(comparison, confounds, None, cut=False)))


def _same(comparison: Comparison, of_run: Comparison) -> bool:
    """Whether the run compared these in the same way, and found the same."""
    rows = (
        [row for row in one.rows if row.candidate in comparison.candidates and row.metric == comparison.primary]
        for one in (comparison, of_run)
    )
    alike = [
        # adjusted p is of another family here
        {row.candidate: replace(row, p_adjusted=None, warnings=()) for row in found}
        for found in rows
    ]
    asked = ((one.baseline, one.primary, one.alpha, one.seed, one.resamples) for one in (comparison, of_run))
    return alike[0] == alike[1] and len(set(asked)) == 1


def _confounds(sides: Sequence[Side], comparison: Comparison) -> Confounds:
    """What the scores of all sides, which LoraLift made, tell."""
    info, of = comparison.metrics[comparison.primary], clusters(*sides)
    settings = Settings(comparison.primary, {}, comparison.alpha, comparison.seed, comparison.resamples)
    scores, named = (sides[0].scores, {side.name: side.scores for side in sides[1:]}), comparison.baseline
    flags = [name for name in UNSOUND if name in comparison.metrics]
    lengths = (
        adjust_for_length(*scores, {info.name: info}, clusters=of, baseline_name=named)
        if LENGTHS in comparison.metrics
        else ()
    )
    parts = contributions(*scores, info, flags, settings, baseline_name=named, clusters=of)
    return Confounds(lengths=lengths, contributions=parts)


def _missing(comparison: Comparison, confounds: Confounds, protocols: Protocols | None, *, cut: bool) -> Iterator[str]:
    """What could not be looked into, of KINDS."""
    primary, likelihood = comparison.primary, comparison.metrics.get(PERPLEXITY)
    looked = {
        ASKED_ANOTHER_WAY: protocols is not None,
        ENDED_EARLIER: cut and comparison.stopping is None,  # where it stopped, no answer was cut
        LEAKED: bool(confounds.leaks),
        # where perplexity decides, the verdict itself says it
        LIKELIHOOD: likelihood is not None
        and likelihood.higher_is_better is not None
        and primary != PERPLEXITY
        and _tested(comparison, (PERPLEXITY,)),
        FAILED: _tested(comparison, [name for name in FLAWS if name != "truncated"]),
        MADE_OF: bool(confounds.contributions),
        LENGTH: all(any(_told(one, name, primary) for one in confounds.lengths) for name in comparison.candidates),
    }
    return (kind for kind in KINDS if not looked[kind])


def _tested(comparison: Comparison, metrics: Collection[str]) -> bool:
    """Whether one of the metrics was tested of each candidate; without a test none of them is a doubt."""
    tested = {row.candidate for row in comparison.rows if row.metric in metrics and row.p_value is not None}
    return tested >= set(comparison.candidates)


def _told(at_length: LengthAdjustment, candidate: str, primary: str) -> bool:
    """Whether it is known what of a candidate's difference goes with length."""
    if (at_length.candidate, at_length.metric) != (candidate, primary):
        return False
    before, after = at_length.words_baseline, at_length.words_candidate
    return at_length.adjusted is not None or abs(after - before) < LENGTH_CHANGE * before


def _cut(directory: RunDirectory) -> bool:
    """Whether a run looked at answers that end earlier; that none would be shorter is an answer too."""
    document = files.read_json(directory.comparison)
    return "cuts" in document.get("confounds", {})
