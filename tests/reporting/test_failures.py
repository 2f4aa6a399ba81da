from __future__ import annotations

import dataclasses

import pytest

from loralift.records import Report, Row
from loralift.reporting.doubts import FLAWS
from loralift.reporting.failures import MODES, failure_modes_of, failure_table, failures
from tests.reporting.many import INFOS, report_of

REFERENCE = "one two three four five six seven eight"


def row(name: str, base: str, up: str, **flags: tuple[float | None, float | None]) -> Row:
    values = {
        side: {metric: pair[place] for metric, pair in flags.items()} for place, side in enumerate(("base", "up"))
    }
    return Row(name, "Why?", REFERENCE, {"base": base, "up": up}, values)


@pytest.fixture
def report() -> Report:
    rows = (
        row("1", "a b c", "a", truncated=(1, 0), f1=(0.2, 0.1), empty=(0, 0)),
        row("2", "a b c", "", truncated=(0, 1), f1=(0.2, 0.0), empty=(0, 1)),
        row("3", "a", "a " * 33, truncated=(0, 1), f1=(0.4, None), empty=(0, 0)),
        row("4", "a b", "a " * 32, truncated=(None, 1), f1=(0.0, 0.4), empty=(0, 0)),
    )
    return dataclasses.replace(report_of(("up",), 20), rows=rows)


def test_the_modes_are_the_flaws_of_the_findings_and_two_of_length() -> None:
    assert list(MODES) == [*FLAWS, "far_shorter", "far_longer"]
    assert MODES["truncated"] == "were cut off at the limit of new tokens"
    assert MODES["far_shorter"] == "are far shorter than the reference"
    for name in FLAWS:  # a flag, 1 or 0, of an answer whose length shows nothing
        flagged = row("1", "one two three", "one two three", **{name: (0, 1)})
        assert (failure_modes_of(flagged, "base"), failure_modes_of(flagged, "up")) == ((), (name,))


def test_an_answers_modes_and_their_borders(report: Report) -> None:
    modes = {(row.id, side): failure_modes_of(row, side) for row in report.rows for side in ("base", "up")}
    assert modes["1", "up"] == ("far_shorter",)
    assert modes["1", "base"] == ("truncated",)
    assert modes["2", "up"] == ("truncated", "empty")  # an empty answer is not far shorter too
    assert modes["3", "up"] == ("truncated", "far_longer")
    assert modes["4", "base"] == ()  # a quarter of the words is not fewer
    assert modes["4", "up"] == ("truncated",)  # four times is not more
    assert failure_modes_of(report.rows[0], "unknown") == ()


def test_counts_are_paired_with_the_baseline_and_unknown_is_not_zero(report: Report) -> None:
    by_name = {mode.name: mode for mode in failures(report)}
    assert list(by_name) == ["truncated", "empty", "far_shorter", "far_longer"]
    base, up = by_name["truncated"].counts
    assert (base.variant, base.n, base.count, base.new, base.gone, base.difference) == ("base", 3, 1, None, None, None)
    assert (up.variant, up.n, up.count, up.new, up.gone) == ("up", 4, 3, 2, 1)
    assert up.share == 0.75
    assert up.difference == pytest.approx((-0.2 + 0.4) / 2)  # row 3 has no value on one side
    assert by_name["truncated"].title == INFOS["truncated"].title
    assert by_name["far_longer"].counts[1].difference is None


def test_the_table_shows_what_occurs_and_names_what_does_not() -> None:
    table = failure_table(report_of(("up",), 20))
    assert table.columns == (
        "answers that",
        "of",
        "count",
        "share",
        "new",
        "gone",
        f"difference in {INFOS['f1'].title}",
    )
    cut = "were cut off at the limit of new tokens"
    assert {row[0] for row in table.rows} == {cut, MODES["empty"], MODES["far_shorter"]}
    assert table.rows[0][:6] == (MODES["truncated"], "base", "4", "20 %", "–", "–")
    assert table.rows[1][:6] == (MODES["truncated"], "up", "4", "20 %", "4", "4")
    assert table.caption.endswith("none: Far longer")


def test_without_a_comparison_the_table_only_counts() -> None:
    table = failure_table(dataclasses.replace(report_of(("up",), 20), comparison=None))
    assert table.columns == ("answers that", "of", "count", "share")
    assert {len(row) for row in table.rows} == {4}


def test_where_questions_were_repeated_the_table_says_that_it_counts_answers() -> None:
    words = "counted over answers, not questions"
    assert words in failure_table(report_of(("up",), 20, slices=False, repeats=2)).caption
    assert words not in failure_table(report_of(("up",), 20, slices=False)).caption


def test_no_rows_no_table(report: Report) -> None:
    empty = dataclasses.replace(report, rows=())
    assert failures(empty) == ()
    assert failure_table(empty).rows == ()
