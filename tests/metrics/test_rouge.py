"""ROUGE against google's rouge_score."""

from __future__ import annotations

import pytest
from rouge_score.rouge_scorer import RougeScorer

from loralift.metrics import MetricSettings, score_examples
from loralift.metrics.rouge import f_measure, f_measures, tokens_of

NAMES = ["rouge1", "rouge2", "rougeL"]


def reference_values(pairs, stemmer=False):
    scorer = RougeScorer(NAMES, use_stemmer=stemmer)
    scores = [scorer.score(reference, answer) for answer, reference in pairs]
    return [{name: score[name].fmeasure for name in NAMES} for score in scores]


def test_fiqa_equals_rouge_score(fiqa_pairs, fiqa_examples):
    ours = [score.values for score in score_examples(NAMES, fiqa_examples[::4])]
    theirs = reference_values(fiqa_pairs[::4])  # whose table of pure Python takes a minute for all
    assert len(ours) == len(theirs) == 162
    for mine, golden in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(golden, abs=1e-9, rel=0)


def test_stems_equal_rouge_score(fiqa_pairs, fiqa_examples):
    ours = score_examples(NAMES, fiqa_examples[:25], MetricSettings(rouge_stemmer=True))
    theirs = reference_values(fiqa_pairs[:25], stemmer=True)
    for mine, golden in zip(ours, theirs, strict=True):
        assert mine.values == pytest.approx(golden, abs=1e-9, rel=0)
    unstemmed = score_examples(NAMES, fiqa_examples[:25])
    assert [s.values for s in unstemmed] != [s.values for s in ours]


def test_edges_equal_rouge_score(edge_pair, make_example):
    answer, reference = (text[:3000] for text in edge_pair)  # the pure Python table is quadratic
    golden = reference_values([(answer, reference)])[0]
    assert f_measures(((answer, reference),), False)[0] == pytest.approx([golden[n] for n in NAMES], abs=1e-9, rel=0)
    [ours] = score_examples(NAMES, [make_example(answer, reference)])
    scored = {name: value for name, value in ours.values.items() if name not in ours.unscored}
    assert scored == pytest.approx({name: golden[name] for name in scored}, abs=1e-9, rel=0)
    assert all(ours.values[name] is None for name in ours.unscored)


def test_a_reference_of_one_token_has_no_pair_to_count(make_example):
    right, longer = score_examples(NAMES, [make_example("A", "A"), make_example("A", "A bank")])
    assert right.values == {"rouge1": 1.0, "rouge2": None, "rougeL": 1.0}
    assert right.unscored == {
        "rouge2": "ROUGE-2 sees too little of the reference: it counts pairs of tokens, and there is one token"
    }
    assert (longer.values["rouge2"], dict(longer.unscored)) == (0.0, {})


def test_by_hand():
    [[one, two, longest]] = f_measures((("the cat sat", "the cat on the mat"),), False)
    assert one == pytest.approx(2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5))
    assert two == pytest.approx(2 * (1 / 2) * (1 / 4) / (1 / 2 + 1 / 4))
    assert longest == pytest.approx(2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5))
    assert f_measures((("c a b", "a x b"),), False)[0, 2] == pytest.approx(2 / 3)
    assert f_measure(0, 0, 5) == 0.0


def test_no_text_is_cut(make_example):
    reference = "filler " * 5000 + "needle"
    found, missed = score_examples(NAMES, [make_example("needle", reference), make_example("straw", reference)])
    assert missed.values == dict.fromkeys(NAMES, 0.0)
    assert found.values["rougeL"] > 0


def test_numbers_cannot_pass_for_letters():
    # rapidfuzz takes "a" and 97 for the same item
    assert f_measures((("97", "a"),), False).tolist() == [[0.0, 0.0, 0.0]]


def test_a_text_is_tokenised_once(make_example):
    tokens_of.cache_clear()
    score_examples(NAMES, [make_example("one answer"), make_example("another answer")])
    assert tokens_of.cache_info().misses == 3
    assert tokens_of.cache_info().maxsize is not None
