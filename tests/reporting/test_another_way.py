"""Sentences about a verdict that is asked another way: each figure traced, each a warning where it is a doubt."""

from __future__ import annotations

import re
from typing import Any

import pytest

from loralift.records import Confounds, Finding, Protocols
from loralift.reporting.doubts import doubts
from loralift.reporting.findings import findings
from tests.reporting.doubted import comparison, cut, loops, parts, perplexity, protocols

ASKED = (
    protocols("better", "worse", "inconclusive", best=("worse", "worse")),
    protocols("better", "better", best=("inconclusive", "better")),
    protocols("better", "inconclusive"),
    protocols("inconclusive", "worse", best=("worse", "inconclusive")),
    protocols("equivalent", "equivalent"),
    protocols("worse", "worse", best=("worse", "worse")),
    protocols("inconclusive", "inconclusive"),
)
CUT = Confounds(cuts=(cut("stop", "worse"), cut("half", "better")))


def about(asked: Protocols | None, confounds: Confounds, verdict: Any) -> list[Finding]:
    found = findings(comparison(verdict), {}, confounds, (), asked)
    return [finding for finding in found if re.search(r"protocols\.|confounds\.cuts", " ".join(finding.figures))]


@pytest.mark.parametrize("asked", [*ASKED, None])
@pytest.mark.parametrize("confounds", [CUT, Confounds()])
def test_every_figure_is_where_it_says_and_every_warning_is_a_doubt(
    asked: Protocols | None, confounds: Confounds
) -> None:
    verdict: Any = asked.results[0].rows[0].verdict if asked else "better"
    found, compared = about(asked, confounds, verdict), comparison(verdict)
    scope = {"rows": compared.rows, "protocols": asked, "confounds": confounds}
    for finding in found:
        assert {path: eval(path, {}, scope) for path in finding.figures} == finding.figures
        written = {f"{abs(figure):.3f}" for figure in finding.figures.values() if isinstance(figure, float)}
        assert set(re.findall(r"\d\.\d{3}", finding.text)) <= written
        assert finding.text.endswith(".")
    assert sum(finding.severity == "warning" for finding in found) == len(doubts(compared, confounds, asked))


@pytest.mark.parametrize(
    ("asked", "severity", "said"),
    [
        (
            ASKED[0],
            "warning",
            "hot's verdict depends on how it is asked: better (+0.019 [+0.004, +0.034]) under tra",
        ),
        (ASKED[1], "info", "Whichever way it is asked, hot is better on Semantic similarity: better (+0.019"),
        (ASKED[2], "info", "Under some protocols alone hot is decided on Semantic similarity: better (+0.019"),
        (ASKED[3], "warning", "Under some protocols alone hot is decided on Semantic similarity: undecided (+0.012"),
        (ASKED[6], "info", "Whichever way it is asked, hot is undecided on Semantic similarity: undecided"),
    ],
)
def test_what_is_found_under_each_protocol(asked: Protocols, severity: str, said: str) -> None:
    verdict: Any = asked.results[0].rows[0].verdict
    first, *_ = (finding for finding in about(asked, Confounds(), verdict) if "under training" in finding.text)
    assert (first.severity, first.text.startswith(said)) == (severity, True), first.text


def test_the_base_at_its_best() -> None:
    (finding,) = (finding for finding in about(ASKED[0], Confounds(), "better") if "at its best" in finding.text)
    assert finding.severity == "warning"
    assert finding.text == (
        "Against base at its best (chat) hot is worse (−0.033 [−0.048, −0.018]) if asked as it was trained, and worse "
        "(−0.022 [−0.037, −0.007]) if asked at its own best (chat and training). What is best was chosen on the other "
        "half of the questions."
    )
    (finding,) = (finding for finding in about(ASKED[5], Confounds(), "worse") if "at its best" in finding.text)
    assert finding.severity == "info"  # that the base at its best beats it is no doubt that it is worse


def test_answers_that_end_earlier() -> None:
    stop, half = about(None, CUT, "better")
    assert (stop.severity, half.severity) == ("warning", "info")
    assert stop.text == (
        "If answers ended at \"Question:\", which shortens 30 % of base's and 0.2 % of hot's, hot would be worse "
        "(−0.018 [−0.033, −0.003]), and not better."
    )
    assert half.text.startswith("If answers ended after 128 tokens, which shortens")
    assert half.text.endswith("hot would be better (−0.018 [−0.033, −0.003]).")


def test_every_doubt_is_said_once_below_the_verdict() -> None:
    compared = comparison("better", perplexity("worse"), loops(0.0, 0.02, 0.001))
    confounds = Confounds(cuts=CUT.cuts, contributions=parts(-0.006, 0.025))
    found = findings(compared, {}, confounds, (), ASKED[0])
    warned = [finding.text for finding in found if finding.severity == "warning"]
    kinds = [doubt.kind for doubt in doubts(compared, confounds, ASKED[0])]
    assert kinds == ["depends", "best", "stop", "perplexity", "composition", "unsound"]
    telling = ("depends on how", "at its best", '"Question:"', "worse on Perplexity", "is made of", "end in a loop")
    assert [[part in text for text in warned].count(True) for part in telling] == [1] * len(kinds)
    assert [next(i for i, part in enumerate(telling) if part in text) for text in warned] == list(range(len(kinds)))
