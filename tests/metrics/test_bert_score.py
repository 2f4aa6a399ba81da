"""BERTScore against the package bert_score, on a tiny BERT made on the spot: roberta-large cannot be had offline."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig, BertConfig, BertModel, BertTokenizer

from loralift.errors import ModelError, UsageError
from loralift.metrics import METRICS, MetricSettings, score_examples, with_weights
from loralift.metrics import bert_score as ours
from loralift.metrics.bert_score_layers import LAYERS
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
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=WINDOW,
    )
    model = BertModel(config)
    with torch.no_grad():  # the same in every version of torch and transformers
        for place, weight in enumerate(weight for weight in model.parameters() if weight.dim() > 1):
            weight.copy_(torch.sin(torch.arange(weight.numel()) * (place + 1.7)).view(weight.shape))
    with quiet():
        model.save_pretrained(folder)
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


def test_texts_within_the_window_equal_the_package(tiny, make_example):
    # what BERTScorer of bert-score 0.3.13 gives, with torch 2.15 and transformers 5.23
    golden = [0.9810165, 0.7476882, 0.7199682, 1.0, 0.3748838, 0.6688989]
    found = METRICS[NAME].score([make_example(*pair) for pair in PAIRS], tiny)
    assert [row.value for row in found] == pytest.approx(golden, abs=1e-5)


def test_what_is_mostly_unknown_to_the_tokenizer_is_not_scored(tiny, make_example):
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


def test_a_layer_that_the_model_does_not_have_is_refused(tiny_bert):
    assert len(ours.load(tiny_bert, 3, "cpu").model.encoder.layer) == 3
    with pytest.raises(UsageError, match=r"`bert_score_layers` must be at most 3 for .*, got 4"):
        ours.load(tiny_bert, 4, "cpu")


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("t5", {"d_model": 32, "num_layers": 3, "num_heads": 2, "d_ff": 48, "d_kv": 16, "vocab_size": 60}),
        ("longformer", {"num_hidden_layers": 3, "attention_window": [8, 8, 8], "max_position_embeddings": 64}),
        ("prophetnet", {"num_encoder_layers": 3, "num_decoder_layers": 1}),
    ],
)
def test_a_configuration_is_cut_off_by_its_own_names(kind, given):
    config = AutoConfig.for_model(kind, **given)
    assert ours._cut_off(config, 2) == 3
    encoder_layers = config.num_encoder_layers if kind == "prophetnet" else config.num_hidden_layers
    assert encoder_layers == 2
    assert len(getattr(config, "attention_window", [8, 8])) == 2


def test_a_model_that_cannot_be_loaded_is_named(make_example):
    settings = MetricSettings(bert_score_model="nobody/nothing", bert_score_layers=1, device="cpu")
    with pytest.raises(ModelError, match="'nobody/nothing' cannot be loaded"):
        values([("yes", "no")], make_example, settings)


def test_a_model_without_a_tuned_layer_asks_for_one(make_example):
    with pytest.raises(UsageError, match="`bert_score_layers` must be given for 'nobody/nothing'"):
        values([("yes", "no")], make_example, MetricSettings(bert_score_model="nobody/nothing"))


def test_the_signature_names_what_the_model_is_made_of_once_that_is_known(tiny):
    digests = {with_weights(replace(tiny, bert_score_layers=layers), [NAME]).weights for layers in (1, 2, 2)}
    assert len(digests) == 2  # a model that is cut off elsewhere has other weights
    for [(name, digest)] in digests:
        info = METRICS[NAME].info(replace(tiny, weights=((name, digest),)))
        assert info.signature.startswith(f"weights:{digest}|model:")


def test_the_default_is_the_packages_for_english():
    assert "model:roberta-large|layer:17" in METRICS[NAME].signature(MetricSettings())
    assert (LAYERS["bert-base-uncased"], LAYERS["microsoft/deberta-xlarge-mnli"], len(LAYERS)) == (9, 40, 140)
