"""Tokens that end an answer because the user says so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loralift.errors import ModelError
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.ends import named_ends
from loralift.generation.transformers_engine.load import eos_tokens


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(tiny_base)
    found.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    return found


def ends(tokenizer: Any, *named: str, stops: tuple[str, ...] = ()) -> tuple[int, ...]:
    source = BaseModel("base", None, "", None, ends=named, stops=stops)
    return eos_tokens(source, SimpleNamespace(eos_token_id=1), tokenizer, len(tokenizer))


def test_ends_are_named_by_text_or_id_and_special_stops_are_ends(tokenizer: Any) -> None:
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    own = set(ends(tokenizer))
    assert set(ends(tokenizer, "<|im_end|>")) == own | {end}
    assert set(ends(tokenizer, str(end))) == own | {end}
    assert set(ends(tokenizer, stops=("<|im_end|>", "Question:"))) == own | {end}
    assert (named_ends((), [1]), named_ends(("2",), [1, 2])) == ({}, {"eos_token_ids": [1, 2]})


@pytest.mark.parametrize("wrong", ["<|nothing|>", "1000000000", "-1"])
def test_what_is_no_token_is_refused(tokenizer: Any, wrong: str) -> None:
    with pytest.raises(ModelError, match="`--eos-token` must be a token of base or the id of one"):
        ends(tokenizer, wrong)
