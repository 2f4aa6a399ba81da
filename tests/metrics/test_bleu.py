"""BLEU against sacrebleu, rows, corpus and resamples."""

from __future__ import annotations

import random

import numpy as np
import pytest
import sacrebleu
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from loralift.metrics import METRICS, MetricSettings, score_examples
from loralift.metrics.bleu import corpus_bleu, tokens_of


def statistics_of(scores):
    return np.array([score.statistics["bleu"] for score in scores])


def test_all_of_fiqa_equals_sacrebleu(fiqa_pairs, fiqa_examples):
    scores = score_examples(["bleu"], fiqa_examples)
    golden = [sacrebleu.sentence_bleu(answer, [reference]).score for answer, reference in fiqa_pairs]
    assert [s.values["bleu"] for s in scores] == pytest.approx(golden, abs=1e-9, rel=0)

    answers, references = zip(*fiqa_pairs, strict=True)
    corpus = sacrebleu.corpus_bleu(answers, [references]).score
    assert float(corpus_bleu(statistics_of(scores).sum(axis=0))) == pytest.approx(corpus, abs=1e-9, rel=0)


def test_resamples_in_one_call_equal_sacrebleu_one_by_one(fiqa_pairs, fiqa_examples):
    pairs, statistics = fiqa_pairs[:40], statistics_of(score_examples(["bleu"], fiqa_examples[:40]))
    drawn = np.random.default_rng(0).integers(0, 40, size=(2, 5, 40))
    values = corpus_bleu(statistics[drawn].sum(axis=-2))
    assert values.shape == (2, 5)
    for position in np.ndindex(2, 5):
        answers, references = zip(*(pairs[i] for i in drawn[position]), strict=True)
        golden = sacrebleu.corpus_bleu(answers, [references]).score
        assert values[position] == pytest.approx(golden, abs=1e-9, rel=0)


def test_edges_equal_sacrebleu(edge_pair, make_example):
    answer, reference = edge_pair
    [raw] = METRICS["bleu"].score([make_example(answer, reference)], MetricSettings())
    assert raw.value == pytest.approx(sacrebleu.sentence_bleu(answer, [reference]).score, abs=1e-9)
    [score] = score_examples(["bleu"], [make_example(answer, reference)])
    if score.unscored:
        assert (score.values["bleu"], dict(score.statistics)) == (None, {})
        return
    assert score.values["bleu"] == pytest.approx(sacrebleu.sentence_bleu(answer, [reference]).score, abs=1e-9)
    golden = sacrebleu.corpus_bleu([answer], [[reference]]).score
    assert float(corpus_bleu(statistics_of([score])[0])) == pytest.approx(golden, abs=1e-9)


@pytest.mark.parametrize(
    "statistics",
    [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 9, 0, 0, 0, 0, 0, 0, 0, 0],
        [9, 9, 0, 0, 0, 0, 9, 8, 7, 6],
        [9, 9, 5, 0, 0, 0, 9, 8, 7, 6],
        [9, 9, 5, 2, 0, 0, 9, 8, 7, 6],
        [9, 20, 5, 2, 1, 1, 9, 8, 7, 6],
        [20, 9, 9, 2, 1, 0, 20, 19, 18, 17],
        [3, 3, 3, 2, 1, 0, 3, 2, 1, 0],
    ],
)
def test_statistics_equal_sacrebleu(statistics):
    golden = BLEU.compute_bleu(statistics[2:6], statistics[6:], *statistics[:2], smooth_method="exp").score
    assert float(corpus_bleu(np.array(statistics, dtype=float))) == pytest.approx(golden, abs=1e-9)


def test_an_identical_pair_stays_in_range(make_example):
    text = "Pay the loan with the highest rate of interest first."
    [score] = score_examples(["bleu"], [make_example(text, text)])
    assert 100 - 1e-9 < score.values["bleu"] <= 100
    assert corpus_bleu(statistics_of([score])).max() <= 100


def test_signature_holds_sacrebleus():
    scorer = BLEU()
    scorer.corpus_score(["one"], [["one"]])
    ours = METRICS["bleu"].info(MetricSettings()).signature.split("|")
    assert set(str(scorer.get_signature()).split("|")) <= set(ours)


def test_tokens_are_sacrebleus_wherever_marks_stand():
    draw = random.Random(0)
    marks = ["a", "B", "1", "23", *".,-'%$(é", "\n", " ", "  ", "\u00a0", "&amp;", "&lt;", "<skipped>"]
    tokenizer = Tokenizer13a()
    for _ in range(3000):
        text = "".join(draw.choices(marks, k=draw.randrange(12)))
        assert tokens_of(text) == tokenizer(text.rstrip()).split()
