"""Parts of the rows, and the comparison on each."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from loralift.comparison import Settings, compare, compare_slices, cut_columns
from loralift.errors import ComparisonError, UsageError
from loralift.records import Plain, Score, SliceComparison
from tests.comparison.shapes import (
    PERPLEXITY,
    QUALITY,
    WORDS,
    bounded,
    corpus_rows,
    infos,
    likelihoods,
    perplexity,
    rows,
)


def column(values: list[Plain]) -> dict[str, Plain]:
    return {f"q{i:05}": value for i, value in enumerate(values)}


def parts_of(values: list[Plain]) -> dict[str, list[Plain]]:
    """Label to the values under it."""
    found = cut_columns({"it": column(values)}).columns["it"]
    given = column(values)
    return {part: sorted(given[row] for row, label in found.part_of.items() if label == part) for part in found.parts}


def reason(values: list[Plain]) -> str:
    return cut_columns({"it": column(values)}).left_out["it"]


def test_whole_numbers_are_cut_into_thirds() -> None:
    parts = parts_of([*range(1, 31)])
    assert {part: len(values) for part, values in parts.items()} == {"up to 10": 10, "11 to 20": 10, "21 and more": 10}
    assert max(parts["up to 10"]) == 10
    assert min(parts["21 and more"]) == 21


def test_fractions_are_cut_at_what_they_are() -> None:
    assert list(parts_of([0.1, 0.2, 0.31, 0.4, 0.5, 0.6])) == ["up to 0.2", "above 0.2 to 0.4", "above 0.4"]
    close = [1.00001, 1.00002, 1.00003, 1.00004, 1.00005, 1.00006]
    assert list(parts_of(close)) == ["up to 1.00002", "above 1.00002 to 1.00004", "above 1.00004"]


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        ([5] * 80 + [6, 7, 8, 9], {"up to 5": 80, "6 and more": 4}),
        ([1, 2, 3] + [9] * 80, {"up to 3": 3, "4 and more": 80}),
        ([1] * 10 + [2] * 10 + [3] * 5 + [4] * 5, {"up to 1": 10, "2": 10, "3 and more": 10}),
    ],
)
def test_equal_numbers_stay_together(values: list[Plain], sizes: dict[str, int]) -> None:
    assert {part: len(found) for part, found in parts_of(values).items()} == sizes


def test_few_numbers_words_and_truths_are_parted_by_value() -> None:
    assert parts_of([10, 9, 10]) == {"9": [9], "10": [10, 10]}
    assert parts_of([0.5, 1.0, 0.5]) == {"0.5": [0.5, 0.5], "1": [1.0]}
    assert parts_of(["tax", "bond", "tax"]) == {"bond": ["bond"], "tax": ["tax", "tax"]}
    assert parts_of([True, False, True]) == {"false": [False], "true": [True, True]}
    assert list(parts_of([3, "tax", 3])) == ["3", "tax"]


def test_what_is_no_value_is_in_no_part() -> None:
    assert parts_of([None, "a", float("nan"), "b"]) == {"a": ["a"], "b": ["b"]}
    assert parts_of([None, 1, float("nan"), 2, float("inf")]) == {"1": [1], "2": [2]}


def test_columns_that_cannot_be_parted_are_named() -> None:
    assert reason(["a"] * 5) == reason([7, 7, None]) == "every row has the same value"
    assert reason([None, None]) == reason([]) == "no row has a value"
    assert reason([f"v{i}" for i in range(13)]) == "13 different values, more than 12"
    assert len(parts_of([f"v{i}" for i in range(12)])) == 12


def planted(n: int = 240) -> tuple[list[Score], list[Score], dict[str, dict[str, Plain]]]:
    """A candidate that is better on one topic only, whatever the length."""
    baseline, candidate = bounded(n, 5)
    topics = ["bond", "stock", "tax"] * (n // 3)
    candidate = np.where(np.array(topics) == "tax", np.clip(candidate + 0.15, 0, 1), candidate)
    words = np.random.default_rng(1).integers(5, 30, n).tolist()
    return rows(quality=baseline), rows(quality=candidate), {"topic": column(topics), "question words": column(words)}


def sliced(
    baseline: list[Score], candidate: list[Score], parts: dict, clusters=None, **settings
) -> tuple[SliceComparison, ...]:
    return compare_slices(
        baseline, {"lora": candidate}, QUALITY, parts, Settings(**{"resamples": 2_000} | settings), clusters=clusters
    )


def test_an_effect_in_one_slice_is_found_there_alone() -> None:
    baseline, candidate, parts = planted()
    verdicts = {
        found.part: found.row.verdict for found in sliced(baseline, candidate, parts) if found.column == "topic"
    }
    assert verdicts == {"bond": "inconclusive", "stock": "inconclusive", "tax": "better"}


def test_slices_come_in_order_and_hold_every_row_once() -> None:
    baseline, candidate, parts = planted()
    found = compare_slices(baseline, {"one": candidate, "two": candidate}, QUALITY, parts, Settings(resamples=100))
    topics = ["bond", "stock", "tax"]
    lengths = [slice_.part for slice_ in found[3:6]]
    assert [slice_.part for slice_ in found] == [*topics, *lengths, *topics, *lengths]
    assert [slice_.row.candidate for slice_ in found] == ["one"] * 6 + ["two"] * 6
    assert lengths[0].startswith("up to ")
    assert sum(slice_.row.n for slice_ in found[:3]) == sum(slice_.row.n for slice_ in found[3:6]) == 240


def test_a_slice_is_the_comparison_of_its_rows() -> None:
    baseline, candidate, parts = planted()
    tax = [found.row for found in sliced(baseline, candidate, parts) if found.part == "tax"]
    alone = compare(
        "base", baseline[2::3], {"lora": candidate[2::3]}, infos(QUALITY), Settings("quality", resamples=2_000)
    )
    assert [dataclasses.replace(row, p_adjusted=None) for row in tax] == [
        dataclasses.replace(row, p_adjusted=None) for row in alone.rows
    ]


def test_a_part_that_holds_every_row_is_the_comparison_with_its_margin_and_verdict() -> None:
    baseline, candidate, _ = planted()
    settings = Settings("quality", {"quality": 0.2}, resamples=2_000)
    # a column with one value is not cut: the other value is of a row that nobody answered
    (here,) = compare_slices(
        baseline[:-1], {"lora": candidate[:-1]}, QUALITY, {"all": column(["here"] * 239 + ["there"])}, settings
    )
    (whole,) = compare("base", baseline[:-1], {"lora": candidate[:-1]}, infos(QUALITY), settings).rows
    assert (here.row.margin, here.row.verdict) == (0.2, "equivalent")
    assert here.row == whole


def test_holm_over_all_slices_of_all_candidates_is_that_of_statsmodels() -> None:
    baseline, candidate, parts = planted()
    other = rows(quality=bounded(240, 9)[1])
    found = compare_slices(baseline, {"lora": candidate, "other": other}, QUALITY, parts, Settings(resamples=1_000))
    p_values = [slice_.row.p_value for slice_ in found]
    assert len(p_values) == 12
    theirs = multipletests(p_values, method="holm")[1]
    assert [slice_.row.p_adjusted for slice_ in found] == pytest.approx(list(theirs))


def test_the_order_of_rows_values_and_other_columns_changes_no_figure() -> None:
    baseline, candidate, parts = planted()
    first = sliced(baseline, candidate, parts)
    mixed = random.Random(0).sample(list(parts["topic"].items()), 240)
    second = sliced(baseline[::-1], candidate[100:] + candidate[:100], {**parts, "topic": dict(mixed)})
    assert first == second
    topics = sliced(baseline, candidate, {"topic": parts["topic"]})
    without = [dataclasses.replace(found.row, p_adjusted=None) for found in first[:3]]
    assert [dataclasses.replace(found.row, p_adjusted=None) for found in topics] == without


def test_missing_rows_are_counted_in_their_own_part() -> None:
    baseline, candidate, parts = planted()
    candidate[2] = Score(candidate[2].id, {"quality": None})
    unparted = Score("zzz", {"quality": 0.5})
    whole, less = sliced(baseline, planted()[1], parts), sliced([*baseline, unparted], candidate[:-1], parts)
    by_part = {found.part: found.row for found in less}
    assert by_part["tax"].n == 78
    assert by_part["tax"].dropped_reasons == {"only in the baseline": 1, "unscored in the candidate": 1}
    bond = {found.part: found.row for found in whole}["bond"]
    assert dataclasses.replace(by_part["bond"], p_adjusted=bond.p_adjusted) == bond


def test_a_part_with_few_pairs_is_named_but_not_compared() -> None:
    baseline, candidate = (rows(quality=side) for side in bounded(40, 3))
    found = sliced(baseline, candidate, {"rare": column([True] * 9 + [False] * 31)})
    assert [slice_.part for slice_ in found] == ["false", "true"]
    many, few = (slice_.row for slice_ in found)
    assert (few.n, few.difference, few.p_value, few.p_adjusted, few.verdict) == (9, None, None, None, None)
    assert few.warnings == ("Fewer than 10 pairs are too few to compare.",)
    assert many.p_adjusted == many.p_value


def test_columns_without_parts_give_no_slices() -> None:
    baseline, candidate = (rows(quality=side) for side in bounded(40, 3))
    assert sliced(baseline, candidate, {}) == ()
    assert sliced(baseline, candidate, {"same": column(["a"] * 40), "elsewhere": {"x": 1, "y": 2}}) == ()


def test_repeats_take_the_part_of_their_question() -> None:
    baseline, candidate, parts = planted(60)
    repeated = [
        [Score(f"{row.id}#{k}", row.values) for row in side for k in range(3)] for side in (baseline, candidate)
    ]
    found = sliced(*repeated, parts, clusters=lambda row: row.partition("#")[0])
    expected = sliced(baseline, candidate, parts)
    assert [slice_.row.answers for slice_ in found] == [3 * slice_.row.n for slice_ in expected]
    assert [slice_.row.p_value for slice_ in found] == [slice_.row.p_value for slice_ in expected]


def test_corpus_metrics_are_aggregated_in_each_part() -> None:
    left, right = likelihoods(60, 1, factor=0.9)
    found = compare_slices(
        corpus_rows("perplexity", left),
        {"lora": corpus_rows("perplexity", right)},
        PERPLEXITY,
        {"half": column(["a", "b"] * 30)},
        Settings(resamples=500),
        aggregate=perplexity,
    )
    assert found[0].row.baseline_value == pytest.approx(perplexity(left[::2].sum(axis=0)))
    assert found[1].row.candidate_value == pytest.approx(perplexity(right[1::2].sum(axis=0)))


def test_what_cannot_be_sliced_is_refused() -> None:
    with pytest.raises(UsageError, match="a metric with a direction, got 'words'"):
        compare_slices(rows(words=[1.0]), {"lora": rows(words=[1.0])}, WORDS, {}, Settings())
    with pytest.raises(ComparisonError, match="no id is on both sides: base has 1 rows"):
        sliced(rows(quality=[1.0]), [Score("other", {"quality": 1.0})], {})
    with pytest.raises(UsageError, match="`alpha` must be between 0 and 1, got 2"):
        sliced(rows(quality=[1.0]), rows(quality=[1.0]), {}, alpha=2)
