"""Exact match and token F1 by LoraLift's normalisation: what SQuAD's script destroys is kept, all else is the same."""

from __future__ import annotations

import json
import string

import pytest

from loralift.metrics import score_examples
from loralift.metrics.normalisation import words_of
from loralift.metrics.squad import words_of as words_of_the_script

NAMES = ["exact_match", "f1"]


def values(make_example, *pairs):
    return [score.values for score in score_examples(NAMES, [make_example(*pair) for pair in pairs])]


SAME = [
    ("A", "A"), ("a", "A."), ("(A)", "A"), ("the", "The"), ("an", "an"), ("The bank!", "bank"), ("a cheque", "Cheque"),
    ("$1,000.50", "1000.50"), ("1,000", "1000"), ("10,00,000", "1000000"), ("It costs 5.", "it costs 5"),
    ("\u22123", "-3"), ("3\u20134", "3-4"), ("１５", "15"), ("$5", "5"), ("5%", "5 %"), ("-$5", "$-5"),
    ("**1.5**", "1.5."), ("٣٫٥", "3.5"), ("१५", "15"), ("½", "½"), ("What\u2019s “up”?", "what's \"up\""),
    ("cafe\u0301", "café"), ("¿Qué?", "qué"), ("先还清。", "先还清"), ("हाँ।", "हाँ"), ("+", "+"), ("😀", "😀"),
    ("%", "%"), ("covid-19", "COVID19"), ("", ""),
    ("2 \u2212 2", "2 - 2"), ("- 3 banks", "3 banks"), ("\u2212", "-"), ("…", "…"), ("5 - no", "5 no"), ("> 5", ">5"),
    ("\u200fשלום\u200e", "שלום"), ("\ufeffYes", "yes"), ("soft\u00adware\u200b", "software"), ("❤\ufe0f", "❤"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reference"), SAME)
def test_the_same_answer_is_right(make_example, answer, reference):
    expected = 1.0 if reference else 0.0  # of nothing there is no word to share
    assert values(make_example, (answer, reference), (reference, answer)) == [
        {"exact_match": 1.0, "f1": None if "先" in reference else expected},
        {"exact_match": 1.0, "f1": None if "先" in reference else expected},
    ]


OTHER = [
    ("", "A"), ("", "the"), ("", "an"), ("", "%"), ("", "+"), (" \n", "..."), ("the", "A"), ("+", "-"), ("%", "+"),
    ("15", "1.5"), ("3", "-3"), ("12", "1/2"), ("1.5", "1,5"), ("5", "+5"), ("-5", "+5"), ("34", "3-4"),
    ("1030", "10:30"), ("20200102", "2020-01-02"), ("100050", "$1,000.50"), ("5", ".5"), ("e^1", "e^-1"),
    ("x2", "x^2"), ("102", "10²"), ("x-1", "x+1"), ("C", "C++"), ("C", "C#"), ("BBB", "BBB-"), ("BBB+", "BBB-"),
    ("1e5", "1e-5"), ("p < 0.05", "p > 0.05"), ("p<.05", "p>.05"), ("5 > 3", "5 < 3"), ("2 + 2", "2 - 2"),
    ("3 4", "3 / 4"), ("18", "18+"), ("٣", "٤"), ("３", "４"), ("vitamin", "vitamin A"), ("B", "A, B"), ("😀", "🎉"),
    ("", "😀"), ("€5", "$5"), ("…", "。"), ("¿", "…"), ("", "\u200b"), ("👨\u200d👧", "👨👧"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reference"), OTHER)
def test_another_answer_is_wrong(make_example, answer, reference):
    found = values(make_example, (answer, reference), (reference, answer))
    assert [row["exact_match"] for row in found] == [0.0, 0.0]
    assert all(row["f1"] < 1 for row in found)


def test_no_text_is_normalised_to_nothing():
    texts = [*string.printable.strip(), "the a an", "?!", "- - -", "A.", "。", "\u200b", "①", "Ⅷ", "़"]
    assert [text for text in texts if not words_of(text)] == []
    assert words_of(" \n\t") == ()


def test_plain_english_has_the_words_of_the_script(fiqa_pairs):
    """Words of letters alone, and a full stop or comma, are the same; articles are tried above."""
    texts = [text for text, _ in fiqa_pairs]
    other = [text for text in texts if words_of(text) != words_of_the_script(text)]
    assert 0 < len(other) < len(texts) / 2
    for text in texts:
        plain = " ".join(word for word in text.split() if word.strip(".,").isalpha() and word.isascii())
        plain = f"{plain} end"
        without = [word for word in plain.split() if word.lower().strip(".,") not in ("a", "an", "the")]
        assert words_of(" ".join(without)) == words_of_the_script(" ".join(without))


def test_letters_are_right_and_nothing_is_wrong(cases_dir, make_example):
    """Of the case: F1 was 0.75 where all is right, exact match 0.25 where all is empty."""
    for name, expected in (("letters-right", 1.0), ("letters-empty", 0.0)):
        lines = (cases_dir / "compare" / f"{name}.jsonl").read_text("utf-8").splitlines()
        pairs = [(row["prediction"], row["reference"]) for row in map(json.loads, lines)]
        assert values(make_example, *pairs) == [{"exact_match": expected, "f1": expected}] * len(pairs)
