"""The registry: names, settings, what every metric declares, and what becomes of odd values."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys

import numpy as np
import pytest

import loralift.metrics
import loralift.metrics.base
from loralift.errors import UsageError
from loralift.metrics import (
    DEFAULT_METRICS,
    FAMILIES,
    METRICS,
    Metric,
    MetricSettings,
    RowValue,
    expand_names,
    per_row,
    score_examples,
    sign,
)
from loralift.records import MetricInfo

HEAVY = {"torch", "transformers", "sentence_transformers", "bert_score", "sacrebleu", "nltk", "scipy", "pandas"}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_declares_itself(name):
    metric = METRICS[name]
    info = metric.info(MetricSettings())
    assert isinstance(info, MetricInfo)
    assert info.name == metric.name == name
    assert info.low < info.high
    assert info.corpus == (metric.aggregate is not None)
    assert "|version:" in info.signature
    assert all(":" in pair for pair in info.signature.split("|"))
    assert metric.score([], MetricSettings()) == []


def test_only_the_designs_metrics_are_judged():
    judged = [name for name, metric in METRICS.items() if metric.higher_is_better is not None]
    assert judged == [
        *("semantic_similarity", "bert_score", "rouge1", "rouge2", "rougeL", "bleu", "chrf"),
        *("exact_match", "f1", "squad_exact_match", "squad_f1", "perplexity"),
    ]
    assert [name for name in METRICS if METRICS[name].aggregate] == ["bleu", "perplexity"]


def test_default_metrics_need_no_extra():
    assert set(METRICS) - set(DEFAULT_METRICS) == {"bert_score", "squad_exact_match", "squad_f1"}


@pytest.mark.parametrize(
    ("names", "expanded"),
    [
        (["rouge"], ("rouge1", "rouge2", "rougeL")),
        ("rougel, ROUGE-L ,rouge_l", ("rougeL",)),
        (["BLEU", "chrF", "bleu"], ("bleu", "chrf")),
        (["em", "bertscore", "PPL"], ("exact_match", "bert_score", "perplexity")),
        (["semantic similarity"], ("semantic_similarity",)),
        (["squad"], ("squad_exact_match", "squad_f1")),
        (["all"], tuple(METRICS)),
        (["default"], DEFAULT_METRICS),
    ],
)
def test_names_as_users_write_them(names, expanded):
    assert expand_names(names) == expanded


def test_no_two_names_are_spelled_alike():
    spelled = [loralift.metrics.bare(name) for name in [*METRICS, *FAMILIES]]
    assert len(set(spelled)) == len(spelled)


def test_an_unknown_name_is_refused_with_the_nearest_and_all(make_example):
    with pytest.raises(UsageError, match=r"did you mean 'rougeL'\?") as error:
        score_examples(["bleu", "rogueL"], [make_example("yes")])
    assert all(name in str(error.value) for name in METRICS)
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match=r"got 'xyzzy'$"):
        expand_names(["xyzzy"])


@pytest.mark.parametrize("names", [[], ()])
def test_no_name_is_refused(names):
    with pytest.raises(UsageError, match="at least one"):
        expand_names(names)


def test_settings_are_checked():
    with pytest.raises(UsageError, match="`batch_size` must be a positive integer, got 0"):
        MetricSettings(batch_size=0)
    with pytest.raises(UsageError, match=r"`perplexity_of` must be a text without '\|', got 'a\|b'"):
        MetricSettings(perplexity_of="a|b")


def test_a_new_metric_takes_one_line(make_example, monkeypatch):
    shout = Metric("shout", "Shouts", per_row(lambda e: float(e.answer.text.isupper())), lambda _: sign("loralift"))
    monkeypatch.setitem(METRICS, "shout", shout)
    scores = score_examples(["shout"], [make_example("YES", row="a"), make_example("no", row="b")])
    assert [(s.id, s.values) for s in scores] == [("a", {"shout": 1.0}), ("b", {"shout": 0.0})]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, np.float32("nan"), None])
def test_what_is_not_finite_becomes_none(make_example, monkeypatch, odd):
    metric = Metric("odd", "Odd", lambda examples, _: [RowValue(odd, (1.0,))] * len(examples), lambda _: "")
    monkeypatch.setitem(METRICS, "odd", metric)
    [score] = score_examples(["odd"], [make_example("yes")])
    assert score.values == {"odd": None}
    assert score.statistics == {}


def test_values_are_pythons_own_floats(make_example):
    [score] = score_examples(["rouge", "bleu", "chrf", "squad"], [make_example("Pay it off")])
    assert {type(value) for value in score.values.values()} == {float}
    assert {type(x) for x in score.statistics["bleu"]} == {float}
    assert set(score.statistics) == {"bleu"}


def test_importing_metrics_loads_nothing_heavy():
    code = "import sys, loralift.metrics; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "loralift" in loaded.split()
    assert HEAVY.isdisjoint(loaded.split())


@pytest.mark.parametrize("module", [loralift.metrics, loralift.metrics.base])
def test_the_examples_in_the_docstrings(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
