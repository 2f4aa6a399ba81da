"""What is said of a difference that answers that failed have made."""

from __future__ import annotations

import pytest

from loralift.comparison import Settings, compare, summarise
from loralift.records import Confounds, Contribution, Interval, MetricInfo, Score
from loralift.reporting.findings import findings

INFO = MetricInfo("f1", "F1", margin=0.01)
ROWS = 120


def scores(gain: float) -> list[Score]:
    return [Score(str(i), {"f1": 0.3 + gain + i % 7 / 100 + i * 11 % 5 / 1000 * (gain > 0)}) for i in range(ROWS)]


def parted(sound: float, failed: float, rows: int) -> tuple[Contribution, ...]:
    """A difference of ``sound`` on rows where both answers are sound, and ``failed`` where only base's is not."""
    near = Interval(sound - 0.01, sound + 0.01, 0.95, "t")
    return (
        Contribution("another", "both sound", ROWS, 1.0, 0.3, near),
        Contribution("up", "both sound", ROWS - rows, 1 - rows / ROWS, sound, near if rows < ROWS else None),
        Contribution("up", "only baseline unsound", rows, rows / ROWS, failed, near),
        Contribution("up", "neither sound", 0, 0.0, 0.0, None),
    )


@pytest.mark.parametrize(
    ("sound", "failed", "rows", "severity", "said"),
    [
        (-0.006, 0.027, 40, "warning", "; where both answers are sound it is the other way round."),
        (0.004, 0.017, 40, "warning", "; where both answers are sound it is the smaller part."),
        (0.0, 0.021, ROWS, "warning", "; on no row are both answers sound."),
        (0.018, 0.003, 40, "info", "unsound. Unsound: empty"),
        (0.018, 0.003, 1, None, ""),
    ],
)
def test_a_verdict_that_rests_on_failed_answers_is_doubted(
    sound: float, failed: float, rows: int, severity: str | None, said: str
) -> None:
    sides = {"base": scores(0.0), "up": scores(0.021)}
    comparison = compare("base", sides["base"], {"up": sides["up"]}, {"f1": INFO}, Settings("f1", resamples=200))
    assert comparison.verdicts == {"up": "better"}
    summaries = {name: {"f1": summarise(rows_of, INFO)} for name, rows_of in sides.items()}
    confounds = Confounds(contributions=parted(sound, failed, rows))
    found = [f for f in findings(comparison, summaries, confounds) if "is made of" in f.text]
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all(said in finding.text for finding in found)
    assert all(f"{rows} rows where only base's answer is unsound" in finding.text for finding in found)
