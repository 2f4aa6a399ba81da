"""What judges found, and whether they judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from loralift.records.confounds import LengthAdjustment
from loralift.records.figures import MetricComparison, MetricInfo

JUDGE_PREFERENCE = "judge_preference"

CheckName = Literal["readable", "order", "reference", "cut", "itself"]


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """One thing that a judge must do before it is believed.

    Attributes:
        name: ``readable``: its replies name a verdict; ``order``: it keeps its verdict when the order is swapped;
            ``reference``: it prefers a question's reference to another question's; ``cut``: also where the reference is
            cut to the other's length; ``itself``: it calls a text against itself a tie.
        passed: How often it did.
        of: How often it was asked to.
        lower: Lower end of the 95 % interval (Wilson) of the share.
        holds: Whether the share is at least 0.9 and ``lower`` above 0.75.
    """

    name: CheckName
    passed: int
    of: int
    lower: float
    holds: bool


@dataclass(frozen=True, slots=True)
class JudgeProof:
    """Whether a judge judges.

    Attributes:
        checks: All that it was asked to do.
        first: Share of its choices for the answer shown first, where both orders were asked: 0.5 without a bias; None:
            it never chose.
        longer: Share of its choices for the longer text, where as many right ones are shorter; None likewise.
        refused: Why it is not believed, in words; empty: it is.
    """

    checks: tuple[ProofCheck, ...]
    first: float | None
    longer: float | None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class MetricAgreement:
    """How often a judge and a metric prefer the same answer.

    Attributes:
        metric: Its name.
        n: Pairs of answers of which both prefer one.
        agreed: Of those, how many where it is the same one.
    """

    metric: str
    n: int
    agreed: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What one judge found of one adapter.

    Attributes:
        row: The comparison of `judge_preference`; ``p_adjusted`` is after Holm over all judges and adapters of the run,
            a family apart from the other metrics'.
        asked: Pairs of answers that were to be judged.
        identical: Of those, pairs of the same text, which count as ties and were not asked.
        flips: Pairs whose preference changed sides with the order: ties.
        wavering: Pairs that were a tie in one order only: ties.
        unscored: Why pairs have no value, to how many.
        first: Share of choices for the answer shown first; 0.5 without a bias; None: there was no choice.
        at_length: The preference at equal length; None: no lengths.
        agreement: With every judged metric of single rows.
    """

    row: MetricComparison
    asked: int
    identical: int
    flips: int
    wavering: int
    unscored: Mapping[str, int] = field(default_factory=dict)
    first: float | None = None
    at_length: LengthAdjustment | None = None
    agreement: tuple[MetricAgreement, ...] = ()


@dataclass(frozen=True, slots=True)
class Judge:
    """One judge of a run.

    Attributes:
        name: The folder of its replies.
        url: Where it was asked; without credentials.
        model: Its name there.
        rubric: SHA-256 of what it was told.
        questions: How many questions it was to be asked at most.
        proof: Whether it judges; None where its replies are not all there.
        judged: One an adapter; none where it is not believed.
        unfinished: Why nothing is known of it yet; else empty.
    """

    name: str
    url: str
    model: str
    rubric: str
    questions: int
    proof: JudgeProof | None = None
    judged: tuple[Judged, ...] = ()
    unfinished: str = ""


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """How far two judges agree on one adapter, beyond chance.

    Attributes:
        judges: Their names.
        candidate: The adapter.
        n: Pairs of answers that both judged.
        agreed: Of those, how many got the same value of -1, 0 and 1.
        kappa: Cohen's; None where both always say the same one thing.
    """

    judges: tuple[str, str]
    candidate: str
    n: int
    agreed: int
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Judging:
    """What all judges of a run found.

    Attributes:
        info: Of `judge_preference`.
        judges: In the order of their names.
        agreement: Of each two of them that are believed, on each adapter.
    """

    info: MetricInfo
    judges: tuple[Judge, ...]
    agreement: tuple[JudgeAgreement, ...] = ()
