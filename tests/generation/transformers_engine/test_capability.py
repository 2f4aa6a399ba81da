"""Which models take the fast path, which rows may meet, and which forward passes threads may share."""

from __future__ import annotations

import random

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BartConfig,
    LlamaConfig,
    MixtralConfig,
    Phi3Config,
)

from loralift.errors import ModelError
from loralift.generation import GenerationSettings, load_transformers
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.transformers_engine import generator as engine
from loralift.generation.transformers_engine.capability import (
    TESTED,
    capability_of,
    obstacle,
    threads_may_share,
)
from loralift.generation.transformers_engine.rope import length_dependent, meeting
from loralift.records import Prompt

VOCABULARY = 400
SIZE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}
MIXTRAL = MixtralConfig(**SIZE, num_local_experts=4, num_experts_per_tok=2)
ORIGINAL = 32
"""Tokens at which the frequencies of `LONGROPE` change."""
LONGROPE = Phi3Config(
    **SIZE,
    eos_token_id=None,  # its own is beyond so small a vocabulary
    original_max_position_embeddings=ORIGINAL,
    rope_parameters={
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0, 3.0, 2.0, 1.5],
        "original_max_position_embeddings": ORIGINAL,
    },
)


@pytest.fixture
def saved(tiny_base, tmp_path):
    """Saves a random model of a configuration beside a tokenizer."""

    def save(config):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
        model.save_pretrained(tmp_path / "base")
        AutoTokenizer.from_pretrained(tiny_base).save_pretrained(tmp_path / "base")
        return tmp_path / "base", model

    return save


def with_experts(model, folder):
    """A LoRA on attention and on the experts, which PEFT wraps as parameters."""
    torch.manual_seed(1)
    config = LoraConfig(
        r=4,
        lora_alpha=16,
        target_modules=["q_proj", "v_proj"],
        target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
        task_type="CAUSAL_LM",
    )
    with quiet_loading():
        adapted = get_peft_model(model, config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    adapted.save_pretrained(folder)
    return folder


def prompts_of(lengths):
    draw = random.Random(3)
    rows = [tuple(draw.randrange(5, VOCABULARY) for _ in range(length)) for length in lengths]
    return [Prompt(f"q{row:03}", "", ids) for row, ids in enumerate(rows)]


def texts(generator, variant, prompts, **settings):
    answers = generator.generate(variant, prompts, GenerationSettings(**settings))
    return {answer.id: answer.text for answer in answers}


def likelihoods(generator, variant, prompts):
    references = ["gold are 4 letters. Ask a banker!"] * len(prompts)
    found = generator.reference_likelihoods(variant, prompts, references, " ")
    return {one.id: one.log_likelihood for one in found}


def test_a_type_that_was_not_tested_is_left_to_generate_and_the_run_says_so(monkeypatch):
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SIZE))
    assert capability_of(model).decoding == "loop"
    monkeypatch.setattr(model.config, "model_type", "llama-of-tomorrow")
    capability = capability_of(model)
    assert (capability.decoding, capability.batches) == ("generate", "equal lengths")
    assert "not tested with models of type 'llama-of-tomorrow'" in capability.notes[0]
    assert capability_of(model, "loop").decoding == "loop"
    assert capability_of(model, "generate").decoding == "generate"


def test_a_model_that_cannot_be_asked_is_left_to_generate():
    class Strange:
        @property
        def config(self):
            return self

        model_type = "llama"

        def get_text_config(self):
            raise AttributeError("no such thing")

    assert "does not say how its layers attend (AttributeError)" in obstacle(Strange())


@pytest.mark.parametrize(
    ("rope", "lengths"),
    [
        ({"rope_type": "default"}, ()),
        ({"rope_type": "llama3", "original_max_position_embeddings": 64}, ()),
        ({"rope_type": "yarn", "factor": 2.0}, ()),
        ({"rope_type": "dynamic", "factor": 2.0}, (256,)),
        ({"rope_type": "longrope", "original_max_position_embeddings": 64}, (64,)),
        ({"rope_type": "of-tomorrow"}, (0,)),
        ({"full_attention": {"rope_type": "longrope", "original_max_position_embeddings": 64}, "sliding": {}}, (64,)),
        (None, ()),
    ],
)
def test_lengths_at_which_rotary_embeddings_change(rope, lengths):
    config = LlamaConfig(**SIZE)
    config.rope_parameters = rope
    assert length_dependent(config) == lengths


def test_rows_that_may_meet():
    key = meeting(LONGROPE)
    assert key(5, 20) == key(12, ORIGINAL)
    assert key(ORIGINAL + 1, 60) == key(80, 90)
    assert len({key(5, 20), key(80, 90), key(20, 40), key(21, 40)}) == 4
    key = meeting(LlamaConfig(**SIZE))
    assert key(5, 20) == key(200, 250)
    key = meeting(LlamaConfig(**SIZE), "equal lengths")
    assert key(5, 20) == key(5, 90) != key(6, 20)


def test_a_rotary_embedding_that_depends_on_the_batch_is_refused_by_the_loop_though_forced():
    assert "phi3" in TESTED
    model = AutoModelForCausalLM.from_config(LONGROPE)
    assert "rotary embedding depends on the longest row" in obstacle(model, untested_too=True)


