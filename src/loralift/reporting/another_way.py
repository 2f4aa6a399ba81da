"""Rules for findings about a verdict asked another way: protocols, the base at its best, answers that end earlier."""

from __future__ import annotations

from collections.abc import Iterator

from loralift.records import AgainstBest, CutComparison, Finding, MetricComparison
from loralift.reporting.doubts import SAID, beaten, depends, elsewhere, quoted, stands
from loralift.reporting.traced_figures import Case, Facts


def protocols(case: Case) -> Iterator[Finding]:
    """What is found under each protocol, and what holds whichever way all are asked."""
    if case.protocols is None:
        return
    facts, (_, _, info) = Facts(), case.primary
    ways, rows = [], case.protocols.rows_of(case.candidate).values()
    for position, result in enumerate(case.protocols.results):
        for number, row in enumerate(result.rows):
            if row.candidate == case.candidate:
                at = f"protocols.results[{position}]"
                name = facts.text(f"{at}.protocol.name", result.protocol.name)
                ways.append(f"{_said(case, facts, f'{at}.rows[{number}]', row)} under {name}")
    listed = "; ".join(ways)
    if depends(case):
        yield facts.finding(f"{case.candidate}'s verdict depends on how it is asked: {listed}.", doubtful=True)
        return
    for position, whichever in enumerate(case.protocols.whichever):
        if whichever.candidate == case.candidate:
            facts.text(f"protocols.whichever[{position}].verdict", whichever.verdict)
            verdict = SAID.get(whichever.verdict, "undecided")
            words = f"Whichever way it is asked, {case.candidate} is {verdict} on {info.title}"
            if verdict == "undecided" and any(row.verdict != "inconclusive" for row in rows):
                words = f"Under some protocols alone {case.candidate} is decided on {info.title}"
            yield facts.finding(f"{words}: {listed}.", doubtful=elsewhere(case))


def best(case: Case) -> Iterator[Finding]:
    """The candidate against the base at its best, asked as it was trained and at its own best."""
    found = [
        (f"protocols.best[{position}]", row)
        for position, row in enumerate(case.protocols.best if case.protocols else ())
        if row.candidate == case.candidate and row.row.difference is not None
    ]
    if not found:
        return
    facts = Facts()
    base = _chosen(facts, f"{found[0][0]}.baseline_protocols", found[0][1].baseline_protocols)
    words = f"Against {case.comparison.baseline} at its best ({base}) {case.candidate} is "
    words += ", and ".join(_asked(case, facts, path, row) for path, row in found)
    words += ". What is best was chosen on the other half of the questions."
    yield facts.finding(words, doubtful=beaten(case) is not None and case.verdict != "worse")


def _asked(case: Case, facts: Facts, path: str, against: AgainstBest) -> str:
    said = _said(case, facts, f"{path}.row", against.row)
    if against.asked == "as trained":
        return f"{said} if asked as it was trained"
    own = _chosen(facts, f"{path}.candidate_protocols", against.candidate_protocols)
    return f"{said} if asked at its own best ({own})"


def _chosen(facts: Facts, path: str, halves: tuple[str, str]) -> str:
    """The protocols that the two halves of the questions chose."""
    names = [facts.text(f"{path}[{number}]", name) for number, name in enumerate(halves)]
    return " and ".join(dict.fromkeys(names))


def cuts(case: Case) -> Iterator[Finding]:
    """What the verdict would be if answers had ended earlier."""
    for position, cut in enumerate(case.confounds.cuts):
        if cut.candidate != case.candidate or cut.row.difference is None:
            continue
        facts, path = Facts(), f"confounds.cuts[{position}]"
        of = f"{facts.percent(f'{path}.baseline_share', cut.baseline_share)} of {case.comparison.baseline}'s and "
        of += f"{facts.percent(f'{path}.candidate_share', cut.candidate_share)} of {case.candidate}'s"
        words = f"If answers ended {_end(facts, path, cut)}, which shortens {of}, {case.candidate} would be "
        words += _said(case, facts, f"{path}.row", cut.row)
        holds = stands(case.verdict, cut.row.verdict)
        if not holds and case.verdict is not None:
            words += f", and not {SAID[case.verdict]}"
        yield facts.finding(f"{words}.", doubtful=not holds)


def _end(facts: Facts, path: str, cut: CutComparison) -> str:
    if cut.kind == "stop":
        return f"at {quoted(facts.text(f'{path}.stop', cut.stop))}"
    return f"after {facts.count(f'{path}.max_new_tokens', cut.max_new_tokens)} tokens"


def _said(case: Case, facts: Facts, path: str, row: MetricComparison) -> str:
    """``worse (−0.018 [−0.034, −0.003])``."""
    info = case.primary[2]
    verdict = SAID[facts.text(f"{path}.verdict", row.verdict or "inconclusive")]
    if row.difference is None:
        return verdict
    figures = facts.difference(f"{path}.difference", row.difference, info)
    return f"{verdict} ({figures}{facts.interval(f'{path}.interval', row.interval, info)})"
