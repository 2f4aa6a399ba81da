"""What else than quality may stand behind a difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from loralift.records.figures import Interval, MetricComparison
from loralift.records.protocols import CutComparison


@dataclass(frozen=True, slots=True)
class AdapterProof:
    """Evidence that an adapter acts on its base.

    Attributes:
        adapter: Its name.
        prompts: Real prompts that were looked at.
        kl_mean: Mean over the prompts of KL(adapter || base) of the next token's distribution, in nats.
        kl_max: The largest of them.
        top_token_changed: Share of the prompts whose most likely next token is another one; in [0, 1].
        notes: What a reader must know, one sentence each: a base or tokenizer that differs from the training's.
    """

    adapter: str
    prompts: int
    kl_mean: float
    kl_max: float
    top_token_changed: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LengthAdjustment:
    """How much of a metric's difference the answers' lengths explain.

    Attributes:
        metric: Its name.
        candidate: The candidate variant.
        difference: candidate - baseline on the pairs, unadjusted.
        adjusted: The difference at equal length; None where the data do not show equal length (too few pairs, or
            nearly all answers longer, or nearly all shorter, than the baseline's).
        interval: 95 % confidence interval of ``adjusted``, its method ``HC3 t`` or ``no spread``; None as above.
        explained: 1 - adjusted / difference, the share that goes with length, at most 1; negative where the
            difference is larger at equal length. None where it says nothing: a difference that is not significant,
            one that turns its sign, a share not known to within +-0.5.
        words_baseline: Mean words of the baseline's answers.
        words_candidate: Mean words of the candidate's answers.
        n: Pairs with a value and a length on both sides; questions where repeats were averaged.
        warnings: What a reader of these figures must know, one sentence each.
    """

    metric: str
    candidate: str
    difference: float
    adjusted: float | None
    interval: Interval | None
    explained: float | None
    words_baseline: float
    words_candidate: float
    n: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SliceComparison:
    """One metric of one candidate on a part of the rows.

    Attributes:
        column: What the rows are parted by, e.g. ``question words`` or a column of the data.
        part: Which part, e.g. ``up to 9`` or the column's value.
        row: The comparison on that part; ``p_adjusted`` is after Holm over all slices of all candidates, a family
            apart from the comparison's own. Too few pairs: names and counts only, and a warning.
    """

    column: str
    part: str
    row: MetricComparison


PairKind = Literal["both sound", "only baseline unsound", "only candidate unsound", "neither sound"]

PAIR_KINDS: tuple[PairKind, ...] = get_args(PairKind)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one kind of pairs adds to a difference.

    Attributes:
        candidate: The candidate variant.
        kind: Which answers of the pair are sound.
        rows: Pairs of answers of this kind that have a value on both sides.
        share: Of all such pairs, in [0, 1].
        contribution: Their part of the difference, in the metric's unit; those of all kinds sum to the difference.
        interval: 95 % confidence interval of ``contribution``; None for no row of this kind, or one pair in all.
    """

    candidate: str
    kind: PairKind
    rows: int
    share: float
    contribution: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What a metric of the base moves by when the base answers once more.

    Attributes:
        metric: Its name.
        n: Pairs; questions where repeats were averaged.
        difference: Of the base's second answers from its first.
        floor: Differences up to this size may come from nowhere: the larger absolute end of the 95 % interval of
            ``difference``; in the metric's unit, never negative, 0 where no row differs.
    """

    metric: str
    n: int
    difference: float
    floor: float


@dataclass(frozen=True, slots=True)
class Leak:
    """An evaluation row that stands in an adapter's training data.

    Attributes:
        id: Of the evaluation row.
        part: What was found: ``question`` or ``reference``.
        kind: ``exact`` (after case, punctuation and white space are folded) or ``near``.
        similarity: Share of the text's distinct word n-grams that stand in the training row, in (0, 1]; 5-grams, or
            3-grams for a text of fewer than 20 words; 1.0 when exact.
        train_row: Where it stands: 1-based row of the training file; for a .txt, its paragraph.
    """

    id: str
    part: Literal["question", "reference"]
    kind: Literal["exact", "near"]
    similarity: float
    train_row: int


@dataclass(frozen=True, slots=True)
class AllowedDifference:
    """How a candidate was asked otherwise than the baseline, which the user allowed.

    Attributes:
        field: What differs, as `--allow-different` names it.
        baseline: The baseline's, as people read it; shortened where it is long.
        candidate: The candidate's.
    """

    field: str
    baseline: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Confounds:
    """What else than quality may stand behind the differences.

    Attributes:
        lengths: One a candidate and judged metric of single rows.
        slices: The primary metric on parts of the rows.
        noise: The base against itself; empty where it was not answered twice.
        answers_changed: Candidate to the share of its answers whose text differs from the baseline's.
        leaks: Candidate to the evaluation rows found in its training data; empty where that was not given.
        without_leaks: Candidate to its primary comparison without those rows.
        contributions: What the primary difference is made of, four a candidate; none for a corpus metric.
        cuts: The primary comparison with answers that end earlier; none where next to no answer would be shorter.
        allowed: Candidate to how it was asked otherwise than the baseline; empty within one run.
    """

    lengths: tuple[LengthAdjustment, ...] = ()
    slices: tuple[SliceComparison, ...] = ()
    noise: tuple[NoiseFloor, ...] = ()
    answers_changed: Mapping[str, float] = field(default_factory=dict)
    leaks: Mapping[str, tuple[Leak, ...]] = field(default_factory=dict)
    without_leaks: Mapping[str, MetricComparison] = field(default_factory=dict)
    contributions: tuple[Contribution, ...] = ()
    cuts: tuple[CutComparison, ...] = ()
    allowed: Mapping[str, tuple[AllowedDifference, ...]] = field(default_factory=dict)
