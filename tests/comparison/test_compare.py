from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from loralift.comparison import Settings, compare, summarise
from loralift.comparison.verdict import decide
from loralift.errors import ComparisonError, UsageError
from loralift.records import Comparison, Interval, MetricComparison, MetricInfo, Score
from tests.comparison.shapes import (
    LOSS,
    PERPLEXITY,
    QUALITY,
    RIGHT,
    WORDS,
    bounded,
    corpus_rows,
    infos,
    likelihoods,
    many,
    only,
    perplexity,
    rows,
)


def quality(
    baseline: Sequence[float | None], candidate: Sequence[float | None], margin: float | None = None, **settings
) -> MetricComparison:
    margins = {} if margin is None else {"quality": margin}
    found = compare(
        "base",
        rows(quality=baseline),
        {"lora": rows(quality=candidate)},
        infos(QUALITY),
        Settings("quality", margins, **settings),
    )
    (row,) = found.rows
    return row


def compared(baseline: list[Score], candidates: dict[str, list[Score]], **settings) -> Comparison:
    described = infos(QUALITY, LOSS, RIGHT, WORDS)
    return compare("base", baseline, candidates, described, Settings("quality", **{"resamples": 1_000} | settings))


def test_a_fall_that_the_sdk_lets_pass_is_worse() -> None:
    """All positive, 0.70 to 0.49: NeMo Evaluator 0.3.0 says PASS."""
    baseline, _ = bounded(100, 0)
    row = quality(0.4 + 0.6 * baseline, 0.7 * (0.4 + 0.6 * baseline))
    assert row.difference == pytest.approx(-0.23, abs=0.02)
    assert row.verdict == "worse"


@pytest.mark.parametrize(
    ("shift", "margin", "verdict"),
    [(0.1, 0.02, "better"), (-0.1, 0.02, "worse"), (0.0, 0.05, "equivalent"), (0.0, 0.001, "inconclusive")],
)
def test_verdicts(shift: float, margin: float, verdict: str) -> None:
    baseline, candidate = bounded(200, 11, shift)
    assert quality(baseline, candidate, margin).verdict == verdict


def test_less_is_better_where_the_metric_says_so() -> None:
    baseline, candidates = many()
    found = compared(baseline, candidates)
    verdicts = {(row.candidate, row.metric): row.verdict for row in found.rows}
    assert verdicts["up", "quality"] == verdicts["up", "loss"] == "better"
    assert verdicts["down", "quality"] == verdicts["down", "loss"] == "worse"
    assert verdicts["same", "quality"] == verdicts["same", "loss"] == "inconclusive"
    assert found.verdicts == {"up": "better", "down": "worse", "same": "inconclusive"}


def test_descriptive_metrics_are_compared_but_not_judged() -> None:
    baseline, candidates = many()
    words = [row for row in compared(baseline, candidates).rows if row.metric == "words"]
    assert len(words) == 3
    for row in words:
        assert row.verdict is None
        assert row.p_adjusted is None
        assert row.p_value is not None
        assert row.interval is not None


def test_a_significant_difference_inside_the_margin_is_equivalent_and_says_so() -> None:
    baseline, candidate = bounded(400, 1, 0.005, noise=0.01)
    row = quality(baseline, candidate, margin=0.02)
    assert row.p_adjusted is not None
    assert row.p_adjusted < 0.05
    assert row.verdict == "equivalent"
    assert "significant" in row.warnings[-1]
    assert "inside the margin" in row.warnings[-1]


def test_row_order_and_unpaired_rows_change_no_bit() -> None:
    baseline, candidates = many()
    extra = [Score("zzz", {"quality": 0.3}), Score("aaa", {"quality": 0.9})]
    first = compared(baseline, {"up": candidates["up"]})
    second = compared([*extra, *reversed(baseline)], {"up": candidates["up"][60:] + candidates["up"][:60]})
    left_out = {"dropped": 0, "dropped_reasons": {}, "warnings": ()}
    for one, other in zip(first.rows, second.rows, strict=True):
        assert other.dropped_reasons == {"only in the baseline": 2}
        assert dataclasses.replace(one, **left_out) == dataclasses.replace(other, **left_out)


def test_other_metrics_and_candidates_change_only_the_adjustment() -> None:
    baseline, candidates = many()
    whole = compared(baseline, candidates)
    alone = compare(
        "base", baseline, {"same": candidates["same"]}, infos(QUALITY), Settings("quality", resamples=1_000)
    )
    (one,) = alone.rows
    (same,) = [row for row in whole.rows if (row.candidate, row.metric) == ("same", "quality")]
    assert dataclasses.replace(same, p_adjusted=one.p_adjusted) == one


