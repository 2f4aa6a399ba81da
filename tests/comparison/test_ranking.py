"""Variants in order."""

from __future__ import annotations

import pytest

from loralift.comparison import Settings, rank
from loralift.errors import ComparisonError, UsageError
from tests.comparison.shapes import LOSS, QUALITY, WORDS, many


def test_ranking_puts_ties_on_one_rank() -> None:
    baseline, candidates = many()
    ranking = rank({"base": baseline, **candidates}, QUALITY, Settings(resamples=1_000))
    assert {place.variant: place.rank for place in ranking.places} == {"up": 1, "base": 2, "same": 2, "down": 4}
    assert ranking.places[0].variant == "up"
    assert set(ranking.places[0].better_than) == {"base", "same", "down"}
    assert len(ranking.pairs) == 6
    less = rank({"base": baseline, **candidates}, LOSS, Settings(resamples=1_000))
    assert (less.places[0].variant, less.places[-1].variant) == ("up", "down")


def test_ranking_wants_two_variants_and_a_direction() -> None:
    baseline, candidates = many(n=10)
    with pytest.raises(ComparisonError, match="at least two variants, got 1"):
        rank({"base": baseline}, QUALITY, Settings())
    with pytest.raises(UsageError, match="a metric with a direction, got 'words'"):
        rank({"base": baseline, **candidates}, WORDS, Settings())
