"""On a GPU in bfloat16: packed rows, recorded steps, rows that follow on rows, variants in turns. `pytest -m gpu`."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from loralift.generation import GenerationSettings, inspect_adapter, inspect_base, load_transformers
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.parity.probe import TokenIds
from loralift.generation.transformers_engine.generator import TransformersGenerator
from loralift.generation.transformers_engine.load import load_model
from loralift.generation.transformers_engine.self_check import checked_capability
from loralift.records import Prompt

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; run by `pytest -m gpu`"),
    pytest.mark.filterwarnings("ignore"),
]

VOCABULARY = 400
ENDS = tuple(range(1, VOCABULARY, 23))
"""So many tokens end an answer that rows end at all lengths, and others take their places."""

VARIANTS = ("base", "mine")


@pytest.fixture(scope="module")
def saved(tiny_base, tmp_path_factory):
    """A random Llama and a LoRA that changes nearly every answer."""
    folder = tmp_path_factory.mktemp("gpu")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.04,  # logits as calm as a trained model's: rounding is about as large a share of them
    )
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder / "base")
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder / "base")
    with quiet_loading():
        adapted = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    adapted.save_pretrained(folder / "mine")
    return folder


@pytest.fixture(scope="module")
def generator(saved):
    base = inspect_base(str(saved / "base"))
    loaded = load_model(base, [inspect_adapter("mine", str(saved / "mine"), base.config)], "bfloat16", "cuda")
    return TransformersGenerator(replace(loaded, texts=TokenIds, eos=ENDS), checked_capability(loaded))


@pytest.fixture(scope="module")
def prompts():
    draw = random.Random(0)
    rows = [tuple(draw.randrange(2, VOCABULARY) for _ in range(draw.randint(1, 60))) for _ in range(150)]
    return [Prompt(f"q{row:03}", "", ids) for row, ids in enumerate(rows)]


def tokens(answers):
    return {answer.id: tuple(map(int, answer.text.split())) for answer in answers}


def same(one, other):
    return sum(one[key] == other[key] for key in one) / len(one)


def test_packed_rows_and_recorded_steps_are_what_is_tested_here(generator):
    assert (generator._capability.decoding, generator._capability.records) == ("packed", True)
    assert generator.notes == ()


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_token_is_nearly_the_most_likely_one_of_the_plain_model_in_float32(variant, generator, saved, prompts):
    found = tokens(generator.generate(variant, prompts, GenerationSettings(max_new_tokens=48, batch_size=40)))
    assert len({len(answer) for answer in found.values()}) > 20
    plain = load_transformers(str(saved / "base"), {"mine": str(saved / "mine")}, dtype="float32", decoding="generate")
    plain._switch.to(variant)
    for prompt in prompts:
        answer = found[prompt.id]
        if not answer:
            continue
        with torch.inference_mode():
            text = torch.tensor([[*prompt.token_ids, *answer]], device="cuda")
            logits = plain._loaded.model(text).logits[0, len(prompt.token_ids) - 1 : -1]
        behind = logits.max(-1).values - logits.gather(1, torch.tensor(answer, device="cuda")[:, None])[:, 0]
        # a wrong position or mask takes tokens that are whole deviations behind
        assert float(behind.max()) < 0.3 * float(logits.std()), prompt.id


@pytest.mark.parametrize("variant", VARIANTS)
def test_references_are_as_likely_as_in_float32(variant, generator, saved, prompts):
    references = ["gold are 4 letters. Ask a banker!"] * len(prompts)
    plain = load_transformers(str(saved / "base"), {"mine": str(saved / "mine")}, dtype="float32", device="cpu")
    wanted = {one.id: one for one in plain.reference_likelihoods(variant, prompts, references, " ")}
    for one in generator.reference_likelihoods(variant, prompts, references, " "):
        assert abs(one.log_likelihood - wanted[one.id].log_likelihood) / one.tokens < 0.02


@pytest.mark.parametrize("temperature", [0.7, 1.5])
def test_sampling_with_rows_that_follow_on_rows(temperature, generator, prompts):
    settings = GenerationSettings(max_new_tokens=32, temperature=temperature, top_p=0.95, batch_size=40)
    few = tokens(generator.generate("mine", prompts, settings))
    again = tokens(generator.generate("mine", prompts, settings))
    all_at_once = tokens(generator.generate("mine", prompts, replace(settings, batch_size=150)))
    assert few == again
    # the numbers are the row's own; a token that falls on the border goes to either side by rounding
    assert same(few, all_at_once) > 0.8
    assert same(few, tokens(generator.generate("mine", prompts, replace(settings, seed=1)))) < 0.3


def test_variants_in_turns_answer_as_by_themselves(generator, prompts):
    settings = GenerationSettings(max_new_tokens=48, batch_size=40)
    alone = {variant: tokens(generator.generate(variant, prompts, settings)) for variant in VARIANTS}
    assert same(*alone.values()) < 0.2
    running = {variant: generator.generate(variant, prompts, settings) for variant in VARIANTS}
    found = {variant: [] for variant in VARIANTS}
    while running:
        for variant, answers in list(running.items()):
            answer = next(answers, None)
            if answer is None:
                del running[variant]
            else:
                found[variant].append(answer)
    assert {variant: tokens(answers) for variant, answers in found.items()} == alone


def test_the_base_is_the_base_after_many_switches(generator, prompts):
    settings = GenerationSettings(max_new_tokens=16, batch_size=40)
    before = tokens(generator.generate("base", prompts, settings))
    for _ in range(5):
        list(generator.generate("mine", prompts[:3], settings))
        list(generator.generate("base", prompts[:3], settings))
    assert tokens(generator.generate("base", prompts, settings)) == before