def test_the_seed_decides() -> None:
    baseline, candidate = bounded(100, 3, 0.015)
    first, again, other = (quality(baseline, candidate, seed=seed, method="bca") for seed in (0, 0, 1))
    assert first == again
    assert first.interval != other.interval
    assert first.p_value != other.p_value


def test_missing_rows_are_counted_and_named() -> None:
    row = quality([0.1, None, 0.3, 0.4, 0.2], [0.2, 0.3, None, None, 0.1])
    assert (row.n, row.dropped) == (2, 3)
    assert row.dropped_reasons == {"unscored in the baseline": 1, "unscored in the candidate": 2}
    assert "Dropped as unscored in the candidate: q00002, q00003." in row.warnings


def numbers(row: object) -> list[float]:
    """Every float anywhere in a record."""
    values = [getattr(row, field.name) for field in dataclasses.fields(row)]  # type: ignore[arg-type]
    nested = [number for value in values if dataclasses.is_dataclass(value) for number in numbers(value)]
    return [value for value in values if isinstance(value, float)] + nested


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [
        ([0.5], [0.6]),
        ([0.5, 0.5], [0.6, 0.6]),
        ([0.5, 0.2], [0.6, 0.1]),
        ([0.5] * 30, [0.5] * 30),
        (list(np.linspace(0, 1, 30)), list(np.linspace(0, 1, 30) + 0.1)),
        ([0, 1] * 10, [0, 1] * 10),
        ([0] * 20, [1] * 20),
        ([None] * 3, [0.1] * 3),
        ([math.inf, 0.2, 0.4], [0.1, math.nan, 0.5]),
        ([1e300, -1e300, 1e300], [-1e300, 1e300, 1e-300]),
        ([0.0] * 2000, [0.0] * 1999 + [1e-9]),
    ],
)
@pytest.mark.parametrize("method", ["auto", "bca"])
def test_degenerate_data_give_finite_figures(baseline: list, candidate: list, method: str) -> None:
    row = quality(baseline, candidate, margin=0.05, method=method, resamples=200)
    assert all(math.isfinite(value) for value in numbers(row))
    assert row.verdict is not None


def test_a_constant_gain_is_better_once_there_are_enough_rows() -> None:
    few, enough = np.linspace(0.2, 0.6, 5), np.linspace(0.2, 0.6, 12)
    assert quality(list(few), list(few + 0.1)).verdict == "inconclusive"
    assert quality(list(enough), list(enough + 0.1)).verdict == "better"


def test_a_variant_against_itself_is_equivalent() -> None:
    baseline, _ = bounded(50, 0)
    row = quality(baseline, baseline, margin=0.01)
    assert (row.verdict, row.p_value, row.ties) == ("equivalent", 1.0, 50)


@dataclass(frozen=True)
class Translations:
    """Two systems' texts, scored by sacrebleu: what it makes of them, and what we are given."""

    systems: list[tuple[str, list[str]]]
    metric: BLEU
    scores: dict[str, list[Score]]

    def corpus(self, sums: np.ndarray) -> np.ndarray:
        flat = sums.reshape(-1, sums.shape[-1])
        values = [self.metric._compute_score_from_stats([round(x) for x in row]).score for row in flat]
        return np.reshape(values, sums.shape[:-1])


@pytest.fixture(scope="module")
def translations() -> Translations:
    rng = np.random.default_rng(7)
    vocabulary = np.array([f"w{i}" for i in range(40)])
    references = [list(rng.choice(vocabulary, rng.integers(8, 30))) for _ in range(60)]

    def noisy(share: float) -> list[str]:
        return [
            " ".join(str(rng.choice(vocabulary)) if rng.random() < share else str(word) for word in words)
            for words in references
        ]

    systems = [("base", noisy(0.40)), ("lora", noisy(0.38))]
    metric = BLEU(references=[[" ".join(map(str, words)) for words in references]])
    statistics = {name: np.array(metric._extract_corpus_statistics(texts, None)) for name, texts in systems}
    return Translations(systems, metric, {name: corpus_rows("bleu", rows) for name, rows in statistics.items()})


BLEU_INFO = MetricInfo("bleu", "BLEU", high=100, corpus=True)


