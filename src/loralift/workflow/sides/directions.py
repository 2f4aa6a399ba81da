"""Is more of it better? What the words in a metric's name say, and nothing where one of them is not known.

A name has a direction only if all of its words are known: ``eval_loss`` has one, ``loss_improvement`` and ``f1_drop``
have none, as the unknown word may reverse it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["share", "signed", "open", "amount", ""]
"""On which scales values of such a name come: ``share``, 0 to 1 or 0 to 100; ``signed``, -1 to 1 or percent; ``open``,
any number; ``amount``, 0 and more: -1 is no latency, but what a tool writes where there is none; empty, not known."""


@dataclass(frozen=True, slots=True)
class Direction:
    """What a metric's name says.

    Attributes:
        higher_is_better: None where it says nothing.
        kind: Of its scale.
    """

    higher_is_better: bool | None
    kind: Kind = ""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HIGHER: dict[Kind, frozenset[str]] = {
    "share": _words(
        "acc accuracy precision recall f1 f2 fscore fmeasure em match exactmatch correct correctness auc auroc auprc "
        "roc map mrr ndcg dcg hit hits pass passed solved solve success win wins sensitivity specificity tpr tnr iou "
        "bleu sacrebleu gleu chrf rouge rougel rougelsum meteor bleurt cider bertscore moverscore faithfulness "
        "relevance relevancy helpfulness harmlessness fluency coherence groundedness truthfulness factuality "
        "compliance mc1 mc2"
    ),
    "signed": _words("mcc kappa pearson pearsonr spearman spearmanr kendall correlation similarity cosine cos comet"),
    "open": _words("likelihood loglikelihood loglik logprob logprobs elo bartscore"),
    "amount": _words("throughput tps rps qps"),
    "": _words("score scores reward rewards"),
}
LOWER: dict[Kind, frozenset[str]] = {
    "share": _words(
        "wer cer mer ter hter ece mce brier fpr fnr toxicity hallucination hallucinations harmfulness mape smape "
        "mismatch"
    ),
    "open": _words("loss nll xent crossentropy bpb bpc bits"),
    "amount": _words(
        "perplexity ppl mse rmse mae rmsle error errors err mistake mistakes distance latency time duration runtime "
        "delay elapsed ttft tpot itl cost costs price memory vram energy "
        "failure failures failed timeout timeouts wrong incorrect violations violation hallucinated toxic"
    ),
}
TIMES = _words("ns us ms s sec secs second seconds minute minutes hour hours")
"""Units of time: less of them is better, unless they are what something is divided by."""

COUNTED = _words("token tokens tok toks word words char chars character characters byte bytes sample samples")
COUNTED |= _words("request requests req reqs query queries row rows item items question questions step steps sentence")
RATES = _words("rate pct percent percentage share fraction proportion frequency")
QUALIFIERS = _words(
    "eval evaluation val valid validation test dev train training mean avg average median total sum overall final best "
    "macro micro weighted norm normalized normalised raw strict loose flexible exact fuzzy partial token level inst "
    "instruction prompt task set split log ln base squared absolute root top at k n of the is a answer answers "
    "context response output generation generated model text semantic sentence edit levenshtein cross character word "
    "byte sample batch lm llm bert sbert multi single choice mc extract filter p e2e to first inter decode prefill "
    "wall clock cpu gpu positive absolute human judge harness squad metrics metric mid stem l lsum max min ratio "
    "probability prob usd eur inference compute processing load gpt"
)
PHRASES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("negative", "log", "likelihood"): ("nll",),
    ("neg", "log", "likelihood"): ("nll",),
    ("negative", "loglikelihood"): ("nll",),
    ("log", "prob"): ("logprob",),
    ("log", "probability"): ("logprob",),
    ("cosine", "distance"): ("distance",),
    ("cross", "entropy"): ("xent",),
    ("end", "to", "end"): ("e2e",),
    ("false", "positive"): ("fpr",),
    ("false", "negative"): ("fnr",),
    ("true", "positive"): ("tpr",),
    ("true", "negative"): ("tnr",),
}
"""Phrases: words with another meaning together than alone."""

_KNOWN = frozenset().union(*HIGHER.values(), *LOWER.values(), TIMES, COUNTED, RATES, QUALIFIERS)
_PIECES = re.compile(r"[A-Z]+\d*(?![a-z])|[A-Z]?[a-z]+\d*|\d+")
_TURNED = re.compile(
    r"^\s*(?:[-!]|\d+\s*[-_ /])"  # -loss, 1-wer, 1/ppl
    r"|[(/=:,]\s*(?:-|\d+\s*[-/]\s*[^\W\d])"  # eval/-loss, (1-wer)
    r"|[^\w\s.,:;/|%@#+()\[\]\-'\"!=]"  # ppl^-1, loss↓, error<5, ∆loss, −loss
    r"|[²³¹⁰-₟]"  # ppl⁻¹
    r"|(?:^|[^a-z])to[^a-z]+(?!first|end)"  # steps_to_solve: until then, few are good
)
"""What may reverse the direction of a name's words, or add a condition to them; then nothing is known."""


