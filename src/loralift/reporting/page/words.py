"""What the page says in one sentence, and which finding belongs to whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from loralift.records import Comparison, Finding, Report
from loralift.reporting import tables
from loralift.reporting.doubts import Doubt
from loralift.reporting.tables import IN_DOUBT

MOST_SAID = 3
"""Candidates that the answer names where it gives each verdict in words."""

WORDS = {
    "better": "BETTER",
    "worse": "WORSE",
    "equivalent": "EQUIVALENT",
    "inconclusive": "UNDECIDED",
    "depends": "DEPENDS ON HOW IT IS ASKED",
}
"""Verdict to the word on its card."""

_ALONE = {
    "better": "Yes, it did.",
    "worse": "No. It pulled it down.",
    "equivalent": "It moved it by nothing that matters.",
    "inconclusive": "These data do not decide.",
    "depends": "That depends on how it is asked.",
}
_ALONE_IN_DOUBT = {
    "better": "It seems so, but that is in doubt.",
    "worse": "It seems to pull it down, but that is in doubt.",
    "equivalent": "It seems to move it by nothing that matters, but that is in doubt.",
    "inconclusive": "These data do not decide, and something speaks against it.",
}
_SMALL = ("None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_SEEMS = ("seems", "seem")
_ENDS = {
    "depends": ("depends on how it is asked", "depend on how they are asked"),
    "worse": ("pulls it down", "pull it down"),
    "equivalent": ("leaves it within the margin", "leave it within the margin"),
    "inconclusive": ("is still undecided", "are still undecided"),
}
"""Verdict to what is said of one adapter, and of several."""


def answer(comparison: Comparison | None, doubts: Mapping[str, Doubt]) -> str:
    """The answer to the page's title, in one breath.

    Args:
        comparison: Of every candidate with the base.
        doubts: Candidate to what speaks most against its verdict; one that has any lifted nothing for sure.
    """
    if comparison is None:
        return "There is nothing to compare: only the base was evaluated."
    shown = {name: shown_verdict(comparison, name, doubts) for name in comparison.candidates}
    if len(shown) == 1:
        (name, verdict), *_ = shown.items()
        return (_ALONE_IN_DOUBT if name in doubts and verdict != "depends" else _ALONE)[verdict]
    named = {verdict: [name for name in shown if shown[name] == verdict] for verdict in WORDS}
    lifted, seeming = ([name for name in named["better"] if (name in doubts) == doubted] for doubted in (False, True))
    words = f"{_spelled(len(lifted))} of {_spelled(len(shown)).lower()} "
    words += f"did: {_listed(lifted)}." if lifted else "is shown to."
    rest = [f"{_listed(seeming)} {_SEEMS[len(seeming) > 1]} to, {IN_DOUBT}"] if seeming else []
    for verdict, (one, many) in _ENDS.items():
        if names := named[verdict]:
            listed = _listed(names if verdict == "depends" else [_doubted(name, doubts) for name in names])
            rest.append(f"{listed} {one if len(names) == 1 else many}")
    return f"{words} {'; '.join(rest)}." if rest else words


def answer_of_inputs(report: Report, doubts: Sequence[Doubt]) -> str:
    """The same of a comparison of what lay on the disk, which need not be of a LoRA: each verdict by its names."""
    assert report.comparison is not None
    names = report.comparison.candidates
    said = [tables.brief(report.comparison, name, doubts) for name in names[:MOST_SAID]]
    return f"{'; '.join(said)}{f'; and {len(names) - MOST_SAID} more' if len(names) > MOST_SAID else ''}."


def shown_verdict(comparison: Comparison, candidate: str, doubts: Mapping[str, Doubt]) -> str:
    """The verdict as a card shows it: the primary metric's, or ``depends`` where protocols establish different ones."""
    doubt = doubts.get(candidate)
    return "depends" if doubt is not None and doubt.kind == "depends" else comparison.verdicts[candidate]


def _doubted(name: str, doubts: Collection[str]) -> str:
    return f"{name} ({IN_DOUBT})" if name in doubts else name


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
