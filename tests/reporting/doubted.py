"""The real case, made by hand: an adapter that is better as it was trained, and worse however else it is looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loralift.records import (
    AgainstBest,
    Comparison,
    Contribution,
    CutComparison,
    Interval,
    MetricComparison,
    MetricInfo,
    Protocol,
    ProtocolResult,
    Protocols,
    WhicheverWay,
)

SIMILARITY = MetricInfo("semantic_similarity", "Semantic similarity", low=-1.0, margin=0.01)
PERPLEXITY = MetricInfo("perplexity", "Perplexity", low=1.0, high=None, higher_is_better=False, decimals=2)
LOOPS = MetricInfo("repeating", "Loops", higher_is_better=None)
UNFINISHED = MetricInfo("unfinished", "Never finished thinking", higher_is_better=None)
VERDICTS = {"better": 0.019, "worse": -0.021, "equivalent": 0.001, "inconclusive": 0.012}


def row(verdict: Any, difference: float | None = None, **changes: Any) -> MetricComparison:
    """The primary metric's row with a verdict."""
    d = VERDICTS[verdict] if difference is None else difference
    narrow, wide = Interval(d - 0.008, d + 0.008, 0.9, "t"), Interval(d - 0.015, d + 0.015, 0.95, "t")
    known = MetricComparison("semantic_similarity", "base", "hot", 648, 0, 0.391, 0.391 + d, d, wide, narrow)
    known = replace(known, p_value=0.01, p_adjusted=0.02, p_equivalence=0.01, margin=0.01, verdict=verdict)
    return replace(known, **changes)


def perplexity(verdict: Any) -> MetricComparison:
    """The references' perplexity under base and hot."""
    return row(verdict, 125.4, metric="perplexity", baseline_value=27.1, candidate_value=152.5, margin=None)


def loops(before: float, after: float, p: float) -> MetricComparison:
    """The shares of answers that end in a loop."""
    changes: dict[str, Any] = {"metric": "repeating", "baseline_value": before, "candidate_value": after, "p_value": p}
    return replace(row("better", after - before, **changes), p_adjusted=None, verdict=None, margin=None)


def unfinished(before: float, after: float) -> MetricComparison:
    """The shares of answers whose thinking never finished."""
    return replace(loops(before, after, 0.5), metric="unfinished", answers=648)


def comparison(verdict: Any, *further: MetricComparison) -> Comparison:
    """Of hot with base."""
    infos = {info.name: info for info in (SIMILARITY, PERPLEXITY, LOOPS, UNFINISHED)}
    return Comparison(
        "base", ("hot",), "semantic_similarity", 0.05, {"hot": verdict}, (row(verdict), *further), infos, 0, 1000
    )


def protocol(name: str) -> Protocol:
    return Protocol(name, "plain", "", 0, False, (), 256, 0.0, 1.0)


def protocols(*verdicts: Any, best: tuple[Any, Any] | None = None, **named: Any) -> Protocols:
    """What is found under ``training``, ``chat``, … (or by name), and against the base at its best."""
    found = named or dict(zip(("training", "chat", "few-shot", "fourth", "fifth"), verdicts, strict=False))
    results = tuple(ProtocolResult(protocol(name), (row(verdict),)) for name, verdict in found.items())
    established = {verdict for verdict in found.values() if verdict != "inconclusive"}
    whichever: Any = "depends" if len(established) > 1 else "inconclusive"
    if len(set(found.values())) == 1:
        whichever = next(iter(found.values()))
    against = ()
    if best is not None:
        trained, own = best
        against = (
            AgainstBest("hot", "as trained", ("training", "training"), ("chat", "chat"), row(trained, -0.033), 1.1),
            AgainstBest("hot", "at its best", ("chat", "training"), ("chat", "chat"), row(own, -0.022), 1.1),
        )
    whichever_way = (WhicheverWay("hot", whichever, None if whichever == "depends" else 0.03),)
    return Protocols(results, next(iter(found)), whichever_way, against)


def cut(kind: Any, verdict: Any) -> CutComparison:
    """The comparison if answers had ended earlier."""
    stop, most = ("Question:", 256) if kind == "stop" else ("", 128)
    return CutComparison("hot", kind, stop, most, 0.3, 0.002, row(verdict, -0.018))


def parts(sound: float, failed: float) -> tuple[Contribution, ...]:
    """A difference of pairs that are sound on both sides, and of such where only base's answer is not."""
    near = Interval(-0.01, 0.03, 0.95, "t")
    return (
        Contribution("hot", "both sound", 281, 281 / 648, sound, near),
        Contribution("hot", "only baseline unsound", 367, 367 / 648, failed, near),
    )
