"""A judge's preferences as a paired metric, and how far they agree with others."""

from __future__ import annotations

import numpy as np
import pytest

from loralift.comparison import Settings, agreement_with, cohens_kappa, compare_preferences, lower_bound
from loralift.records import MetricInfo, Score

INFO = MetricInfo("judge_preference", "Judge's preference", low=-1.0, high=1.0, margin=0.1)


def preferences(*values: int | None) -> list[Score]:
    return [
        Score(f"q{n:03}", {INFO.name: value}, unscored={} if value is not None else {INFO.name: "junk"})
        for n, value in enumerate(values)
    ]


def compared(*judged: list[Score], **clusters: object) -> list:
    settings = Settings(INFO.name, resamples=1_000)
    return compare_preferences("base", [(f"a{n}", one) for n, one in enumerate(judged)], INFO, settings, **clusters)


def test_kappa_is_that_of_statsmodels() -> None:
    from statsmodels.stats.inter_rater import cohens_kappa as reference

    random = np.random.default_rng(0)
    for _ in range(20):
        first = random.integers(-1, 2, 50)
        second = np.where(random.random(50) < 0.6, first, random.integers(-1, 2, 50))
        table = np.array([[np.sum((first == one) & (second == two)) for two in (-1, 0, 1)] for one in (-1, 0, 1)])
        assert cohens_kappa(first.tolist(), second.tolist()) == pytest.approx(reference(table).kappa)
    assert cohens_kappa([0, 0], [0, 0]) is None
    assert cohens_kappa([], []) is None
    assert cohens_kappa([1, 0], [0, 1]) == -1.0


def test_the_bound_is_wilsons() -> None:
    from statsmodels.stats.proportion import proportion_confint

    for successes in range(33):
        low, _ = proportion_confint(successes, 32, method="wilson")
        assert lower_bound(successes, 32) == pytest.approx(max(low, 0.0), abs=1e-12)
    assert lower_bound(29, 32) > 0.75 > lower_bound(28, 32)
    assert lower_bound(12, 12) > 0.75 > lower_bound(11, 11)
    assert lower_bound(0, 0) == 0.0


def test_a_preference_is_paired_with_none_at_all() -> None:
    (row,) = compared(preferences(*[1] * 30, *[0] * 10, *[-1] * 5, None))
    assert (row.baseline_value, row.n, row.wins, row.ties, row.losses, row.dropped) == (0.0, 45, 30, 10, 5, 1)
    assert row.difference == row.candidate_value == pytest.approx(25 / 45)
    assert row.verdict == "better"
    assert row.margin == 0.1
    assert row.unscored == {"junk": 1}
    (mirrored,) = compared(preferences(*[-1] * 30, *[0] * 10, *[1] * 5, None))
    assert mirrored.verdict == "worse"
    assert mirrored.p_value == row.p_value


def test_all_ties_are_equivalent_and_few_pairs_undecided() -> None:
    assert [row.verdict for row in compared(preferences(*[0] * 40))] == ["equivalent"]
    assert [row.verdict for row in compared(preferences(1, 1, 1))] == ["inconclusive"]


def test_all_judges_and_adapters_are_one_family() -> None:
    first = preferences(*[1] * 20, *[-1] * 8)
    (alone,) = compared(first)
    together = compared(first, preferences(*[0] * 25, 1, -1, 1), preferences(*[1, -1] * 14))
    assert together[0].p_value == alone.p_value
    assert together[0].p_adjusted == pytest.approx(3 * alone.p_value)


def test_answers_to_one_question_are_one_observation() -> None:
    rows = [Score(f"q{n // 2}#{n % 2}", {INFO.name: 1 if n % 4 < 3 else -1}) for n in range(40)]
    (row,) = compared(rows, clusters=lambda name: name.partition("#")[0])
    assert (row.n, row.answers) == (20, 40)
    assert row.difference == pytest.approx(0.5)


@pytest.mark.parametrize(("higher", "agreed"), [(True, 2), (False, 1)])
def test_a_metric_agrees_where_both_prefer_the_same(higher: bool, agreed: int) -> None:
    info = MetricInfo("f1", "F1", higher_is_better=higher)
    before = {"a": 0.1, "b": 0.5, "c": 0.5, "d": 0.2, "e": None, "f": 0.3}
    after = {"a": 0.2, "b": 0.4, "c": 0.6, "d": 0.2, "e": 0.5, "f": 0.9}
    found = agreement_with({"a": 1, "b": -1, "c": -1, "d": 1, "e": 1, "f": 0, "g": 1}, info, before, after)
    assert (found.n, found.agreed) == (3, agreed)
