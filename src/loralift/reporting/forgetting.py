"""What an adapter lost, or kept, outside the domain that it was trained on."""

from __future__ import annotations

from dataclasses import replace

from loralift.records import Comparison, Finding
from loralift.reporting import formatting
from loralift.reporting.traced_figures import Facts


def forgetting(name: str, comparison: Comparison) -> tuple[Finding, ...]:
    """One sentence a candidate on a further data set; its figures are of ``also``, data set to comparison.

    Args:
        name: The data set's, as given with --also.
        comparison: Of that data set; its family is its own.
    """
    return tuple(_sentence(name, comparison, candidate) for candidate in comparison.candidates)


def _sentence(name: str, comparison: Comparison, candidate: str) -> Finding:
    position, row = next(
        (i, row)
        for i, row in enumerate(comparison.rows)
        if row.candidate == candidate and row.metric == comparison.primary
    )
    facts, path = Facts(), f"also[{name!r}].rows[{position}]"
    info = comparison.metrics[row.metric]
    verdict = comparison.verdicts[candidate]
    words = {
        "worse": f"{candidate} forgot: on {name} it is worse than {comparison.baseline}",
        "better": f"On {name} {candidate} is better than {comparison.baseline} too",
        "equivalent": f"On {name} {candidate} lost nothing: it is equivalent to {comparison.baseline}",
        "inconclusive": f"Whether {candidate} forgot anything on {name} is not decided",
    }
    facts.text(f"also[{name!r}].verdicts[{candidate!r}]", verdict)
    evidence = formatting.NOT_THERE
    if row.difference is not None:
        evidence = facts.difference(f"{path}.difference", row.difference, info)
    evidence += facts.interval(f"{path}.interval", row.interval, info)
    text = f"{words[verdict]}, by {info.title}: {evidence} over {facts.count(f'{path}.n', row.n)} questions."
    return replace(facts.finding(text, doubtful=verdict in ("worse", "inconclusive")), candidate=candidate)
