"""The findings in sentences made from the figures alone.

Each rule looks at one kind of evidence and gives no sentence without it. Every number in a sentence goes through
`Facts`, which stores it under the Python expression that gives it: of comparison.json's ``rows``, ``alpha``,
``confounds`` and ``protocols``, of the variants' ``summaries``, of the adapters' ``proofs`` and, in `forgetting`, of
the further data sets' comparisons, ``also``. So every sentence can be traced, and a test evaluates every expression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from loralift.records import AdapterProof, Comparison, Confounds, Finding, MetricSummary, Protocols
from loralift.reporting import another_way, caveats, tables
from loralift.reporting.doubts import PERPLEXITY
from loralift.reporting.traced_figures import DECIDED, Case, Facts

MOST = 16
"""Most sentences about one candidate; its doubts are all among them."""

MANY_DROPPED = 0.05
MOST_LOST = 3


def findings(
    comparison: Comparison,
    summaries: Mapping[str, Mapping[str, MetricSummary]],
    confounds: Confounds,
    proofs: Sequence[AdapterProof] = (),
    protocols: Protocols | None = None,
) -> tuple[Finding, ...]:
    """Say what the figures say.

    Args:
        comparison: Of every candidate with the baseline.
        summaries: Variant to metric to its aggregate.
        confounds: What else than quality may stand behind the differences.
        proofs: That the adapters act.
        protocols: What becomes of the verdicts when all are asked another way; None: they were asked in one.

    Returns:
        Candidate by candidate, at most MOST each: its verdict, what puts it in doubt, and what else is to know.
    """
    found: list[Finding] = []
    for candidate in comparison.candidates:
        case = Case(comparison, summaries, confounds, proofs, candidate, protocols)
        first, *others = [finding for rule in RULES for finding in rule(case)]
        said = [first, *sorted(others, key=lambda finding: finding.severity != "warning")][:MOST]
        found += [replace(finding, candidate=candidate) for finding in said]
    return tuple(found)


def _verdict(case: Case) -> Iterator[Finding]:
    facts, (path, row, info) = Facts(), case.primary
    pair = f"{case.candidate} {{}} {row.baseline}"
    if row.difference is None or row.verdict is None:
        facts.figures[f"{path}.n"] = row.n
        yield facts.info(f"{pair.format('cannot be compared with')} on {info.title}: there is no difference to judge.")
        return
    facts.text(f"{path}.verdict", row.verdict)
    if row.verdict in DECIDED:
        yield facts.info(f"{pair.format(f'is {row.verdict} than')}: {info.title} {facts.moved(path, row, info)}.")
        return
    difference = facts.difference(f"{path}.difference", row.difference, info)
    if row.verdict == "equivalent" and row.margin is not None and row.equivalence_interval is not None:
        inside = facts.interval(f"{path}.equivalence_interval", row.equivalence_interval, info).strip()
        margin = facts.value(f"{path}.margin", row.margin, info)
        change = tables.small_change(case.comparison, row)
        words = pair.format("is equivalent to") + (change and f" but for {change}")
        yield facts.info(
            f"{words}: {info.title} differs by {difference}, and the equivalence interval {inside} lies inside the "
            f"margin of ±{margin}."
        )
        return
    where = facts.interval(f"{path}.interval", row.interval, info)
    yield facts.info(
        f"Whether {pair.format('is better or worse than')} is undecided: {info.title} differs by {difference}{where}."
    )


def _power(case: Case) -> Iterator[Finding]:
    facts, (path, row, info) = Facts(), case.primary
    least = row.minimum_detectable_effect
    if row.verdict != "inconclusive" or least is None or row.difference is None:
        return
    words = (
        f"{facts.count(f'{path}.n', row.n)} rows find a difference in {info.title} four times in five only if it is "
    )
    words += f"{facts.value(f'{path}.minimum_detectable_effect', least, info)} or more"
    if row.rows_needed is not None and row.rows_needed > row.n:
        words += f"; one of {facts.size(f'{path}.difference', row.difference, info)}, as seen here, would take "
        words += f"{facts.count(f'{path}.rows_needed', row.rows_needed)}"
    level = facts.percent("alpha", case.comparison.alpha)
    end = f" That is of an unadjusted test at {level}; after the adjustment for all that was compared it takes more."
    yield facts.info(f"{words}.{end}")


def _others(case: Case) -> Iterator[Finding]:
    """Judged metrics that decide otherwise than the primary one, losses first, of them perplexity, which is a doubt."""
    at, primary, info = case.primary
    apart = [
        (path, row)
        for path, row in case.rows.values()
        if row.metric != primary.metric and row.verdict in DECIDED and row.verdict != primary.verdict
    ]
    apart.sort(key=lambda each: (each[1].verdict != "worse", each[1].metric != PERPLEXITY))
    for path, row in apart[:MOST_LOST]:
        facts, other = Facts(), case.comparison.metrics[row.metric]
        facts.text(f"{path}.verdict", row.verdict or "")
        first = facts.text(f"{at}.verdict", primary.verdict or "inconclusive")
        words = f"{case.candidate} is {row.verdict} on {other.title}, although {first} on {info.title}: "
        words += f"{other.title} {facts.moved(path, row, other)}."
        yield facts.finding(words, doubtful=row.verdict == "worse" or case.decided)


def _agreeing(case: Case) -> Iterator[Finding]:
    facts, (_, primary, info) = Facts(), case.primary
    titles = []
    for path, row in case.rows.values():
        if case.decided and row.metric != primary.metric and row.verdict == primary.verdict:
            titles.append(case.comparison.metrics[row.metric].title)
            facts.text(f"{path}.verdict", primary.verdict or "")
    if titles:
        listed = ", ".join(titles[:-1]) + (" and " if titles[:-1] else "") + titles[-1]
        verb = "agrees" if len(titles) == 1 else "agree"
        yield facts.info(f"{listed} {verb} with {info.title}: {case.candidate} is {primary.verdict} there too.")


def _dropped(case: Case) -> Iterator[Finding]:
    facts, (path, row, _) = Facts(), case.primary
    if not row.dropped:
        return
    rows = "row" if row.dropped == 1 else "rows"
    words = f"{facts.count(f'{path}.dropped', row.dropped)} {rows} of {case.candidate} or {row.baseline} are left out: "
    words += ", ".join(
        f"{facts.count(f'{path}.dropped_reasons[{reason!r}]', count)} {reason}"
        for reason, count in row.dropped_reasons.items()
    )
    yield facts.finding(f"{words}.", doubtful=row.dropped >= MANY_DROPPED * (row.n + row.dropped))


RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    _verdict, _power, another_way.protocols, caveats.allowed, caveats.leakage, another_way.best, another_way.cuts,
    _others, caveats.composition, caveats.length, caveats.flaws,
    caveats.acting, caveats.noise, caveats.slices, _dropped, _agreeing,
)  # fmt: skip
"""The verdict, then the most important first, as `doubts.RANKED` has them; warnings go before the rest."""
