"""Reports on variants that were asked in several ways: answers made up, real comparisons."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from loralift.comparison import Settings, compare, question_of
from loralift.records import (
    AgainstBest,
    Comparison,
    CutComparison,
    Protocol,
    ProtocolResult,
    Protocols,
    Report,
    Row,
    Score,
    Whichever,
    WhicheverWay,
)
from loralift.reporting.tables import primary_row
from tests.reporting.many import INFOS, report_of

CHAT = 'chat <i>"so"</i>'
NAMES = ("training", CHAT, "few-shot")
SHIFTS = {"training": 1.0, CHAT: -1.0, "few-shot": 0.2}
"""How much of what an adapter gains under the first protocol it gains under each."""


def asked_report(adapters: Sequence[str], rows: int, *, repeats: int = 1, names: Sequence[str] = NAMES) -> Report:
    """The report of `tests.reporting.many` under further protocols: under ``CHAT`` every difference turns its sign."""
    clusters = None if repeats == 1 else question_of
    first = report_of(adapters, rows, repeats=repeats)
    first = dataclasses.replace(first, comparison=_compared(adapters, first.rows, clusters))
    assert first.comparison is not None
    asked = {name: tuple(_under(name, row, place) for place, row in enumerate(first.rows)) for name in names[1:]}
    compared = {names[0]: first.comparison} | {name: _compared(adapters, of, clusters) for name, of in asked.items()}
    results = tuple(ProtocolResult(protocol(name), _primary(each)) for name, each in compared.items())
    return dataclasses.replace(
        first,
        asked=asked,
        protocols=Protocols(
            results,
            names[0],
            tuple(_whichever(name, results) for name in adapters),
            tuple(each for name in adapters for each in _best(primary_row(first.comparison, name), names)),
            ("The examples of few-shot are rows of <train>.",),
        ),
        confounds=dataclasses.replace(
            first.confounds, cuts=tuple(cut for name in adapters for cut in _cuts(first.comparison, compared, name))
        ),
    )


def protocol(name: str) -> Protocol:
    """A protocol of that name; what else it says is nothing that a report shows."""
    return Protocol(name, "plain", "", 0, False, (), 256, 0.0, 1.0)


def _under(name: str, row: Row, place: int) -> Row:
    draw = random.Random(f"{name} {row.id}")
    values = {}
    for variant, of in row.values.items():
        base, value = row.values["base"]["f1"], of["f1"]
        gain = None if value is None or base is None else SHIFTS[name] * (value - base) + draw.gauss(0, 0.01)
        f1 = None if gain is None or base is None else base + 0.05 + (gain if variant != "base" else 0.0)
        values[variant] = {**of, "f1": f1, "truncated": float(place % 3 == 0)}
    answers = {variant: f"{text}as said under {name}" for variant, text in row.answers.items()}
    return dataclasses.replace(row, answers=answers, values=values)


def _compared(adapters: Sequence[str], rows: Sequence[Row], clusters: object) -> Comparison:
    sides = {name: [Score(row.id, row.values[name]) for row in rows] for name in ("base", *adapters)}
    candidates = {name: sides[name] for name in adapters}
    settings = Settings("f1", resamples=2_000)
    return compare("base", sides["base"], candidates, INFOS, settings, clusters=clusters)


def _primary(comparison: Comparison) -> tuple:
    return tuple(primary_row(comparison, name) for name in comparison.candidates)


def _whichever(candidate: str, results: Sequence[ProtocolResult]) -> WhicheverWay:
    rows = [row for result in results for row in result.rows if row.candidate == candidate]
    verdicts = {row.verdict for row in rows}
    established = verdicts - {"inconclusive"}
    verdict: Whichever = "depends" if len(established) > 1 else "inconclusive" if len(verdicts) > 1 else rows[0].verdict
    p = max(row.p_adjusted for row in rows) if verdict in ("better", "worse") else None
    return WhicheverWay(candidate, verdict, p)


def _best(row, names: Sequence[str]) -> tuple[AgainstBest, AgainstBest]:
    less = dataclasses.replace(row, difference=row.difference - 0.05)
    trained, chosen = (names[0], names[0]), (names[-1], names[0])
    return (
        AgainstBest(row.candidate, "as trained", trained, (names[1], names[1]), less, 1.04),
        AgainstBest(row.candidate, "at its best", chosen, (names[1], names[1]), less, 1.08),
    )


def _cuts(main: Comparison, compared, candidate: str) -> tuple[CutComparison, CutComparison]:
    same, other = (primary_row(each, candidate) for each in (main, list(compared.values())[1]))
    return (
        CutComparison(candidate, "stop", "\n\nQuestion: <s>", 256, 0.30, 0.004, other),
        CutComparison(candidate, "half", "", 128, 0.43, 1.0, same),
    )
