"""`squad_exact_match` and `squad_f1` against the formulas of the SQuAD v1.1 evaluation script, to the letter."""

from __future__ import annotations

import random
import re
import string
from collections import Counter

import pytest

from loralift.metrics import METRICS, MetricSettings, score_examples
from loralift.metrics.squad import words_of

# From evaluate-v1.1.py, as published with SQuAD (rajpurkar.github.io/SQuAD-explorer):


def normalize_answer(s):
    def remove_articles(text):
        return re.sub(r"\b(a|an|the)\b", " ", text)

    def white_space_fix(text):
        return " ".join(text.split())

    def remove_punc(text):
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    def lower(text):
        return text.lower()

    return white_space_fix(remove_articles(remove_punc(lower(s))))


def f1_score(prediction, ground_truth):
    prediction_tokens = normalize_answer(prediction).split()
    ground_truth_tokens = normalize_answer(ground_truth).split()
    common = Counter(prediction_tokens) & Counter(ground_truth_tokens)
    num_same = sum(common.values())
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(prediction_tokens)
    recall = 1.0 * num_same / len(ground_truth_tokens)
    return (2 * precision * recall) / (precision + recall)


def exact_match_score(prediction, ground_truth):
    return normalize_answer(prediction) == normalize_answer(ground_truth)


def golden(answer, reference):
    return {"squad_exact_match": float(exact_match_score(answer, reference)), "squad_f1": f1_score(answer, reference)}


def test_all_of_fiqa_equals_the_script(fiqa_pairs, fiqa_examples):
    scores = score_examples("squad", fiqa_examples)
    for (answer, reference), score in zip(fiqa_pairs, scores, strict=True):
        assert score.values == pytest.approx(golden(answer, reference), abs=1e-9, rel=0)


def test_all_of_fiqa_matches_itself(fiqa_pairs, make_example):
    scores = score_examples("squad", [make_example(text.upper() + "!", text) for _, text in fiqa_pairs])
    expected = [golden(text.upper() + "!", text) for _, text in fiqa_pairs]
    assert [score.values for score in scores] == expected
    assert sum(values["squad_exact_match"] for values in expected) > 640


def test_edges_equal_the_script(edge_pair, make_example):
    [score] = score_examples("squad", [make_example(*edge_pair)])
    assert score.values == pytest.approx(golden(*edge_pair), abs=1e-9, rel=0)


def test_normalisation_by_hand(make_example):
    [same, order] = score_examples(
        "squad", [make_example("A Bank, the  bank!", "bank bank"), make_example("b a1", "a1 b")]
    )
    assert same.values == {"squad_exact_match": 1.0, "squad_f1": 1.0}
    assert order.values == {"squad_exact_match": 0.0, "squad_f1": 1.0}


def test_words_are_the_scripts_wherever_articles_and_marks_stand():
    draw = random.Random(0)
    marks = ["a", "An", "the", "theory", *"1_.-é€'", " ", "\n", "\t", "\x0b", "\x00", "\x1f", "\u00a0"]
    for _ in range(3000):
        text = "".join(draw.choices(marks, k=draw.randrange(9)))
        assert list(words_of(text)) == normalize_answer(text).split()


def test_the_scripts_faults_stay_under_its_name(make_example):
    pairs = [("", "A"), ("15", "1.5"), ("3", "-3"), ("12", "1/2")]
    values = [score.values["squad_exact_match"] for score in score_examples("squad", [make_example(*p) for p in pairs])]
    assert values == [1.0] * 4


def test_the_signatures_say_which_is_the_scripts():
    signatures = {name: METRICS[name].signature(MetricSettings()) for name in METRICS}
    assert "script:squad-v1.1" in signatures["squad_exact_match"] == signatures["squad_f1"]
    assert "squad" not in signatures["exact_match"]
    assert "normalisation:loralift" in signatures["exact_match"] == signatures["f1"]
