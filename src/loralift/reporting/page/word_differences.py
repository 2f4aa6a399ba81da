"""Which words of two answers a word-by-word comparison does not pair, for marking them side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from rapidfuzz.distance import Indel, Levenshtein

Span = tuple[int, int]
"""From the first character to the one after the last."""

Unmarked = Literal["long", "different"]
"""Why nothing is marked."""

# Chinese and Japanese put no spaces between words: each character counts as one.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_STOPS = '.,;:!?()"'
_WORD = re.compile(rf"[{_CJK}]|(?:[^\s{_CJK}{_STOPS}]|[.,:](?=\w))+|[{_STOPS}]+")

# Longest common subsequences need memory for the product of the lengths; beyond this, Hirschberg's algorithm.
MOST_CELLS = 400_000_000
MOST_WORDS = 60_000
SHORT_RUN = 2
LEAST_COMMON = 0.2


def word_differences(before: str, after: str) -> tuple[list[Span], list[Span]] | Unmarked:
    """Mark the words of two texts that a word-by-word comparison does not pair.

    A common run of one or two words between longer differences is a coincidence ("the", a comma) rather than something
    kept, and is marked with what surrounds it, as in diff-match-patch's semantic cleanup.

    Args:
        before: The baseline's answer.
        after: The candidate's answer.

    Returns:
        The spans of ``before`` and those of ``after``, in characters; empty lists where the words are the same, or
        where a text has none. ``long`` where a text has more than 60,000 words; ``different`` where fewer than a fifth
        of the shorter one's words are paired, so that marks would say nothing: a text that goes on keeps them all.
    """
    if before == after:
        return [], []
    one, other = ([match.span() for match in _WORD.finditer(text)] for text in (before, after))
    if not one or not other:
        return [], []
    if max(len(one), len(other)) > MOST_WORDS:
        return "long"
    words = [before[start:end] for start, end in one], [after[start:end] for start, end in other]
    distance = Indel if len(one) * len(other) <= MOST_CELLS else Levenshtein
    blocks = [tuple(block) for block in distance.opcodes(*words)]
    changes = _joined([block[1:] for block in blocks if block[0] != "equal"])
    kept = len(one) - sum(end - start for start, end, _, _ in changes)
    if kept < LEAST_COMMON * min(len(one), len(other)):
        return "different"
    return _spans(one, (change[:2] for change in changes)), _spans(other, (change[2:] for change in changes))


def compact(text: str, spans: Sequence[Span]) -> list[int]:
    """Spans as lengths in turn, unmarked and marked, in UTF-16 code units: what a browser counts in."""
    lengths, last = [], 0
    for start, end in spans:
        lengths += [_units(text, last, start), _units(text, start, end)]
        last = end
    return lengths


def _units(text: str, start: int, end: int) -> int:
    part = text[start:end]
    return len(part) if part.isascii() else len(part) + sum(character > "\uffff" for character in part)


def _joined(changes: Sequence[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Changes with the short common runs between them taken in."""
    joined: list[tuple[int, int, int, int]] = []
    size_before = 0
    for change in changes:
        size = max(change[1] - change[0], change[3] - change[2])
        if joined:
            last = joined[-1]
            common = change[0] - last[1]
            if common == 0 or (common <= SHORT_RUN and common < min(size_before, size)):
                joined[-1] = (last[0], change[1], last[2], change[3])
                size_before = size_before + size if common == 0 else size
                continue
        joined.append(change)
        size_before = size
    return joined


def _spans(words: Sequence[Span], ranges: Iterable[tuple[int, ...]]) -> list[Span]:
    return [(words[first][0], words[end - 1][1]) for first, end in ranges if end > first]
