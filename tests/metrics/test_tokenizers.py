"""Languages other than English: sacrebleu's tokenizers in BLEU, Unicode's words in ROUGE and F1, and no silent zero."""

from __future__ import annotations

import random
import sys
import unicodedata

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

from loralift.errors import UsageError
from loralift.metrics import METRICS, MetricSettings, left_for_english, score_examples
from loralift.metrics.bleu import corpus_bleu
from loralift.metrics.tokenizers import hidden_from, not_latin, of_sacrebleu, segments_of, words_of
from loralift.records import Question
from tests.metrics.test_blindness import SCRIPTS

ROUGE = ("rouge1", "rouge2", "rougeL")
EIGHT = ("Chinese", "Japanese", "Korean", "Arabic", "Russian", "Hindi", "Thai", "Burmese", "Khmer", "Lao", "Hebrew")
UNICODE = MetricSettings(tokenizer="unicode")


def shuffled(text: str, seed: int) -> str:
    """The text's words, or its characters where there are few words, in another order."""
    parts, between = (text.split(), " ") if len(text.split()) > 4 else (list(text), "")
    random.Random(seed).shuffle(parts)
    return between.join(parts)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    """50 Chinese and 50 Arabic answers: parts of the reference, in order and out of it."""
    found = []
    for script in ("Chinese", "Arabic"):
        text = SCRIPTS[script][0]
        for row in range(50):
            answer = shuffled(text, row) if row % 3 else text[: 6 + row % 20]
            found.append((answer, f"{text} {row}."))
    return found


@pytest.mark.parametrize("script", EIGHT)
def test_every_script_is_scored_by_its_words(make_example, script):
    text = SCRIPTS[script][0]
    names = [*ROUGE, "bleu", "f1"]
    cut = text[: len(text) * 2 // 3]
    same, part, empty, other = score_examples(
        names, [make_example(answer, text) for answer in (text, cut, "", "Nothing of it")], UNICODE
    )
    full = dict.fromkeys([*ROUGE, "f1"], 1.0) | {"bleu": pytest.approx(100)}
    assert (same.values, dict(same.unscored)) == (full, {})
    assert all(0.3 < part.values[name] < 1 for name in (*ROUGE, "f1"))
    assert 20 < part.values["bleu"] < 100
    for score in (empty, other):
        assert score.values == dict.fromkeys(names, 0.0)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("先还清3.5%的ETF。", "先 还 清 3.5 的 etf"),
        ("カタカナとﾊﾝｶｸ", "カ タ カ ナ と ハ ン カ ク"),
        ("ที่ไหน ๒๕", "ที่ ไ ห น 25"),
        ("ຈ່າຍ", "ຈ່ າ ຍ"),
        ("ទឹក", "ទឹ ក"),
        ("မြန်မာ", "မြ န် မာ"),
        ("पहले हिन्दी, में।", "पहले हिन्दी में"),
        ("سدد القرض، ٣٫٥", "سدد القرض 3٫5"),
        ("ΟΔΟΣ Straße", "οδοσ strasse"),
        ("Don’t e-mail co\u00adop\u200ber\u202aate", "don’t e mail cooperate"),
        ("한국어를 1,000", "한국어를 1,000"),
        ("snake_case", "snake_case"),
        ("😀 + … ", ""),
    ],
)
def test_words_by_hand(text, tokens):
    assert words_of(text) == [unicodedata.normalize("NFKC", token) for token in tokens.split()]


