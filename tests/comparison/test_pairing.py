from __future__ import annotations

import numpy as np
import pytest

from loralift.comparison import Settings, compare, pair
from loralift.comparison.pairing import sample
from loralift.errors import ComparisonError
from loralift.records import Score
from tests.comparison.shapes import PERPLEXITY, QUALITY, corpus_rows, infos, likelihoods, perplexity, rows


def test_pairs_are_sorted_by_id_and_name_what_is_missing() -> None:
    baseline = [Score("b", {"quality": 1.0}), Score("a", {"quality": 2.0}), Score("x", {"quality": 3.0})]
    candidate = [Score("z", {"quality": 4.0}), Score("a", {"quality": 5.0}), Score("b", {"quality": 6.0})]
    pairs = pair(baseline, candidate)
    assert list(pairs.ids) == ["a", "b"]
    assert [row.values["quality"] for row in pairs.candidate] == [5.0, 6.0]
    assert (pairs.only_baseline, pairs.only_candidate) == (("x",), ("z",))


def test_an_id_twice_is_refused_with_its_side_and_name() -> None:
    with pytest.raises(ComparisonError, match="lora has more than one row for the same id: q00000"):
        pair(rows(quality=[1.0]), rows(quality=[1.0]) * 2, names=("base", "lora"))


def test_no_shared_id_says_what_each_side_had() -> None:
    with pytest.raises(ComparisonError, match=r"base has 1 rows \(a\), lora has no rows"):
        pair([Score("a", {"quality": 1.0})], [], names=("base", "lora"))


def test_rows_that_cannot_be_compared_are_named_by_reason() -> None:
    nan, inf = float("nan"), float("inf")
    baseline = rows(quality=[1.0, None, 1.0, None, inf, 1.0, nan, 1.0])
    candidate = rows(quality=[1.0, 1.0, None, None, 1.0, -inf, 1.0, 1.0])
    found = sample(pair(baseline, candidate), QUALITY)
    assert found.ids == ("q00000", "q00007")
    assert dict(found.dropped) == {
        "unscored in the baseline": ("q00001", "q00006"),
        "unscored in the candidate": ("q00002",),
        "unscored in both": ("q00003",),
        "infinite in the baseline": ("q00004",),
        "infinite in the candidate": ("q00005",),
    }


def test_repeats_are_averaged_within_their_question() -> None:
    baseline = [Score("a#0", {"quality": 0.0}), Score("a#1", {"quality": 1.0}), Score("b#0", {"quality": 0.5})]
    candidate = [Score("a#0", {"quality": 1.0}), Score("a#1", {"quality": 1.0}), Score("b#0", {"quality": None})]
    found = sample(pair(baseline, candidate), QUALITY, clusters=lambda row: row.partition("#")[0])
    assert (found.ids, found.answers) == (("a",), 2)
    assert (found.baseline.tolist(), found.candidate.tolist()) == ([0.5], [1.0])


def test_repeats_of_a_corpus_metric_are_summed() -> None:
    left, right = likelihoods(6, 0)
    found = sample(
        pair(corpus_rows("perplexity", left), corpus_rows("perplexity", right)),
        PERPLEXITY,
        perplexity,
        clusters=lambda row: str(int(row[1:]) % 2),
    )
    assert found.ids == ("0", "1")
    assert found.baseline_statistics is not None
    np.testing.assert_allclose(found.baseline_statistics, [left[::2].sum(axis=0), left[1::2].sum(axis=0)])


def test_rows_without_a_value_take_it_from_their_statistics() -> None:
    left, right = likelihoods(4, 0)
    found = sample(pair(corpus_rows("perplexity", left), corpus_rows("perplexity", right)), PERPLEXITY, perplexity)
    np.testing.assert_allclose(found.candidate, perplexity(right))


@pytest.mark.parametrize("turned", [False, True])
def test_statistics_on_one_side_only_leave_the_mean_of_the_rows_and_a_warning(turned: bool) -> None:
    statistics, _ = likelihoods(12, 0)
    with_statistics = corpus_rows("perplexity", statistics)
    values_only = rows(perplexity=[30.0 + i for i in range(12)])
    sides = (values_only, with_statistics) if turned else (with_statistics, values_only)
    expected = (35.5, perplexity(statistics).mean())
    found = sample(pair(*sides), PERPLEXITY, perplexity)
    assert (found.aggregate, found.baseline_statistics, found.candidate_statistics) == (None, None, None)
    (row,) = compare(
        "base", sides[0], {"lora": sides[1]}, infos(PERPLEXITY), Settings("perplexity", resamples=200),
        aggregates={"perplexity": perplexity},
    ).rows  # fmt: skip
    assert (row.baseline_value, row.candidate_value) == pytest.approx(expected if turned else expected[::-1])
    assert (row.n, row.dropped) == (12, 0)
    assert any("Not both sides have statistics" in warning for warning in row.warnings)


def test_a_side_that_was_never_scored_leaves_no_pair_of_a_corpus_metric() -> None:
    statistics, _ = likelihoods(3, 0)
    found = sample(pair(corpus_rows("perplexity", statistics), rows(perplexity=[None] * 3)), PERPLEXITY, perplexity)
    assert (found.ids, list(found.dropped)) == ((), ["unscored in the candidate"])


def test_of_both_sides_with_statistics_a_row_without_them_is_unscored() -> None:
    left, right = (corpus_rows("perplexity", side) for side in likelihoods(3, 0))
    found = sample(pair(left, [Score("q00000", {"perplexity": 30.0}), *right[1:]]), PERPLEXITY, perplexity)
    assert found.ids == ("q00001", "q00002")
    assert dict(found.dropped) == {"unscored in the candidate": ("q00000",)}


def test_why_a_metric_cannot_score_rows_is_counted_and_named() -> None:
    blind, other = "it sees no token", "it sees no answer"
    baseline = [Score(f"q{i}", {"quality": None if i < 3 else 0.5 + i / 50}) for i in range(12)]
    candidate = [Score(f"q{i}", {"quality": None if i < 4 else 0.4 + i / 50}) for i in range(12)]
    for i in (0, 1):
        baseline[i] = Score(f"q{i}", {"quality": None}, unscored={"quality": blind})
        candidate[i] = Score(f"q{i}", {"quality": None}, unscored={"quality": blind if i else other})
    candidate[3] = Score("q3", {"quality": None}, unscored={"quality": other, "another": "of no matter"})
    (row,) = compare("base", baseline, {"lora": candidate}, infos(QUALITY), Settings("quality", resamples=200)).rows
    assert row.unscored == {f"{blind}; {other}": 1, blind: 1, other: 1}
    assert row.dropped_reasons == {
        f"unscored in both ({blind}; {other})": 1,
        f"unscored in both ({blind})": 1,
        "unscored in both": 1,
        f"unscored in the candidate ({other})": 1,
    }
    assert (row.n, row.dropped) == (8, 4)
    assert f"1 of 12 rows are dropped as unscored in the candidate ({other}): q3." in row.warnings
    assert "Dropped as unscored in both: q2." in row.warnings