def test_bleu_agrees_with_sacrebleus_approximate_randomisation(translations: Translations) -> None:
    """The p value within the error of both Monte Carlo runs, the values exactly."""
    resamples = 2_000
    found = compare(
        "base",
        translations.scores["base"],
        {"lora": translations.scores["lora"]},
        infos(BLEU_INFO),
        Settings("bleu", resamples=resamples),
        aggregates={"bleu": translations.corpus},
    )
    (row,) = found.rows
    tested = PairedTest(
        translations.systems, {"BLEU": translations.metric}, None, test_type="ar", n_samples=resamples
    )()
    baseline, candidate = tested[1]["BLEU"]
    assert row.baseline_value == pytest.approx(baseline.score, abs=1e-9)
    assert row.candidate_value == pytest.approx(candidate.score, abs=1e-9)
    assert 0.001 < candidate.p_value < 0.7
    error = 4 * math.sqrt(2 * candidate.p_value * (1 - candidate.p_value) / resamples)
    assert row.p_value == pytest.approx(candidate.p_value, abs=error)


def test_bleus_interval_agrees_with_sacrebleus_paired_bootstrap(translations: Translations) -> None:
    """Half widths of percentile intervals: each end's Monte Carlo error is about 3 % of it at 4,000 resamples."""
    resamples = 4_000
    tested = PairedTest(
        translations.systems, {"BLEU": translations.metric}, None, test_type="bs", n_samples=resamples
    )()
    for (name, _), theirs in zip(translations.systems, tested[1]["BLEU"], strict=True):
        ours = summarise(
            translations.scores[name], BLEU_INFO, translations.corpus, resamples=resamples, method="percentile"
        )
        assert ours.interval is not None
        assert ours.value == pytest.approx(theirs.score, abs=1e-9)
        assert (ours.interval.high - ours.interval.low) / 2 == pytest.approx(theirs.ci, rel=0.1)


def test_perplexity_falls_and_is_better() -> None:
    left, right = likelihoods(300, 1, factor=0.9)
    found = compare(
        "base",
        corpus_rows("perplexity", left),
        {"lora": corpus_rows("perplexity", right)},
        infos(PERPLEXITY),
        Settings("perplexity", resamples=1_000),
        aggregates={"perplexity": perplexity},
    )
    (row,) = found.rows
    assert row.baseline_value == pytest.approx(perplexity(left.sum(axis=0)))
    assert row.difference is not None
    assert row.difference < 0
    assert row.verdict == "better"
    assert row.wins > row.losses


def test_a_corpus_metric_whose_statistics_differ_by_rounding_ties() -> None:
    """Before, such pairs counted as differing, although they were ties: two rules of one thing."""
    left, _ = likelihoods(30, 1)
    right = left * [1 + 1e-15, 1.0]
    assert (right != left).any()
    sides = corpus_rows("perplexity", left), {"lora": corpus_rows("perplexity", right)}
    settings, aggregates = Settings("perplexity", resamples=500), {"perplexity": perplexity}
    (row,) = compare("base", *sides, infos(PERPLEXITY), settings, aggregates=aggregates).rows
    assert (row.difference, row.wins, row.ties, row.losses) == (0.0, 0, 30, 0)
    assert row.warnings == ("Of 30 pairs no pair differs, so there is no spread to judge a difference by.",)


def test_a_corpus_metric_without_statistics_falls_back_to_the_mean_and_says_so() -> None:
    baseline = [Score(str(i), {"perplexity": 5.0 + i % 7}) for i in range(30)]
    candidate = [Score(str(i), {"perplexity": 5.0 + i % 5}) for i in range(30)]
    aggregates = {"perplexity": perplexity}
    found = compare(
        "base", baseline, {"lora": candidate}, infos(PERPLEXITY), Settings("perplexity"), aggregates=aggregates
    )
    row = only(found.rows, "perplexity")
    assert row.baseline_value == pytest.approx(np.mean([5.0 + i % 7 for i in range(30)]))
    assert any("mean of the rows" in sentence for sentence in row.warnings)


