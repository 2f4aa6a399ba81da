"""What holds under every protocol."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from loralift.comparison import whichever_way
from loralift.errors import ComparisonError
from loralift.records import MetricComparison, Protocol, ProtocolResult, Verdict, WhicheverWay

PROTOCOL = Protocol("training", "plain", "", 0, False, (), 256, 0.0, 1.0)
ROW = MetricComparison("f1", "base", "mine", 30, 0, 0.5, 0.6, 0.1, p_value=0.001)


def result(name: str, *rows: MetricComparison) -> ProtocolResult:
    return ProtocolResult(replace(PROTOCOL, name=name), rows)


def row(
    verdict: Verdict | None, p: float | None = None, p_equivalence: float | None = None, candidate: str = "mine"
) -> MetricComparison:
    return replace(ROW, verdict=verdict, p_adjusted=p, p_equivalence=p_equivalence, candidate=candidate)


@pytest.mark.parametrize(
    ("verdicts", "wanted"),
    [
        (("better", "better", "better"), "better"),
        (("worse", "worse"), "worse"),
        (("equivalent", "equivalent"), "equivalent"),
        (("better", "worse"), "depends"),
        (("better", "equivalent"), "depends"),
        (("worse", "inconclusive", "equivalent"), "depends"),
        (("better", "inconclusive"), "inconclusive"),
        (("better", None), "inconclusive"),
        ((None, None), "inconclusive"),
        (("inconclusive",), "inconclusive"),
        (("better",), "better"),
    ],
)
def test_a_claim_holds_only_where_every_protocol_makes_it(verdicts: tuple[Verdict | None, ...], wanted: str) -> None:
    for order in permutations(verdicts):
        found = whichever_way([result(str(k), row(verdict, 0.01, 0.02)) for k, verdict in enumerate(order)])
        assert [claim.verdict for claim in found] == [wanted]


def test_p_is_the_largest_of_the_verdicts_own() -> None:
    better = [result("a", row("better", 0.001, 0.9)), result("b", row("better", 0.03, 0.8))]
    assert whichever_way(better) == (WhicheverWay("mine", "better", 0.03),)
    same = [result("a", row("equivalent", 0.001, 0.04)), result("b", row("equivalent", 0.9, 0.002))]
    assert whichever_way(same) == (WhicheverWay("mine", "equivalent", 0.04),)
    apart = [result("a", row("better", 0.001, 0.9)), result("b", row("worse", 0.03, 0.8))]
    assert whichever_way(apart)[0].p_value is None


def test_candidates_are_judged_alone_in_the_order_of_the_first_protocol() -> None:
    good, bad = row("better", 0.01, candidate="good"), row("worse", 0.02, candidate="bad")
    found = whichever_way([result("a", good, bad), result("b", bad, good)])
    assert found == (WhicheverWay("good", "better", 0.01), WhicheverWay("bad", "worse", 0.02))


@pytest.mark.parametrize(
    ("results", "culprit"),
    [
        ([], "no protocol"),
        ([result("chat", row("better")), result("chat", row("better"))], "chat"),
        ([result("a", row("better")), result("b")], "mine on f1"),
        ([result("a", row("better")), result("b", row("better"), row("worse", candidate="other"))], "other on f1"),
        ([result("a", row("better")), result("b", replace(row("better"), metric="rougeL"))], "rougeL"),
        ([result("a", row("better"), replace(row("worse"), metric="rougeL"))], "more than one row"),
    ],
)
def test_what_cannot_be_compared_is_refused(results: list[ProtocolResult], culprit: str) -> None:
    with pytest.raises(ComparisonError, match=culprit):
        whichever_way(results)
