"""Descriptive metrics that only read what the generation recorded."""

from __future__ import annotations

import pytest

from loralift.metrics import METRICS, score_examples

NAMES = ["answer_words", "output_tokens", "truncated", "empty"]


def values(example):
    return score_examples(NAMES, [example])[0].values


def test_an_answer_with_everything_known(make_example):
    example = make_example("Pay  it\noff.", finish_reason="length", output_tokens=5)
    assert values(example) == {
        "answer_words": 3.0,
        "output_tokens": 5.0,
        "truncated": 1.0,
        "empty": 0.0,
    }


def test_what_nobody_knows_is_none(make_example):
    assert values(make_example(" \n")) == {
        "answer_words": 0.0,
        "output_tokens": None,
        "truncated": None,
        "empty": 1.0,
    }


def test_an_answer_that_stopped_is_not_truncated(make_example):
    assert values(make_example("Yes.", finish_reason="stop"))["truncated"] == 0.0


@pytest.mark.parametrize("name", [*NAMES, "repeating", "run_on", "copied_prompt", "windowed"])
def test_they_are_never_judged(name):
    assert METRICS[name].higher_is_better is None
    assert METRICS[name].margin is None
