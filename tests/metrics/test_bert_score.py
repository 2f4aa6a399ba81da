"""BERTScore against the package bert_score, on a tiny BERT made on the spot: roberta-large cannot be had offline."""

from __future__ import annotations

import sys

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from loralift.errors import MissingExtraError, ModelError, UsageError
from loralift.metrics import METRICS, MetricSettings, score_examples
from loralift.metrics import bert_score as ours
from loralift.metrics.neural import cut, quiet

NAME = "bert_score"
WORDS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "bank", "loan", "money", "lends", "pays", "it"),
    *("back", "##s", "##er", "in", "first", ".", ",", "!"),
]
WINDOW = 16


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=WINDOW,
    )
    with quiet():
        BertModel(config).save_pretrained(folder)
        vocabulary = {word: i for i, word in enumerate(WORDS)}
        BertTokenizer(vocab=vocabulary, model_max_length=WINDOW).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def tiny(tiny_bert):
    return MetricSettings(bert_score_model=tiny_bert, bert_score_layers=2, device="cpu", batch_size=2)


def values(pairs, make_example, settings):
    return [s.values[NAME] for s in score_examples([NAME], [make_example(*pair) for pair in pairs], settings)]


PAIRS = [
    ("The bank lends money.", "the bank lends"),
    ("money", "The loaner pays it back!"),
    ("zebra", "first , first , first ."),
    ("  the loan  ", "the loan"),
    ("the [SEP] bank", "bank"),
    ("the money in the bank pays it back , first", "it pays"),
]


def test_texts_within_the_window_equal_the_package(tiny, tiny_bert, make_example):
    scorer_class = pytest.importorskip("bert_score", reason="needs loralift[bertscore]").BERTScorer
    with quiet():
        scorer = scorer_class(model_type=tiny_bert, num_layers=2, device="cpu")
    answers, references = (list(texts) for texts in zip(*PAIRS, strict=True))
    golden = scorer.score(answers, references)[2].tolist()
    found = METRICS[NAME].score([make_example(*pair) for pair in PAIRS], tiny)
    assert [row.value for row in found] == pytest.approx(golden, abs=1e-5)
    assert len({round(value, 3) for value in golden}) > 3


def test_what_is_mostly_unknown_to_the_tokenizer_is_not_scored(tiny, make_example):
    pytest.importorskip("bert_score", reason="needs loralift[bertscore]")
    pairs = [("zebra", "the loan"), ("the loan", "zebras zebra"), ("the loan, zebra", "the loan"), ("", "the loan")]
    scores = score_examples([NAME], [make_example(*pair) for pair in pairs], tiny)
    assert [score.values[NAME] is None for score in scores] == [True, True, False, False]
    assert scores[0].unscored[NAME].startswith("BERTScore's model sees too little of the answer")
    assert scores[1].unscored[NAME].startswith("BERTScore's model sees too little of the reference")


def test_long_texts_are_not_truncated(tiny, make_example):
    reference = "the bank lends money . " * 4
    found, missed = values(
        [(reference + "loan " * 20, "loan"), (reference + "money " * 20, "loan")], make_example, tiny
    )
    assert found > missed


def test_windows_lose_no_token_and_keep_the_ends(tiny, tiny_bert):
    pytest.importorskip("bert_score", reason="needs loralift[bertscore]")
    encoder = ours.load(tiny_bert, 2, "cpu")
    assert encoder.window == WINDOW
    text = "the bank lends money it pays back first in a loan . " * 5
    [windows] = cut(encoder.tokenizer, [text], WINDOW)
    kept, weights = ours.kept_positions(windows, encoder.tokenizer)
    joined = [token for window in windows for token in window.inputs["input_ids"]]
    with quiet():
        whole = encoder.tokenizer(text, truncation=False)["input_ids"]
    assert len(windows) == 5
    assert [joined[i] for i in kept] == whole
    assert weights == [0.0, *[1.0] * (len(whole) - 2), 0.0]
    vectors, _ = ours.embed(encoder, [text], batch_size=2)[text]
    assert len(vectors) == len(whole)


def test_batches_change_nothing(tiny, make_example):
    one = MetricSettings(tiny.semantic_similarity_model, False, tiny.bert_score_model, 2, "cpu", 1)
    two = values(PAIRS, make_example, tiny)
    assert values(PAIRS, make_example, one) == pytest.approx(two, abs=1e-5)
    assert [value is None for value in two] == [False, False, True, False, False, False]


def test_identical_and_empty(tiny, make_example):
    found = values([("the loan", "the loan"), ("", "the loan"), (" \n", "the loan")], make_example, tiny)
    assert found == pytest.approx([1.0, 0.0, 0.0], abs=1e-5)


def test_without_the_package_the_message_gives_the_pip_line(make_example, monkeypatch):
    ours.load.cache_clear()
    for module in ("bert_score", "bert_score.utils"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"bert_score needs .* pip install 'loralift\[bertscore\]'"):
        values([("yes", "no")], make_example, MetricSettings(device="cpu"))


def test_a_model_that_cannot_be_loaded_is_named(make_example):
    pytest.importorskip("bert_score", reason="needs loralift[bertscore]")
    settings = MetricSettings(bert_score_model="nobody/nothing", bert_score_layers=1, device="cpu")
    with pytest.raises(ModelError, match="'nobody/nothing' cannot be loaded"):
        values([("yes", "no")], make_example, settings)


def test_a_model_without_a_tuned_layer_asks_for_one(make_example):
    pytest.importorskip("bert_score", reason="needs loralift[bertscore]")
    with pytest.raises(UsageError, match="`bert_score_layers` must be given for 'nobody/nothing'"):
        values([("yes", "no")], make_example, MetricSettings(bert_score_model="nobody/nothing"))


def test_the_default_is_the_packages_for_english():
    pytest.importorskip("bert_score", reason="needs loralift[bertscore]")
    from bert_score.utils import lang2model, model2layers

    assert lang2model["en"] == ours.ENGLISH
    assert f"model:{ours.ENGLISH}|layer:{model2layers[ours.ENGLISH]}" in METRICS[NAME].signature(MetricSettings())