def test_rows_on_different_sides_of_a_longrope_switch_do_not_meet(saved):
    folder, _ = saved(LONGROPE)
    generator = load_transformers(str(folder))
    # most are short, some long from the beginning, and some become long while they are answered
    prompts = prompts_of([5 + row % 7 for row in range(40)] + [60, 75, 90, 110] * 2 + [24, 24, 25, 28, 31, 31])
    settings = {"max_new_tokens": 12}
    together = texts(generator, "base", prompts, batch_size=72, **settings)
    assert together == texts(generator, "base", prompts, batch_size=1, **settings)
    # of each kind a few by a model that has seen no other row
    fresh = {}
    for prompt in [*prompts[:40:20], *prompts[40:44], *prompts[-6::2]]:
        fresh |= texts(load_transformers(str(folder)), "base", [prompt], **settings)
    assert {key: together[key] for key in fresh} == fresh
    alone = {}
    for prompt in prompts:
        alone |= likelihoods(generator, "base", [prompt])
    assert likelihoods(generator, "base", prompts) == pytest.approx(alone, abs=1e-3)


def test_a_row_does_not_know_of_longer_rows_before_it(saved):
    config = LlamaConfig(**SIZE)
    config.max_position_embeddings = 64
    config.rope_parameters = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0}
    folder, _ = saved(config)
    generator = load_transformers(str(folder))
    assert length_dependent(config) == (64,)
    prompts = prompts_of([40, 50, 20, 8])
    fresh = {}
    for prompt in prompts:
        fresh |= texts(load_transformers(str(folder)), "base", [prompt], max_new_tokens=10)
    assert texts(generator, "base", prompts, max_new_tokens=10) == fresh
    assert texts(generator, "base", prompts[::-1], max_new_tokens=10) == fresh


def test_experts_with_an_adapter_are_not_shared_by_threads(saved, tmp_path, monkeypatch):
    folder, model = saved(MIXTRAL)
    adapter = with_experts(model, tmp_path / "experts")
    monkeypatch.setattr("loralift.generation.transformers_engine.loop.scheduler.sides", lambda: 2)
    monkeypatch.setattr(engine, "sides", lambda: 2)
    generator = load_transformers(str(folder), {"experts": str(adapter)})
    loaded = generator._loaded
    assert generator._capability.loop
    assert threads_may_share(loaded.base, generator._capability, None)
    assert not threads_may_share(loaded.base, generator._capability, loaded.adapters["experts"].key)
    prompts = prompts_of([4 + row % 9 for row in range(70)])
    monkeypatch.setattr("loralift.cores.sides", lambda: 2)
    together = texts(generator, "experts", prompts, max_new_tokens=8, batch_size=70)
    scored = likelihoods(generator, "experts", prompts)
    one = texts(generator, "experts", prompts, max_new_tokens=8, batch_size=1)
    assert together == one
    assert together != texts(generator, "base", prompts, max_new_tokens=8, batch_size=1)
    alone = {}
    for prompt in prompts[:12]:
        alone |= likelihoods(generator, "experts", [prompt])
    assert {key: scored[key] for key in alone} == pytest.approx(alone, abs=1e-3)


def test_threads_share_only_layers_that_are_known(tiny_base, tiny_adapter, tmp_path):
    from demo.tiny import train_lora
    from tests.models import PAIRS

    dora = train_lora(tiny_base, PAIRS, tmp_path / "dora", rank=2, steps=2, use_dora=True)
    generator = load_transformers(str(tiny_base), {"plain": str(tiny_adapter), "dora": str(dora)})
    keys = {name: adapter.key for name, adapter in generator._loaded.adapters.items()}
    base, capability = generator._loaded.base, generator._capability
    assert threads_may_share(base, capability, keys["plain"])
    assert not threads_may_share(base, capability, keys["dora"])
    assert not threads_may_share(base, capability_of(base, "generate"), None)


def test_positions_that_padding_shifts_are_asked_in_batches_of_one_length(saved):
    size = {"d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 48}
    folder, _ = saved(BartConfig(**size, vocab_size=VOCABULARY, max_position_embeddings=128, init_std=0.3))
    generator = load_transformers(str(folder))
    assert generator._capability.decoding == "generate"
    assert generator.describe().numerics["batches"] == "equal lengths"
    assert any("Batches hold rows of one length only" in note for note in generator.notes)
    prompts = prompts_of([4 + row % 5 for row in range(20)])
    together = texts(generator, "base", prompts, max_new_tokens=6)
    assert together == texts(generator, "base", prompts, max_new_tokens=6, batch_size=1)
    scored = generator.next_token_log_probabilities("base", prompts)
    assert scored == pytest.approx(generator.next_token_log_probabilities("base", prompts, batch_size=1), abs=1e-4)


def test_rows_that_even_spoil_rows_of_their_length_are_asked_one_at_a_time(saved):
    from transformers import RwkvConfig

    size = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "context_length": 64}
    folder, _ = saved(RwkvConfig(**size, bos_token_id=0, eos_token_id=1))
    generator = load_transformers(str(folder))
    assert generator.describe().numerics["batches"] == "single rows"
    assert "Rows are asked one at a time" in generator.notes[-1]
    prompts = prompts_of([3 + row % 3 for row in range(12)])
    together = texts(generator, "base", prompts, max_new_tokens=6)
    assert together == texts(generator, "base", prompts, max_new_tokens=6, batch_size=1)


def test_a_model_that_keeps_its_state_is_not_asked_single_tokens(tiny_base, prompts, monkeypatch):
    generator = load_transformers(str(tiny_base))
    monkeypatch.setattr(engine, "KEEPS_STATE", {"llama"})
    one = Prompt("q1", "", (5,))
    with pytest.raises(ModelError, match=r"1 prompts have a single token \(q1\)"):
        generator.next_token_log_probabilities("base", [*prompts[:2], one])
    with pytest.raises(ModelError, match="leave them out"):
        list(generator.generate("base", [one], GenerationSettings(max_new_tokens=8)))