def direction_of(name: str) -> Direction:
    """What a metric's name says of it.

    >>> direction_of("eval/loss"), direction_of("rougeLsum").higher_is_better, direction_of("f1_drop")
    (Direction(higher_is_better=False, kind='open'), True, Direction(higher_is_better=None, kind=''))

    Args:
        name: As another tool writes it: ``BLEU-4``, ``pass@1``, ``evalLoss``, ``time_per_token``.
    """
    words = [] if _TURNED.search(name) else _split(name)
    if "per" in words:
        at = words.index("per")
        return _divided(words[:at], words[at + 1 :])
    return _of_words(words)


def _divided(head: list[str], by: list[str]) -> Direction:
    """The direction of one quantity per another: that of the first, but a count per time is a speed."""
    if not by or any(word not in _KNOWN and not word.isdigit() for word in by):
        return Direction(None)
    if by[0] in TIMES and head and all(word in COUNTED | QUALIFIERS for word in head):
        return Direction(True, "amount")
    found = _of_words(head)
    return (
        replace(found, kind="open" if found.kind == "open" else "amount")
        if found.higher_is_better is not None
        else found
    )


def _of_words(words: list[str]) -> Direction:
    if any(word not in _KNOWN and not word.isdigit() for word in words):
        return Direction(None)
    up, down = _kinds(words, HIGHER), _kinds(words, LOWER)
    in_time = any(word in TIMES for word in words)
    if in_time and not down and (up or any(word in COUNTED for word in words)):
        return Direction(None)  # tok_s: tokens a second, or seconds a token?
    if in_time and not down:
        down = ["amount"]
    strong = [kind for kind in up if kind]
    if (strong and down) or not (up or down):
        return Direction(None)
    kinds: list[Kind] = ["share"] if any(word in RATES for word in words) else [*down, *strong, ""]
    is_log = kinds[0] == "amount" and not {"log", "ln"}.isdisjoint(words)
    return Direction(not down, "open" if is_log else kinds[0])


def _kinds(words: list[str], known: dict[Kind, frozenset[str]]) -> list[Kind]:
    return [kind for word in words for kind, of_kind in known.items() if word in of_kind]


def _split(name: str) -> list[str]:
    """The words of a name in lower case, with phrases as one; ``/`` before a unit is ``per``."""
    words: list[str] = []
    for part in re.findall(r"[^\W_]+|/", name):
        words += ["/"] if part == "/" else _pieces(part)
    last = len(words) - 2
    words = [
        "per" if word == "/" and at == last and words[-1] in TIMES | COUNTED else word for at, word in enumerate(words)
    ]
    words = [word for word in words if word != "/"]
    for phrase, meant in PHRASES.items():
        for at in range(len(words) - len(phrase) + 1):
            if tuple(words[at : at + len(phrase)]) == phrase:
                words[at : at + len(phrase)] = meant
    return words


def _pieces(part: str) -> list[str]:
    """One run of letters and digits: a known word as it is (``f1``, ``rougeLsum``), else what its capitals part."""
    whole = part.lower()
    if whole in _KNOWN or whole == "per" or whole.isdigit():
        return [whole]
    pieces = [piece.lower() for piece in _PIECES.findall(part)]
    if len(pieces) > 1 and pieces != [whole]:
        return [word for piece in pieces for word in _pieces(piece)]
    bare = whole.rstrip("0123456789")
    return [bare if bare in _KNOWN else whole]
