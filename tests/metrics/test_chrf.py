"""chrF against sacrebleu."""

from __future__ import annotations

import pytest
import sacrebleu
from sacrebleu.metrics import CHRF

from loralift.metrics import METRICS, MetricSettings, score_examples


def test_fiqa_equals_sacrebleu(fiqa_pairs, fiqa_examples):
    ours = [score.values["chrf"] for score in score_examples(["chrf"], fiqa_examples[::4])]
    golden = [sacrebleu.sentence_chrf(answer, [reference]).score for answer, reference in fiqa_pairs[::4]]
    assert ours == pytest.approx(golden, abs=1e-9, rel=0)


def test_edges_equal_sacrebleu(edge_pair, make_example):
    answer, reference = edge_pair
    [score] = score_examples(["chrf"], [make_example(answer, reference)])
    assert score.values["chrf"] == pytest.approx(sacrebleu.sentence_chrf(answer, [reference]).score, abs=1e-9)
    assert not score.statistics


def test_signature_holds_sacrebleus_and_names_the_mean():
    scorer = CHRF()
    scorer.corpus_score(["one"], [["one"]])
    ours = METRICS["chrf"].info(MetricSettings()).signature.split("|")
    assert set(str(scorer.get_signature()).split("|")) <= set(ours)
    assert "aggregate:mean" in ours
