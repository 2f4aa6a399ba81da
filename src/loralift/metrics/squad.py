"""Exact match and token F1 of SQuAD v1.1, by its evaluation script's normalisation and formulas, to the letter.

Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text". For published figures: a text of
articles or marks alone is empty to it, and 1.5 is 15. ``exact_match`` has the same formulas without that.
"""

from __future__ import annotations

import re
import string
from functools import lru_cache

from loralift.metrics.base import Metric, MetricSettings, sign
from loralift.metrics.exact_match import same_words, shared_words
from loralift.metrics.references import best_of

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]+")

_PUNCTUATION = string.punctuation.encode()
_WORDS = (string.ascii_letters + string.digits + " \t\n\r").encode()


@lru_cache(maxsize=2048)
def words_of(text: str) -> tuple[str, ...]:
    """The text's words: lower case, then without punctuation, then without articles."""
    try:
        bare = text.encode("ascii").translate(None, _PUNCTUATION)
    except UnicodeEncodeError:
        bare = b"?"
    if bare.translate(None, _WORDS):  # a mark that the script keeps, next to which an article ends too
        return tuple(ARTICLES.sub(" ", PUNCTUATION.sub("", text.lower())).split())
    return tuple([word for word in bare.decode("ascii").lower().split() if word not in ("a", "an", "the")])


def signature(settings: MetricSettings) -> str:
    """The script has no package: the values are LoraLift's own."""
    made = {"script": "squad-v1.1", "case": "lower", "punctuation": "removed", "articles": "removed"}
    return sign("loralift", **made, **best_of(settings))


SQUAD_EXACT_MATCH = Metric("squad_exact_match", "Exact match (SQuAD)", same_words(words_of), signature, margin=0.01)
SQUAD_F1 = Metric("squad_f1", "Token F1 (SQuAD)", shared_words(words_of), signature, margin=0.01)