def test_repeats_count_questions() -> None:
    rng = np.random.default_rng(0)
    question = rng.normal(0, 1, 20)
    ids = [f"q{i}#{k}" for i in range(20) for k in range(10)]
    baseline = [Score(row, {"quality": float(rng.normal())}) for row in ids]
    candidate = [
        Score(row.id, {"quality": row.values["quality"] + float(question[i // 10])}) for i, row in enumerate(baseline)
    ]
    settings = Settings("quality", resamples=500)
    naive = compare("base", baseline, {"lora": candidate}, infos(QUALITY), settings).rows[0]
    honest = compare(
        "base", baseline, {"lora": candidate}, infos(QUALITY), settings, clusters=lambda row: row.partition("#")[0]
    ).rows[0]
    assert (naive.n, honest.n, honest.answers) == (200, 20, 200)
    assert naive.difference == pytest.approx(honest.difference)
    assert naive.interval is not None
    assert honest.interval is not None
    assert honest.interval.high - honest.interval.low > 2.5 * (naive.interval.high - naive.interval.low)


def test_what_cannot_be_compared_is_refused() -> None:
    baseline, candidates = many(n=10)
    with pytest.raises(UsageError, match=r"`primary` must be one of the metrics that are judged .*, got 'words'"):
        compare("base", baseline, candidates, infos(QUALITY, WORDS), Settings("words"))
    with pytest.raises(UsageError, match=r"`margins\[quality\]` must be a positive number, got 0"):
        compared(baseline, candidates, margins={"quality": 0})
    with pytest.raises(UsageError, match="`margins` must be about the metrics compared"):
        compared(baseline, candidates, margins={"qualty": 0.1})
    with pytest.raises(UsageError, match="`alpha` must be between 0 and 1, got 5"):
        compared(baseline, candidates, alpha=5)
    with pytest.raises(UsageError, match=r"`method` must be one of auto, t, bca, .*, got 'wald'"):
        compared(baseline, candidates, method="wald")
    with pytest.raises(ComparisonError, match="no candidate"):
        compared(baseline, {})
    with pytest.raises(ComparisonError, match=r"no id is on both sides: base has 10 rows .*, lora has 1 rows \(x\)"):
        compared(baseline, {"lora": [Score("x", {"quality": 1.0})]})


def test_summary() -> None:
    values = np.random.default_rng(0).beta(2, 5, 80)
    found = summarise([*rows(quality=values), Score("none", {"quality": None})], QUALITY)
    assert (found.n, found.unscored) == (80, 1)
    assert (found.mean, found.median) == pytest.approx((values.mean(), np.median(values)))
    assert found.std == pytest.approx(values.std(ddof=1))
    assert found.interval is not None
    half, mean = 1.99045 * values.std(ddof=1) / math.sqrt(80), values.mean()
    assert (found.interval.low, found.interval.high) == pytest.approx((mean - half, mean + half), abs=1e-6)


def test_summary_of_a_corpus_metric_of_right_answers_and_of_nothing() -> None:
    left, _ = likelihoods(50, 0)
    corpus = summarise(corpus_rows("perplexity", left), PERPLEXITY, perplexity, resamples=500)
    assert corpus.value == pytest.approx(perplexity(left.sum(axis=0)))
    assert corpus.interval is not None
    assert corpus.interval.method == "expanded percentile"
    assert corpus.interval.low < corpus.value < corpus.interval.high
    right = summarise(rows(right=[1, 0, 1, 1]), RIGHT)
    assert right.interval is not None
    assert right.interval.method == "wilson"
    nothing = summarise(rows(quality=[None, None]), QUALITY)
    assert (nothing.n, nothing.unscored, nothing.value, nothing.interval) == (0, 2, None, None)


def test_a_p_at_its_floor_that_does_not_suffice_asks_for_more_samples() -> None:
    baseline, candidate = bounded(60, 1, 0.3)
    names = [f"m{i}" for i in range(40)]
    described = infos(*(MetricInfo(name, name) for name in names))
    found = compare(
        "base",
        rows(**{name: list(baseline) for name in names}),
        {"lora": rows(**{name: list(candidate) for name in names})},
        described,
        Settings("m0", resamples=100),
    )
    assert {row.verdict for row in found.rows if row.metric != "m0"} == {"inconclusive"}
    assert "more resamples may decide" in found.rows[1].warnings[-1]


def test_a_test_and_an_interval_that_disagree_are_undecided() -> None:
    interval = Interval(-0.01, 0.2, 0.95, "t")
    row = MetricComparison("quality", "base", "lora", 30, 0, 0.0, 0.1, 0.1, interval, p_value=0.01, p_adjusted=0.01)
    verdict, sentences = decide(row, 0.05, True, equivalent=False)
    assert verdict == "inconclusive"
    assert "the 95 % interval holds 0" in sentences[0]
