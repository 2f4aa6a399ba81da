"""A text's words as exact match and token F1 compare them: SQuAD's normalisation, without what it destroys.

The script (Rajpurkar et al. 2016) lowers the case, drops every ASCII punctuation mark, then the articles. So "A", the
answer to a multiple-choice question, becomes nothing and equals no answer at all; 1.5 becomes 15, -3 becomes 3, 1/2
becomes 12 and C++ becomes c. Here

- an article is dropped only before a word: "a cheque", but not "A", "vitamin A" or "A) a cheque";
- marks are kept where they say which number or name it is: between digits or numbers, as the sign or point before
  one, as a power or sum, and + # - at the end of a word. Commas of thousands are dropped;
- marks of all scripts are dropped, not only ASCII's, and what Unicode writes in several ways is one: composed
  letters, full-width forms, minus signs, and the digits of all scripts;
- a text of marks alone is compared as it is.

``docs/metrics.md`` has the differences with examples; ``squad`` has the script to the letter.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

ARTICLES = frozenset({"a", "an", "the"})

REMEMBERED = 1 << 17
"""Words that are kept as they are compared: 20 MB."""

_MARK = f"[{re.escape(string.punctuation)}]"
_LETTER = r"[^\W_]"
_MARKS = re.compile(
    "("
    rf"(?<=\d){_MARK}+(?=\d)"  # 1.5, 1/2, 10:30, 3-4, 2020-01-02
    rf"|(?<!{_LETTER})[+-](?=\.?\d)"  # -3, +5, x=-3, but not covid-19
    rf"|(?<!{_LETTER})\.(?=\d)"  # .5, but not No.5
    r"|(?<=\de)-(?=\d)"  # 1e-5
    r"|[<>]=?(?=[+-]?\.?\d)"  # <5, p>=.05
    rf"|(?<={_LETTER})[+^](?=[+-]?{_LETTER})"  # e^-1, x+1
    rf"|(?<={_LETTER})(?:[+#]+|-)(?!{_LETTER}|[+-])"  # C++, C#, BBB-, 18+
    rf")|{_MARK}"
)
"""A mark that is kept, in the group, or one that is dropped."""

_UNITS = re.compile(r"(?<!\d)\$|\$(?!\d)|%(?!\d)")
"""As the script has it, "$5" and "5%" are "5": here before a mark between digits is looked for, as in $5-$10."""

_THOUSANDS = re.compile(r"(?<![\d,])(?<!\d\.)[1-9](?:\d{0,2}(?:,\d{3})+|\d?(?:,\d{2})+,\d{3})(?!,?\d)")
"""1,000 and 10,00,000; not 1,5 and 0,500, which are decimals in much of the world."""

_OPERATORS = frozenset({"+", "-", "\u2212", "*", "/", "^", "<", ">", "<=", ">=", "="})

_OTHER_MARK = "`"


class _Folded(dict[int, str]):
    """Characters beyond ASCII to what they are compared as; filled as they come."""

    def __missing__(self, code: int) -> str:
        mark = chr(code)
        if mark.isdecimal():
            mark = str(int(mark))
        elif 0xFF01 <= code <= 0xFF5E:  # full-width forms of ASCII
            mark = chr(code - 0xFEE0)
        elif unicodedata.category(mark).startswith("P"):
            mark = _OTHER_MARK
        self[code] = mark
        return mark


_FOLDED = _Folded(
    {code: chr(code) for code in range(128)}
    # what nobody sees: directions of writing, zero-width and soft breaks, byte order marks, emoji or text style;
    # but not the joiners, which are letters' shapes and families of emoji
    | dict.fromkeys((0xAD, 0x61C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2065)), "")
    | dict.fromkeys((*range(0x2066, 0x206A), 0xFE0E, 0xFE0F, 0xFEFF), "")
    # hyphens and minus signs; longer dashes stand between words
    | dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2212\ufe63\uff0d"), "-")
    | dict.fromkeys(map(ord, "\u2044\u2215"), "/")
    | {ord("٫"): ".", ord("٬"): ",", ord("٪"): "%"}
)


_EN_DASH = re.compile(r"\u2013(?=[.$]?\d)")
"""Before a number it is a minus sign or "to", else a dash between words."""


def _folded(word: str) -> str:
    """A word in lower case, with one spelling of all that Unicode writes in several ways."""
    if not word.isascii():
        word = unicodedata.normalize("NFC", _EN_DASH.sub("-", word)).translate(_FOLDED)
    return word.lower()


def _mark(word: str) -> str:
    """A word of marks alone, which are told apart: what they share is dropped elsewhere."""
    folded = _folded(word)
    return word if not folded or _OTHER_MARK in folded else folded


def _without_marks(word: str) -> str:
    """A folded word without its marks, but for those that are kept."""
    if word.isalnum():
        return word
    word = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), _UNITS.sub("", word))
    return _MARKS.sub(lambda mark: mark[1] or "", word)


class _Words(dict[str, str]):
    """Words between white space to what is compared of them, nothing of articles and lone marks; filled as they come.

    An article with a mark behind it is none: "A)", "A,".
    """

    def __missing__(self, word: str) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        folded = _folded(word)
        bare = _without_marks(folded)
        self[word] = bare = "" if bare in ARTICLES and folded.endswith(bare) else bare
        return bare


_WORDS = _Words()


@lru_cache(maxsize=2048)
def words_of(text: str) -> tuple[str, ...]:
    """The text's words as they are compared; none only of a text of white space."""
    raw = text.split()
    words = list(filter(None, map(_WORDS.__getitem__, raw)))
    if not _OPERATORS.isdisjoint(raw):
        words = _with_operators(raw)
    if raw and not _WORDS[raw[-1]]:
        words += _last_article(raw)
        return tuple(words or map(_mark, raw))
    return tuple(words)


def _with_operators(raw: Sequence[str]) -> list[str]:
    """The words, with marks that stand alone between two numbers, 2 + 2, and "< 5" as "<5"."""
    cleaned = [_WORDS[word] for word in raw]
    for i in range(len(raw) - 1):
        before_number = raw[i] in _OPERATORS and cleaned[i + 1].lstrip("+-.")[:1].isdecimal()
        if before_number and raw[i][0] in "<>":
            cleaned[i + 1] = raw[i] + cleaned[i + 1]
        elif before_number and i and cleaned[i - 1][-1:].isdecimal():
            cleaned[i] = _folded(raw[i])
    return list(filter(None, cleaned))


def _last_article(raw: Sequence[str]) -> list[str]:
    """The article that a text ends with, behind which there is no word: then it is none, but a letter or a name."""
    for word in reversed(raw):
        if _WORDS[word]:
            return []
        if bare := _without_marks(_folded(word)):
            return [bare]
    return []
