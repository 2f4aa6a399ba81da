"""Perplexity of the reference: rows, corpus, and what cannot be scored."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loralift.metrics import METRICS, MetricSettings, score_examples
from loralift.metrics.perplexity import corpus_perplexity


def test_a_uniform_model_has_its_vocabulary_as_perplexity(make_example):
    examples = [make_example("", likelihood=(-n * math.log(50), n)) for n in (1, 7, 300)]
    scores = score_examples("ppl", examples)
    assert [s.values["perplexity"] for s in scores] == pytest.approx([50, 50, 50])


def test_the_corpus_value_weighs_tokens_not_rows(make_example):
    examples = [make_example("", likelihood=(-2.0, 1)), make_example("", likelihood=(-3.0, 9))]
    statistics = np.array([s.statistics["perplexity"] for s in score_examples("ppl", examples)])
    assert float(corpus_perplexity(statistics.sum(axis=0))) == pytest.approx(math.exp(5 / 10))
    resampled = corpus_perplexity(statistics[[[0, 0], [1, 1], [0, 1]]].sum(axis=1))
    assert resampled == pytest.approx([math.exp(2), math.exp(1 / 3), math.exp(0.5)])


@pytest.mark.parametrize(
    "likelihood",
    [None, (None, 12), (-1.0, 0), (math.nan, 3), (-math.inf, 3), (-1e6, 1)],
    ids=["none", "beyond the window", "no tokens", "nan", "impossible", "overflow"],
)
def test_what_cannot_be_scored_is_none_without_statistics(make_example, likelihood):
    [score] = score_examples("ppl", [make_example("", likelihood=likelihood)])
    assert score.values == {"perplexity": None}
    assert score.statistics == {}


def test_no_tokens_at_all_is_nan_not_a_crash():
    assert math.isnan(corpus_perplexity(np.zeros(2)))


def test_lower_is_better_and_there_is_no_default_margin():
    metric = METRICS["perplexity"]
    assert metric.higher_is_better is False
    assert metric.margin is None


def test_the_signature_names_the_model_where_it_is_known():
    signature = METRICS["perplexity"].signature
    assert signature(MetricSettings(perplexity_of="org/model@abc,tokenizer:12ef")).startswith(
        "model:org/model@abc,tokenizer:12ef|text:reference|"
    )
    assert signature(MetricSettings()).startswith("text:reference|")
