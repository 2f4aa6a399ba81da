"""Does a verdict hold whichever way all are asked? An intersection-union test over protocols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loralift.errors import ComparisonError, some
from loralift.records import MetricComparison, ProtocolResult, Whichever, WhicheverWay

_ESTABLISHED = ("better", "worse", "equivalent")


def whichever_way(results: Sequence[ProtocolResult]) -> tuple[WhicheverWay, ...]:
    """What is established of each candidate under every protocol.

    "Better under every protocol" is claimed where each protocol's own test claims "better" (Berger, 1982). If it is
    false, it is false under some protocol, and that protocol's test alone errs with at most its level: so no
    correction for the number of protocols. ``docs/statistics.md`` has the error rates.

    Args:
        results: One a protocol, all about the same metric and candidates. A row that has no verdict, since nothing was
            scored, establishes nothing.

    Returns:
        One a candidate, in the order of the first protocol. With one protocol, that protocol's verdict.

    Raises:
        ComparisonError: There is no protocol, two have one name, or one compares other candidates or metrics.
    """
    if not results:
        raise ComparisonError("there is no protocol whose verdicts could be compared: give at least one")
    _check(results)
    found = []
    for first in results[0].rows:
        rows = [row for result in results for row in result.rows if row.candidate == first.candidate]
        found.append(_of_one(first.candidate, rows))
    return tuple(found)


def _of_one(candidate: str, rows: Sequence[MetricComparison]) -> WhicheverWay:
    verdicts: set[Whichever] = {row.verdict or "inconclusive" for row in rows}
    established = verdicts.intersection(_ESTABLISHED)
    if len(established) > 1:
        return WhicheverWay(candidate, "depends", None)
    if len(verdicts) > 1 or not established:
        return WhicheverWay(candidate, "inconclusive", None)
    (verdict,) = established
    p_values = [row.p_equivalence if verdict == "equivalent" else row.p_adjusted for row in rows]
    known = [p for p in p_values if p is not None]
    return WhicheverWay(candidate, verdict, max(known) if len(known) == len(rows) else None)


def _check(results: Sequence[ProtocolResult]) -> None:
    names = Counter(result.protocol.name for result in results)
    if twice := [name for name, count in names.items() if count > 1]:
        raise ComparisonError(f"two protocols have one name, {some(twice)}: give each its own")
    first = results[0]
    wanted = Counter((row.candidate, row.metric) for row in first.rows)
    if len({candidate for candidate, _ in wanted}) < wanted.total():
        raise ComparisonError(f"protocol {first.protocol.name} has more than one row for a candidate: give the primary")
    for result in results[1:]:
        rows = Counter((row.candidate, row.metric) for row in result.rows)
        if rows != wanted:
            differing = sorted(" on ".join(row) for row in (wanted - rows) + (rows - wanted))
            raise ComparisonError(
                f"protocols {first.protocol.name} and {result.protocol.name} must compare the same candidates on the "
                f"same metric; only one of them has {some(differing)}"
            )
