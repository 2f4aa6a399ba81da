"""Tokens that end an answer because the user says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loralift.errors import ModelError, shown


def special_tokens(tokenizer: Any) -> frozenset[str]:
    """The tokens that are left out of every text."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    return frozenset({*added, *tokenizer.all_special_tokens})


def end_id(source: str, text: str, tokenizer: Any, rows: int) -> int:
    """The id of a token that the user named, by its id or its text.

    Raises:
        ModelError: The model has no such token.
    """
    number = int(text) if text.isascii() and text.isdecimal() else tokenizer.get_vocab().get(text)
    if number is None or not 0 <= number < rows:
        raise ModelError(f"`--eos-token` must be a token of {source} or the id of one, below {rows}, got {shown(text)}")
    return int(number)


def named_ends(named: Sequence[str], eos: Sequence[int]) -> dict[str, Any]:
    """What a fingerprint says of all ends where the user named some; the model's own are in its hash."""
    return {"eos_token_ids": list(eos)} if named else {}
