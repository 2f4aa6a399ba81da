"""When several adapters are a sweep, and by which numbers."""

from __future__ import annotations

from loralift.records import Sweep
from loralift.workflow.codec import decode, plain
from loralift.workflow.sweeps import axes_of, sweep_of
from tests.reporting.swept import swept


def test_axes_are_the_numbers_that_differ_the_step_first_and_no_epoch_beside_it() -> None:
    numbers = {
        "a": {"r": 8.0, "lora_alpha": 16.0, "epoch": 1.0, "step": 10.0},
        "b": {"r": 16.0, "lora_alpha": 16.0, "epoch": 2.0, "step": 20.0},
    }
    assert [axis.field for axis in axes_of(numbers)] == ["step", "r"]
    assert [axis.field for axis in axes_of({**numbers, "c": {"r": 8.0, "epoch": 3.0}})] == ["step", "epoch", "r"]
    assert axes_of({"a": {"r": 8.0}, "b": {"r": 8.0}, "c": {}}) == ()


def test_fewer_than_three_or_without_a_number_that_differs_are_no_sweep() -> None:
    for adapters, expected in ((2, False), (3, True)):
        assert (swept(adapters, 12).sweep is not None) is expected
    report = swept(3, 12)
    assert report.comparison is not None
    assert sweep_of({}, {}, report.comparison, None, None) is None  # type: ignore[arg-type]


def test_what_is_not_judged_and_what_lacks_a_step_is_said() -> None:
    assert swept(3, 3).sweep is not None
    few = swept(3, 3).sweep
    assert few is not None
    assert few.best is None
    assert few.notes == (
        "Token F1 was scored on fewer than four questions, so the best adapter is not judged on rows that did not "
        "choose it.",
    )


def test_a_sweep_goes_through_comparison_json_unchanged() -> None:
    sweep = swept(4, 12).sweep
    assert sweep is not None
    assert decode(Sweep, plain(sweep)) == sweep