class Words:
    """Our words, as rouge_score takes a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words_of(text)


def test_rouge_of_unicodes_words_equals_rouge_score_on_them(make_example, pairs):
    scorer = RougeScorer(ROUGE, tokenizer=Words())
    scores = score_examples(ROUGE, [make_example(*pair) for pair in pairs], UNICODE)
    for (answer, reference), score in zip(pairs, scores, strict=True):
        golden = scorer.score(reference, answer)
        assert score.values == {name: pytest.approx(golden[name].fmeasure, abs=1e-9) for name in ROUGE}
    assert 0.2 < np.mean([score.values["rouge2"] for score in scores]) < 0.8


@pytest.mark.parametrize("tokenizer", ["13a", "intl", "zh", "char"])
def test_bleu_equals_sacrebleu_by_each_of_its_tokenizers(make_example, pairs, tokenizer):
    examples, settings = [make_example(*pair) for pair in pairs], MetricSettings(tokenizer=tokenizer)
    cells = METRICS["bleu"].score(examples, settings)  # what is not seen too
    rows = BLEU(tokenize=tokenizer, effective_order=True)
    golden = [rows.sentence_score(answer, [reference]).score for answer, reference in pairs]
    assert [cell.value for cell in cells] == pytest.approx(golden, abs=1e-9)
    corpus = BLEU(tokenize=tokenizer).corpus_score([a for a, _ in pairs], [[r for _, r in pairs]]).score
    sums = np.array([cell.statistics for cell in cells]).sum(axis=0)
    assert float(corpus_bleu(sums)) == pytest.approx(corpus, abs=1e-9)
    scores = score_examples(["bleu"], examples, settings)
    seen = [score.values["bleu"] is not None for score in scores]
    assert seen == [tokenizer in ("zh", "char")] * 50 + [True] * 50
    assert f"|tok:{tokenizer}|" in METRICS["bleu"].signature(settings)


def test_bleu_of_unicodes_words_equals_sacrebleu_on_them(make_example, pairs):
    scores = score_examples(["bleu"], [make_example(*pair) for pair in pairs], UNICODE)
    rows = BLEU(tokenize="none", effective_order=True, force=True)
    for (answer, reference), score in zip(pairs, scores, strict=True):
        golden = rows.sentence_score(" ".join(segments_of(answer)), [" ".join(segments_of(reference))]).score
        assert score.values["bleu"] == pytest.approx(golden, abs=1e-9)


@pytest.mark.parametrize(
    ("tokenizer", "hidden"),
    [
        (None, "Chinese Japanese Thai"),
        ("13a", "Chinese Japanese Thai"),
        ("intl", "Chinese Japanese Thai"),
        ("zh", "Japanese Thai"),  # sacrebleu's zh parts no kana
        ("ja-mecab", "Thai"),
        ("char", ""),
        ("unicode", ""),
    ],
)
def test_what_a_tokenizer_does_not_part_is_not_seen(tokenizer, hidden):
    cannot_see = hidden_from(tokenizer)
    kana = "まずいちばんたかいローンをかえして、それからちょきんします。"
    texts = {script: SCRIPTS[script][0] for script in ("Chinese", "Japanese", "Thai", "Arabic")} | {"Japanese": kana}
    assert " ".join(name for name, text in texts.items() if cannot_see(text)) == hidden


@pytest.mark.parametrize("tokenizer", [None, "13a"])
def test_english_is_as_it_was(fiqa_examples, tokenizer):
    names, settings = [*ROUGE, "bleu", "f1"], MetricSettings(tokenizer=tokenizer)
    assert score_examples(names, fiqa_examples[:20], settings) == score_examples(names, fiqa_examples[:20])
    for name in names:
        assert METRICS[name].signature(settings) == METRICS[name].signature(MetricSettings())


def test_f1_of_english_is_the_same_by_either_and_signatures_tell_them_apart(fiqa_examples):
    assert score_examples(["f1"], fiqa_examples[:50], UNICODE) == score_examples(["f1"], fiqa_examples[:50])
    for name in (*ROUGE, "f1", "bleu"):
        assert "tok:unicode|" in METRICS[name].signature(UNICODE)
        assert "tok:unicode|" not in METRICS[name].signature(MetricSettings())
    for name in ("chrf", "exact_match", "squad_f1"):
        assert METRICS[name].signature(UNICODE) == METRICS[name].signature(MetricSettings())


def test_stems_are_of_english_words(make_example):
    settings = MetricSettings(tokenizer="unicode", rouge_stemmer=True)
    [score] = score_examples(["rouge1"], [make_example("loans 先", "loan 先")], settings)
    assert score.values["rouge1"] == 1.0


def test_marks_alone_are_not_seen(make_example):
    [score] = score_examples(["rouge1"], [make_example("😀", "😀 🎉")], UNICODE)
    assert score.unscored == {"rouge1": "ROUGE sees too little of the reference: there is no letter or digit"}


def test_an_unknown_tokenizer_and_a_package_that_is_missing_are_refused(monkeypatch):
    with pytest.raises(UsageError, match=r"`--tokenizer` must be one of 13a, intl, zh, char, ja-mecab, .*got 'jieba'"):
        MetricSettings(tokenizer="jieba")
    monkeypatch.setitem(sys.modules, "MeCab", None)
    sys.modules.pop("sacrebleu.tokenizers.tokenizer_ja_mecab", None)
    of_sacrebleu.cache_clear()
    with pytest.raises(UsageError, match=r"needs MeCab, which is not installed: pip install 'sacrebleu\[ja\]'"):
        METRICS["bleu"].info(MetricSettings(tokenizer="ja-mecab"))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Remboursez d'abord le crédit", False),
        ("Hãy trả khoản vay đắt", False),
        ("Ｆｕｌｌ ｗｉｄｔｈ", False),
        ("1 234 — 5 €", False),
        ("ETF 基金", False),
        ("Сначала погасите ETF", True),
        ("先还清", True),
    ],
)
def test_what_is_not_in_latin_script(text, other):
    assert not_latin(text) is other


def test_the_default_is_told_from_5_percent_on():
    def told(others: int, metrics: list[str], tokenizer: str | None = None) -> str | None:
        texts = ["先还清"] * others + ["Pay it off."] * (100 - others)
        questions = [Question(str(row), "q", text) for row, text in enumerate(texts)]
        return left_for_english(metrics, questions, MetricSettings(tokenizer=tokenizer))

    assert told(5, ["f1"]) is None
    assert (told(6, ["f1", "chrf"]) or "").startswith("6 of 100 references are not in Latin script, and ROUGE, BLEU")
    assert told(100, ["chrf", "exact_match"]) is None
    assert told(100, ["f1"], "13a") is None
