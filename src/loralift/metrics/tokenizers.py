"""How texts become tokens where the words are not English: sacrebleu's tokenizers, and Unicode's words.

One setting holds for all metrics, ``MetricSettings.tokenizer``:

===================================  =======================  ====================================
setting                              BLEU                     ROUGE and token F1
===================================  =======================  ====================================
None, 13a                            sacrebleu's 13a          a-z and 0-9; words between spaces
intl, zh, char, ja-mecab, ko-mecab   sacrebleu's of the name  Unicode's words
unicode                              Unicode's words          Unicode's words
===================================  =======================  ====================================

Unicode's words are what stands between its word boundaries (Unicode Standard Annex 29) and holds a letter or digit.
Scripts that are written without spaces (``blindness.UNSPACED``) are parted at every letter, which its combining marks
stay with.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

import regex

from loralift.errors import UsageError
from loralift.metrics.base import MetricSettings
from loralift.metrics.blindness import UNSPACED, letters, without_spaces
from loralift.records import Question

Tokenize = Callable[[str], list[str]]

UNICODE = "unicode"

TOKENISED = ("rouge1", "rouge2", "rougeL", "bleu", "f1")
"""Names of the metrics that have a tokenizer."""

MOST_OTHERS = 0.05
"""Share of references in other scripts than Latin up to which the tokenizer for English is left without a word."""

SACREBLEU = {
    "13a": ("tokenizer_13a", "Tokenizer13a"),
    "intl": ("tokenizer_intl", "TokenizerV14International"),
    "zh": ("tokenizer_zh", "TokenizerZh"),
    "char": ("tokenizer_char", "TokenizerChar"),
    "ja-mecab": ("tokenizer_ja_mecab", "TokenizerJaMecab"),
    "ko-mecab": ("tokenizer_ko_mecab", "TokenizerKoMecab"),
}
"""Module and class of each; those that download a model are left out."""

BOUNDARY = regex.compile(r"(?V1w)\b")

LETTER = regex.compile(rf"(?V1)[{UNSPACED.pattern[1:-2]}--\p{{M}}][\p{{M}}\u200c\u200d]*")
"""A letter of a script without spaces, with its marks."""

UNSEEN = regex.compile(r"(?V1)[\p{Cf}--[\u200c\u200d]]")
"""Marks for the direction of writing, soft hyphens, zero-width spaces; joiners are a part of spelling."""

LATIN = regex.compile(r"(?V1)[\p{L}&&\p{Latin}]")

JAPANESE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}ー]")


def by_unicode(settings: MetricSettings) -> bool:
    """Whether ROUGE and token F1 have Unicode's words."""
    return settings.tokenizer not in (None, "13a")


def words_of(text: str) -> list[str]:
    """Unicode's words as ROUGE compares them: case, width and the digits of all scripts folded, marks left out.

    >>> words_of("Pay 3.5 %, don’t wait: 先还清"), words_of("ออมเงิน"), words_of("＄１０ ١٠")
    (['pay', '3.5', 'don’t', 'wait', '先', '还', '清'], ['อ', 'อ', 'ม', 'เ', 'งิ', 'น'], ['10', '10'])
    """
    folded = unicodedata.normalize("NFKC", UNSEEN.sub("", text)).casefold()
    if not folded.isascii():
        folded = "".join(str(int(mark)) if mark.isdecimal() else mark for mark in folded)
    return [token for token in segments_of(folded) if any(map(str.isalnum, token))]


def segments_of(text: str) -> list[str]:
    """Everything between Unicode's word boundaries but white space, marks too, as it stands: BLEU's tokens."""
    spaced = text if text.isascii() else LETTER.sub(r" \g<0> ", text)
    return [part for segment in BOUNDARY.split(spaced) for part in segment.split()]


@lru_cache(maxsize=1 << 14)
def parted(word: str) -> tuple[str, ...]:
    """A word parted at the letters of scripts without spaces; itself where it has none."""
    return (word,) if word.isascii() else tuple(LETTER.sub(r" \g<0> ", word).split())


@cache
def of_sacrebleu(name: str) -> Any:
    """A tokenizer of sacrebleu.

    Raises:
        UsageError: It needs a package that is not installed.
    """
    module, kind = SACREBLEU[name]
    try:
        return getattr(import_module(f"sacrebleu.tokenizers.{module}"), kind)()
    except RuntimeError as error:  # how sacrebleu says that MeCab is not there
        line = f"pip install 'sacrebleu[{name.partition('-')[0]}]'"
        raise UsageError(f"`--tokenizer` {name} needs MeCab, which is not installed: {line}") from error


def not_latin(text: str) -> bool:
    """Whether more than half of a text's letters are of other scripts than Latin; digits and marks are of none."""
    if text.isascii():
        return False
    return 2 * len(LATIN.findall(text)) < sum(map(str.isalpha, text))


def left_for_english(metrics: Iterable[str], questions: Sequence[Question], settings: MetricSettings) -> str | None:
    """What is said where many references are not in Latin script, and nobody chose a tokenizer.

    Args:
        metrics: Names; nothing is said where none is of ``TOKENISED``.
        questions: The data.
        settings: The metrics'.
    """
    if settings.tokenizer is not None or not set(TOKENISED) & set(metrics):
        return None
    texts = [text for question in questions for text in question.references]
    others = sum(map(not_latin, texts))
    if others <= MOST_OTHERS * len(texts):
        return None
    return (
        f"{others} of {len(texts)} references are not in Latin script, and ROUGE, BLEU and token F1 part words as in "
        "English: --tokenizer unicode parts them as Unicode does (zh, ja-mecab, intl or char: as sacrebleu does in "
        "BLEU), --tokenizer 13a leaves it so"
    )


def for_bleu(settings: MetricSettings) -> tuple[str, Tokenize]:
    """What BLEU's signature calls the tokenizer, and what makes tokens of a text.

    Raises:
        UsageError: It needs a package that is not installed.
    """
    name = settings.tokenizer or "13a"
    if name == UNICODE:
        return UNICODE, segments_of
    tokenizer = of_sacrebleu(name)
    return tokenizer.signature(), lambda text: tokenizer(text.rstrip()).split()


def hidden_from(name: str | None) -> Callable[[str], bool]:
    """Of BLEU's tokenizer, whether it leaves more than half of a text's letters and digits in words without spaces."""
    if name in (None, "13a", "intl", "ko-mecab"):
        return without_spaces
    if name in (UNICODE, "char"):
        return lambda text: False
    tells_apart: Callable[[str], object] = JAPANESE.fullmatch if name == "ja-mecab" else _apart_in_chinese

    def hidden(text: str) -> bool:
        together = [letter for run in UNSPACED.findall(text) for letter in run if not tells_apart(letter)]
        return 2 * letters("".join(together)) > letters(text)

    return hidden


@lru_cache(maxsize=1 << 14)
def _apart_in_chinese(letter: str) -> bool:
    """Whether sacrebleu's zh parts a letter from its neighbours: its ranges hold no kana and no Thai."""
    return len(of_sacrebleu("zh")(f"a{letter}a").split()) > 1
