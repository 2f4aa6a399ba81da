"""One architecture of each kind answers as plain generate and PEFT do; `make architectures` asks all of them."""

from __future__ import annotations

import pytest
import torch

from benchmarks.architectures.matrix import examine
from benchmarks.architectures.rounded import examine_rounded

KINDS = {
    "llama": "rotary positions, grouped heads",
    "gpt2": "learned positions",
    "bloom": "positions as a bias of attention (ALiBi)",
    "phi": "partial rotary positions, attention and feed-forward in parallel",
    "llama, longrope": "rotary positions that change with the longest row",
    "mistral": "a sliding window",
    "gemma2": "soft caps, every second layer with a sliding window",
    "gemma4_text": "heads of two widths, layers that share keys and values",
    "gpt_oss": "attention sinks, experts",
    "qwen3_moe": "experts, which PEFT adapts as parameters",
    "deepseek_v3": "latent attention",
    "bamba": "state spaces and attention",
    "lfm2": "convolutions and attention",
    "bert": "an encoder's layers as a decoder",
}
NEW_TOKENS = 4
ONE_IN = 3


@pytest.mark.thorough
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_answers_and_likelihoods_are_those_of_plain_generate_and_peft(name):
    result = examine(name, NEW_TOKENS, ONE_IN)

    assert result.way in ("loop", "generate"), result
    assert len(result.variants) > 1, result.notes
    assert {variant: found for variant, found in result.variants.items() if not found.equal} == {}
    assert all(found.changed > 10 for variant, found in result.variants.items() if variant != "base"), result


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; run by `pytest -m gpu`")
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_bfloat16_on_a_gpu_finds_references_as_likely_as_float32(name):
    result = examine_rounded(name)

    assert result.way in ("loop", "generate"), result
    assert {variant: found for variant, found in result.variants.items() if not found.equal} == {}
