import pytest

from benchmarks.timing import Timing, extrapolate, identical, ratios, tells


def test_extrapolation_pays_the_start_once():
    assert extrapolate(16, 5 + 16 * 1.5, 32, 5 + 32 * 1.5, 648) == pytest.approx(5 + 648 * 1.5)


def test_identical_answers_are_counted_where_both_have_one():
    found = {"base": {"a": "x", "b": "y", "not asked": "z"}, "adapter": {"a": "v"}}
    assert identical(found, {"base": {"a": "x", "b": "w"}, "adapter": {"a": "v"}}) == "2 of 3"


def test_a_ratio_above_one_is_faster():
    timings = {"slow": Timing((40.0, 20.0, 30.0), (648,)), "fast": Timing((10.0,), (648,))}
    assert ratios(timings, list(timings)) == {"slow": {"fast": 0.33}, "fast": {"slow": 3.0}}


def test_a_difference_that_is_the_starts_noise_tells_nothing():
    assert tells(42.6, 79.2)
    assert tells(49.2, 65.4)
    assert not tells(50.2, 55.4)
    assert not tells(135.3, 128.2)


def test_an_extrapolated_way_says_so_and_what_was_measured():
    plain = Timing((648.0,), (16, 32), (16.0, 32.0), "64 of 64").plain()
    assert (plain["extrapolated"], plain["rows_measured"], plain["measured_seconds"]) == (True, [16, 32], [16.0, 32.0])
    assert not Timing((648.0,), (648,)).plain()["extrapolated"]
