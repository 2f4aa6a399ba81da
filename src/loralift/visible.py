"""Text of strangers (names, keys, tokens, paths, answers) as it may be shown: nothing in it moves a cursor or hides."""

from __future__ import annotations

import unicodedata

_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""What changes the direction of the text around it. Joiners (U+200C, U+200D) are not here: scripts and emoji need
them."""

_LINES = "\n\t"
_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
_ESCAPES = {
    number: repr(chr(number))[1:-1]
    for number in range(0x11000)
    if unicodedata.category(chr(number)) in _HIDDEN or chr(number) in _BIDI
}
_ESCAPES_BUT_LINES = {number: text for number, text in _ESCAPES.items() if chr(number) not in _LINES}


def visible(text: str, *, lines: bool = False) -> str:
    r"""A text whose control characters, terminal sequences and direction marks are shown escaped, as Python does.

    Args:
        text: Anything.
        lines: Whether line feeds and tabs stay as they are.

    >>> print(visible("red: \x1b[31m\n"))
    red: \x1b[31m\n
    """
    return text.translate(_ESCAPES_BUT_LINES if lines else _ESCAPES)


def clipped(text: str, most: int) -> str:
    """A text of at most `most` characters, and how many more there were.

    >>> clipped("abcdef", 4)
    'abcd… (2 more characters)'
    """
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def one_line(text: str, most: int) -> str:
    r"""White space as single spaces, the rest visible, and no more of it than a reader wants.

    >>> one_line("a\n  b", 10)
    'a b'
    """
    # clipped first, so that ten megabytes are not split into words
    return visible(" ".join(clipped(text, most).split()))
