"""What a comparison must do whatever the numbers are."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loralift.comparison import Settings, compare, pair
from loralift.errors import ComparisonError
from loralift.records import MetricComparison, MetricInfo, Score
from tests.properties.given import INFO, LESS, METRIC, shifted, sides, values

FREE = replace(INFO, low=None, high=None)
RANK = {"worse": 0, "inconclusive": 1, "equivalent": 1, "better": 2}
OPPOSITE = {"worse": "better", "better": "worse", "equivalent": "equivalent", "inconclusive": "inconclusive"}

Sides = tuple[list[Score], list[Score]]


def compared(before: list[Score], after: list[Score], info: MetricInfo = INFO) -> MetricComparison:
    settings = Settings(primary=METRIC, resamples=200)
    (row,) = compare("base", before, {"mine": after}, {METRIC: info}, settings).rows
    return row


@given(sides(), st.randoms(use_true_random=False))
def test_the_order_of_rows_says_nothing(both: Sides, order: random.Random) -> None:
    before, after = both
    expected = compared(before, after)
    assert compared(order.sample(before, len(before)), order.sample(after, len(after))) == expected


@given(sides(), values)
def test_two_equal_sides_are_never_better_or_worse(both: Sides, value: float) -> None:
    row = compared(both[0], both[0])
    assert row.verdict in ("equivalent", "inconclusive")
    assert (row.difference, row.wins, row.losses) == (0.0, 0, 0)


@given(sides())
def test_exchanging_the_sides_mirrors_everything(both: Sides) -> None:
    one, other = compared(*both), compared(*reversed(both))
    assert one.difference is not None
    assert other.difference == pytest.approx(-one.difference, abs=1e-12)
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.verdict == OPPOSITE[other.verdict or ""]


@given(sides(), st.data())
def test_raising_an_answer_never_lowers_the_difference(both: Sides, data: st.DataObject) -> None:
    before, after = both
    number = data.draw(st.integers(0, len(after) - 1))
    higher = data.draw(values.filter(lambda value: value >= (after[number].values[METRIC] or 0)))
    raised = [*after[:number], Score(after[number].id, {METRIC: higher}), *after[number + 1 :]]
    was, now = compared(before, after), compared(before, raised)
    assert (now.difference or 0) >= (was.difference or 0)
    assert now.wins >= was.wins
    assert now.losses <= was.losses


@given(sides(least=6), st.integers(1, 64))
def test_lifting_every_answer_alike_never_makes_the_verdict_worse(both: Sides, sixty_fourths: int) -> None:
    before, after = both
    was = compared(before, after, FREE)
    now = compared(before, shifted(after, sixty_fourths / 64), FREE)
    assert RANK[now.verdict or ""] >= RANK[was.verdict or ""]


@given(sides(), st.integers(-64, 64))
def test_a_constant_on_both_sides_changes_no_difference(both: Sides, sixty_fourths: int) -> None:
    by = sixty_fourths / 64
    was, now = compared(*both, FREE), compared(*(shifted(side, by) for side in both), FREE)
    assert now.difference == was.difference
    assert now.verdict == was.verdict
    assert now.p_value == was.p_value
    assert (now.wins, now.ties, now.losses) == (was.wins, was.ties, was.losses)


@given(sides())
def test_where_less_is_better_everything_is_the_other_way_round(both: Sides) -> None:
    more, less = compared(*both, replace(INFO, low=0.0, high=1.0)), compared(*both, LESS)
    assert more.difference == less.difference
    assert (more.wins, more.losses) == (less.losses, less.wins)
    assert more.verdict == OPPOSITE[less.verdict or ""]


@given(sides(least=4), st.data())
def test_rows_of_one_side_alone_and_without_a_value_are_counted_and_change_nothing(
    both: Sides, data: st.DataObject
) -> None:
    before, after = both
    whole = compared(before, after)
    lone = [Score(f"lone{number}", {METRIC: data.draw(values)}) for number in range(data.draw(st.integers(0, 3)))]
    blank = [Score(f"blank{number}", {METRIC: None}) for number in range(data.draw(st.integers(0, 3)))]
    full = [Score(row.id, {METRIC: 0.5}) for row in blank]
    more = compared([*before, *blank], [*after, *full, *lone])
    assert (more.n, more.dropped) == (whole.n, len(lone) + len(blank))
    assert sum(more.dropped_reasons.values()) == more.dropped
    assert (more.difference, more.p_value, more.interval) == (whole.difference, whole.p_value, whole.interval)


@given(sides(), st.booleans(), st.data())
def test_an_id_twice_is_refused(both: Sides, first: bool, data: st.DataObject) -> None:
    spoiled = list(both)
    spoiled[not first] = [*spoiled[not first], data.draw(st.sampled_from(spoiled[not first]))]
    with pytest.raises(ComparisonError, match="more than one row"):
        compared(*spoiled)


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_pairing_takes_every_row_once_and_to_its_own(one: set[int], other: set[int]) -> None:
    assume(one & other)
    left, right = ([Score(str(row), {METRIC: row / 20}) for row in side] for side in (one, other))
    pairs = pair(left, right)
    assert [row.id for row in pairs.baseline] == [row.id for row in pairs.candidate] == list(pairs.ids)
    assert {*pairs.ids, *pairs.only_baseline, *pairs.only_candidate} == {str(row) for row in one | other}
    assert len(pairs.ids) + len(pairs.only_baseline) == len(one)
    assert len(pairs.ids) + len(pairs.only_candidate) == len(other)
