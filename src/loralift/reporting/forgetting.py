"""What an adapter lost, or kept, outside the domain that it was trained on."""

from __future__ import annotations

from loralift.records import Comparison, Finding
from loralift.reporting import numbers, tables


def forgetting(name: str, comparison: Comparison) -> tuple[Finding, ...]:
    """One sentence a candidate on a further data set.

    Args:
        name: The data set's, as given with --also.
        comparison: Of that data set; its family is its own.
    """
    return tuple(_sentence(name, comparison, candidate) for candidate in comparison.candidates)


def _sentence(name: str, comparison: Comparison, candidate: str) -> Finding:
    row = tables.primary_row(comparison, candidate)
    info = comparison.metrics[row.metric]
    verdict = comparison.verdicts[candidate]
    words = {
        "worse": f"{candidate} forgot: on {name} it is worse than {comparison.baseline}",
        "better": f"On {name} {candidate} is better than {comparison.baseline} too",
        "equivalent": f"On {name} {candidate} lost nothing: it is equivalent to {comparison.baseline}",
        "inconclusive": f"Whether {candidate} forgot anything on {name} is not decided",
    }
    evidence = numbers.difference(row.difference, info)
    if row.interval is not None:
        evidence += f" {numbers.interval(row.interval, info)}"
    path = f"also.{name}.rows[{candidate}, {row.metric}]"
    figures: dict[str, float | str] = {f"{path}.verdict": verdict, f"{path}.n": row.n}
    if row.difference is not None:
        figures[f"{path}.difference"] = row.difference
    if row.interval is not None:
        figures |= {f"{path}.interval.low": row.interval.low, f"{path}.interval.high": row.interval.high}
    text = f"{words[verdict]}, by {info.title}: {evidence} over {row.n} questions."
    return Finding(text, figures, "warning" if verdict in ("worse", "inconclusive") else "info")
