"""What a run's judges found, made of their replies on the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from loralift.comparison import (
    Settings,
    adjust_for_length,
    agreement_with,
    cohens_kappa,
    compare_preferences,
)
from loralift.judge import Contest, Outcome, Reply, outcome, requests
from loralift.metrics import MOST_UNSEEN
from loralift.records import (
    JUDGE_PREFERENCE,
    UNFINISHED,
    Comparison,
    Judge,
    JudgeAgreement,
    Judged,
    JudgeProof,
    Judging,
    MetricAgreement,
    MetricComparison,
    MetricInfo,
    Report,
    Row,
    Score,
)
from loralift.workflow.confounds import LENGTHS
from loralift.workflow.judge_files import KnownJudge

INFO = MetricInfo(
    JUDGE_PREFERENCE,
    "Judge's preference",
    low=-1.0,
    high=1.0,
    margin=0.1,
    signature="orders:both|flip:tie|value:-1,0,1|against:0",
)
"""Mean of +1 where the adapter's answer is preferred, -1 where the base's is, 0 for ties: win rate minus loss rate."""

type Prove = Callable[[KnownJudge, Report, Mapping[str, Reply]], JudgeProof]
type Outcomes = dict[str, dict[str, Outcome]]
"""Adapter to row id to what the judge made of the pair."""


def contests_of(report: Report, questions: int) -> dict[tuple[str, str], Contest]:
    """Adapter and row id to the two answers, of so many questions at most, spread evenly; where there are two."""
    assert report.comparison is not None
    base = report.comparison.baseline
    return {
        (name, row.id): Contest(row.id, name, row.question, row.answers[name], row.answers[base])
        for name in report.comparison.candidates
        for row in judged_rows(report, questions)
        if name in row.answers and base in row.answers and row.answers[name] != row.answers[base]
    }


def judged_rows(report: Report, questions: int) -> list[Row]:
    """The rows of so many questions at most, spread evenly over the data; every answer to each."""
    names = list(dict.fromkeys(row.question_id or row.id for row in report.rows))
    count = min(questions, len(names))
    chosen = {names[(2 * at + 1) * len(names) // (2 * count)] for at in range(count)}
    return [row for row in report.rows if (row.question_id or row.id) in chosen]


def judging_of(report: Report, judges: Sequence[tuple[KnownJudge, Mapping[str, Reply]]], prove: Prove) -> Judging:
    """What all judges of a run found.

    Args:
        report: The run's, with a comparison.
        judges: Each with its replies, by key.
        prove: Whether one judges, by its replies.
    """
    made, believed = [], dict[str, Outcomes]()
    for judge, replies in judges:
        about = Judge(judge.name, judge.endpoint.url, judge.endpoint.model, judge.rubric.sha256, judge.questions)
        try:
            about = replace(about, proof=prove(judge, report, replies))
            if about.proof is not None and not about.proof.refused:
                believed[judge.name] = _outcomes(report, judge, replies)
        except KeyError:
            about = replace(about, proof=None, unfinished="not all of its replies about these answers are there")
        made.append(about)
    judged = _judged(report, {judge.name: judge.questions for judge, _ in judges}, believed)
    agreement = [
        _agreement((one, other), name, believed) for one, other in combinations(believed, 2) for name in believed[one]
    ]
    return Judging(INFO, tuple(replace(about, judged=judged.get(about.name, ())) for about in made), tuple(agreement))


def _outcomes(report: Report, judge: KnownJudge, replies: Mapping[str, Reply]) -> Outcomes:
    """What a judge made of every pair.

    Raises:
        KeyError: A reply is not there.
    """
    assert report.comparison is not None
    contests = contests_of(report, judge.questions)
    found: Outcomes = {}
    for name in report.comparison.candidates:
        found[name] = {}
        for row in judged_rows(report, judge.questions):
            contest = contests.get((name, row.id))
            if name not in row.answers or report.comparison.baseline not in row.answers:
                found[name][row.id] = Outcome("unscored", None, why=UNFINISHED)
            elif contest is None:
                found[name][row.id] = Outcome("identical", 0)
            else:
                found[name][row.id] = outcome(requests(contest, judge.rubric, judge.digest), replies)
    return found


def _judged(
    report: Report, questions: Mapping[str, int], believed: Mapping[str, Outcomes]
) -> dict[str, tuple[Judged, ...]]:
    """Judge to what it found of each adapter; all of them are one family."""
    comparison = report.comparison
    assert comparison is not None
    places = [(judge, name) for judge, of in believed.items() for name in of]
    scores = [(name, [_score(row, one) for row, one in believed[judge][name].items()]) for judge, name in places]
    settings = Settings(JUDGE_PREFERENCE, {}, comparison.alpha, comparison.seed, comparison.resamples)
    repeated = {row.id: row.question_id for row in report.rows if row.question_id}
    clusters = (lambda row: repeated[row]) if repeated else None
    rows = compare_preferences(comparison.baseline, scores, INFO, settings, clusters=clusters) if scores else []
    found: dict[str, list[Judged]] = {judge: [] for judge in believed}
    for (judge, name), row in zip(places, rows, strict=True):
        found[judge].append(_of_adapter(report, questions[judge], row, believed[judge][name], clusters))
    return {judge: tuple(of) for judge, of in found.items()}


def _score(row: str, of: Outcome) -> Score:
    if of.value is None:
        return Score(row, {JUDGE_PREFERENCE: None}, unscored={JUDGE_PREFERENCE: of.why})
    return Score(row, {JUDGE_PREFERENCE: float(of.value)})


def _of_adapter(
    report: Report,
    questions: int,
    row: MetricComparison,
    outcomes: Mapping[str, Outcome],
    clusters: Callable[[str], str] | None,
) -> Judged:
    kinds = Counter(one.kind for one in outcomes.values())
    unscored = Counter(one.why for one in outcomes.values() if one.value is None)
    labels = [label for one in outcomes.values() for label in one.labels if label in ("A", "B")]
    if unscored.total() > MOST_UNSEEN * len(outcomes):
        row = replace(row, verdict=None)
    rows = judged_rows(report, questions)
    comparison = report.comparison
    assert comparison is not None
    sides = [
        [Score(one.id, {JUDGE_PREFERENCE: worth(one), LENGTHS: one.values[variant].get(LENGTHS)}) for one in rows]
        for variant, worth in (
            (comparison.baseline, lambda one: None if outcomes[one.id].value is None else 0.0),
            (row.candidate, lambda one: outcomes[one.id].value),
        )
    ]
    at_length = adjust_for_length(sides[0], {row.candidate: sides[1]}, {INFO.name: INFO}, clusters=clusters)
    preferences = {name: one.value for name, one in outcomes.items() if one.value is not None}
    return Judged(
        row=row,
        asked=len(outcomes),
        identical=kinds["identical"],
        flips=kinds["flip"],
        wavering=kinds["wavering"],
        unscored=dict(unscored),
        first=labels.count("A") / len(labels) if labels else None,
        at_length=at_length[0] if at_length else None,
        agreement=tuple(_with_metrics(comparison, row.candidate, rows, preferences)),
    )


def _with_metrics(
    comparison: Comparison, candidate: str, rows: Sequence[Row], preferences: Mapping[str, int]
) -> list[MetricAgreement]:
    """Agreement with every judged metric whose values depend on answers."""
    return [
        agreement_with(
            preferences,
            info,
            *({row.id: row.values[side].get(info.name) for row in rows} for side in (comparison.baseline, candidate)),
        )
        for info in comparison.metrics.values()
        if info.higher_is_better is not None
    ]


def _agreement(judges: tuple[str, str], name: str, believed: Mapping[str, Outcomes]) -> JudgeAgreement:
    left, right = (believed[judge][name] for judge in judges)
    both = [
        (one.value, other.value)
        for row, one in left.items()
        # of equal texts neither judge was asked, so that they agree is nobody's doing
        if one.kind != "identical" and one.value is not None
        if (other := right.get(row)) is not None and other.value is not None
    ]
    first, second = [one for one, _ in both], [other for _, other in both]
    agreed = sum(one == other for one, other in both)
    return JudgeAgreement(judges, name, len(both), agreed, cohens_kappa(first, second))
