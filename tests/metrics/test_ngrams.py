"""Shared n-grams, counted by sorting, against dictionaries."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from loralift.metrics import ngrams


def by_dictionary(answer, reference, orders):
    found = []
    for n in range(1, orders + 1):
        one, other = (Counter(zip(*(list(text)[i:] for i in range(n)), strict=False)) for text in (answer, reference))
        found.append((one & other).total())
    return found


def texts(draw, alphabet, longest, count):
    lengths = [draw.randrange(longest) for _ in range(count)]
    return [np.array([draw.randrange(alphabet) for _ in range(n)], dtype=np.int32) for n in lengths]


@pytest.mark.parametrize("orders", range(1, 7))
@pytest.mark.parametrize("alphabet", [1, 3, 2000, 1_100_000])
@pytest.mark.parametrize("longest", [9, 900])
def test_random_texts(orders, alphabet, longest):
    # from a thousand symbols in one text, six of them do not fit into a number: these are counted by dictionaries
    draw = random.Random(alphabet * longest + orders)
    answers, references = texts(draw, alphabet, longest, 12), texts(draw, alphabet, longest, 12)
    found = ngrams.matches(answers, references, orders)
    golden = [by_dictionary(*pair, orders) for pair in zip(answers, references, strict=True)]
    assert found.tolist() == golden


def test_pairs_do_not_touch_each_other_wherever_chunks_end(monkeypatch):
    draw = random.Random(0)
    answers, references = texts(draw, 4, 30, 40), texts(draw, 4, 30, 40)
    whole = ngrams.matches(answers, references, 4)
    monkeypatch.setattr(ngrams, "CHUNK", 50)
    assert (ngrams.matches(answers, references, 4) == whole).all()


def test_nothing_to_count():
    assert ngrams.matches([], [], 3).shape == (0, 3)
    nothing = np.zeros(0, dtype=np.int32)
    assert ngrams.matches([nothing], [nothing], 3).tolist() == [[0, 0, 0]]
    assert ngrams.totals([nothing, np.zeros(2, dtype=np.int32)], 3).tolist() == [[0, 0, 0], [2, 1, 0]]


def test_equal_tokens_get_equal_numbers_in_all_texts():
    one, other = ngrams.numbered([("a", "b", "a"), ("b", "c")])
    assert one[0] == one[2]
    assert one[1] == other[0]
    assert len({*one.tolist(), *other.tolist()}) == 3
