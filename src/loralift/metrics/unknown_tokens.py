"""Texts that an embedding model cannot see, for its tokenizer does not know their letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loralift.errors import ModelError
from loralift.metrics.neural import Window, well_formed

Spelled = list[tuple[Sequence[int], Sequence[tuple[int, int]]]]
"""Of each text its token ids and where in the text each token begins and ends."""


def unseen(tokenizer: Any, texts: Sequence[str], windows: Sequence[Sequence[Window]] | None = None) -> list[bool]:
    """Which texts a tokenizer cannot see: fewer than half of their letters and digits lie in tokens that it knows.

    What it does not know becomes its unknown token, a whole word at a time: to an English model two Thai texts of ten
    words are ten equal tokens each, and their similarity is 1. Of a text without letters and digits all characters but
    white space count; a text of white space is seen. A tokenizer that has no unknown token, as one of bytes, sees all.

    Args:
        tokenizer: A fast tokenizer of transformers, or one of tokenizers.
        texts: Any texts.
        windows: Of each text, where they were cut already: only texts that hold an unknown token, or no token at all,
            are then looked at once more.

    Raises:
        ModelError: If the tokenizer is a slow one, which does not say where in a text its tokens stand.
    """
    unknown, spell = _spelling(tokenizer)
    doubtful = list(range(len(texts)))
    if windows is not None:
        doubtful = [i for i, cuts in enumerate(windows) if _is_doubtful(cuts, unknown)]
    blind = [False] * len(texts)
    whole = [well_formed(texts[i]) for i in doubtful]
    for i, text, (ids, offsets) in zip(doubtful, whole, spell(whole) if whole else (), strict=True):
        blind[i] = _mostly_unknown(text, [place for token, place in zip(ids, offsets, strict=True) if token != unknown])
    return blind


def _is_doubtful(windows: Sequence[Window], unknown: int | None) -> bool:
    """Whether a text holds an unknown token, or no token at all."""
    return any(unknown in window.inputs["input_ids"] for window in windows) or not any(
        window.tokens for window in windows
    )


def _spelling(tokenizer: Any) -> tuple[int | None, Callable[[list[str]], Spelled]]:
    """The unknown token's id, None where there is none, and what makes tokens of texts."""
    if hasattr(tokenizer, "encode_batch"):  # of tokenizers, as static embedding models have
        name = getattr(tokenizer.model, "unk_token", None)
        unknown = tokenizer.token_to_id(name) if name else getattr(tokenizer.model, "unk_id", None)
        return unknown, lambda texts: [
            (found.ids, found.offsets) for found in tokenizer.encode_batch(texts, add_special_tokens=False)
        ]

    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{type(tokenizer).__name__} cannot say what it knows: take a model with a fast tokenizer")

    def spell(texts: list[str]) -> Spelled:
        found = tokenizer(texts, add_special_tokens=False, truncation=False, return_offsets_mapping=True, verbose=False)
        return list(zip(found["input_ids"], found["offset_mapping"], strict=True))

    return tokenizer.unk_token_id, spell


def _mostly_unknown(text: str, known: Sequence[tuple[int, int]]) -> bool:
    """Whether fewer than half of the text's letters and digits lie in the known stretches."""
    covered = bytearray(len(text))
    for start, stop in known:
        covered[start:stop] = b"\1" * (stop - start)
    counted = [i for i, letter in enumerate(text) if letter.isalnum()]
    counted = counted or [i for i, letter in enumerate(text) if not letter.isspace()]
    return 2 * sum(covered[i] for i in counted) < len(counted)
