"""Tokens that end an answer because the user says so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loralift.errors import ModelError
from loralift.generation import GenerationSettings, load_transformers
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.ends import named_ends
from loralift.generation.transformers_engine.load import eos_tokens
from loralift.records import Prompt
from tests.models import PROMPTS


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


@pytest.mark.parametrize("decoding", ["loop", "generate"])
def test_a_further_end_ends_answers_before_it_in_either_way(tiny_base: Path, decoding: Any) -> None:
    generator = load_transformers(str(tiny_base), dtype="float32", device="cpu", decoding=decoding)
    tokens = generator.encode(PROMPTS[:4], True)
    prompts = [Prompt(str(n), text, tokens[n]) for n, text in enumerate(PROMPTS[:4])]
    settings = GenerationSettings(max_new_tokens=8)
    before = {answer.id: answer for answer in generator.generate("base", prompts, settings)}
    (like,) = generator.encode([" like"], False)
    assert len(like) == 1
    generator.end_at(like[0])
    after = {answer.id: answer for answer in generator.generate("base", prompts, settings)}
    assert {one.text.partition(" like")[0] for one in before.values()} == {one.text for one in after.values()}
    assert all(" like" in before[i].text and after[i].finish_reason == "stop" for i in before)
    assert str(like[0]) in generator.base_model.ends
    assert like[0] in generator.describe().numerics["eos_token_ids"]
