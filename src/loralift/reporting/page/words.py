"""What the page says in one sentence, and which finding belongs to whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loralift.records import Comparison, Finding, Report

WORDS = {"better": "BETTER", "worse": "WORSE", "equivalent": "EQUIVALENT", "inconclusive": "UNDECIDED"}
"""Verdict to the word on its card."""

_ALONE = {
    "better": "Yes, it did.",
    "worse": "No. It pulled it down.",
    "equivalent": "It moved it by nothing that matters.",
    "inconclusive": "These data do not decide.",
}
_SMALL = ("None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_DOWN = ("pulls", "pull"), "it down"
_SAME = ("leaves", "leave"), "it within the margin"
_OPEN = ("is", "are"), "still undecided"


def answer(comparison: Comparison | None) -> str:
    """The answer to the page's title, in one breath."""
    if comparison is None:
        return "There is nothing to compare: only the base was evaluated."
    named = {
        verdict: [name for name in comparison.candidates if comparison.verdicts[name] == verdict] for verdict in WORDS
    }
    if len(comparison.candidates) == 1:
        return _ALONE[comparison.verdicts[comparison.candidates[0]]]
    lifted = named["better"]
    words = f"{_spelled(len(lifted))} of {_spelled(len(comparison.candidates)).lower()} "
    words += f"did: {_listed(lifted)}." if lifted else "is shown to."
    rest = []
    for verdict, ((one, many), end) in (("worse", _DOWN), ("equivalent", _SAME), ("inconclusive", _OPEN)):
        if names := named[verdict]:
            rest.append(f"{_listed(names)} {one if len(names) == 1 else many} {end}")
    return f"{words} {'; '.join(rest)}." if rest else words


def findings_by_candidate(report: Report) -> dict[str, list[Finding]]:
    """Every finding under the adapter that it is about, warnings first; under "" what is about none."""
    names = report.comparison.candidates if report.comparison is not None else ()
    grouped: dict[str, list[Finding]] = {name: [] for name in (*names, "")}
    for finding in report.findings:
        grouped[finding.candidate if finding.candidate in grouped else ""].append(finding)
    return {name: _warnings_first(found) for name, found in grouped.items()}


def _warnings_first(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: finding.severity != "warning")


def _spelled(number: int) -> str:
    return _SMALL[number] if number < len(_SMALL) else str(number)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
