"""Merging in place: as exact as the unmerged adapter, and undone to the last bit."""

from __future__ import annotations

import pytest
import torch
from peft import AdaLoraConfig, LoHaConfig, LoKrConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from demo.tiny import train_lora
from loralift.generation import load_transformers
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.transformers_engine import variants
from loralift.generation.transformers_engine.variants import Switch
from tests.models import PAIRS

TARGETS = ["q_proj", "v_proj", "down_proj"]
LORA = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "patterns": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"down_proj": 5}},
    "saved head": {"modules_to_save": ["lm_head"], "ensure_weight_tying": False},
}
UNMERGED = {
    "dora": {"use_dora": True},
    "embeddings": {"target_modules": ["q_proj", "embed_tokens"]},
    "tied head": {"target_modules": ["q_proj", "lm_head"]},
}
OTHERS = {
    "loha": LoHaConfig(r=4, alpha=8, target_modules=TARGETS, task_type="CAUSAL_LM"),
    "lokr": LoKrConfig(r=4, alpha=8, target_modules=TARGETS, task_type="CAUSAL_LM"),
    "adalora": AdaLoraConfig(
        init_r=4, target_r=2, total_step=10, tinit=1, tfinal=1, target_modules=TARGETS, task_type="CAUSAL_LM"
    ),
}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*tie_word_embeddings.*:UserWarning"),  # peft, on saving such an adapter
    pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning"),
    pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning"),
]


def logits(model):
    with torch.inference_mode():
        return model(torch.arange(3, 60)[None]).logits


def random_adapter(tiny_base, config, folder):
    """An adapter of a kind that needs no training to act."""
    torch.manual_seed(0)
    with quiet_loading():
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base), config)
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=0.1 if "lora_E" not in name else 1.0)
        model.save_pretrained(folder)
    return folder


@pytest.fixture(params=[*LORA, *OTHERS])
def merged(request, tiny_base, tmp_path):
    kind = request.param
    if kind in OTHERS:
        folder = random_adapter(tiny_base, OTHERS[kind], tmp_path / "adapter")
    else:
        folder = train_lora(tiny_base, PAIRS, tmp_path / "adapter", rank=4, steps=5, **LORA[kind])
    return load_transformers(str(tiny_base), {"mine": str(folder)}), folder


def weights(generator):
    return {name: weight.detach().clone() for name, weight in generator._loaded.base.named_parameters()}


def test_merged_computes_what_unmerged_does_and_leaves_the_base_as_it_was(merged, tiny_base):
    generator, folder = merged
    before = weights(generator)
    with quiet_loading():
        plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), folder).eval()
    expected = logits(plain)
    with plain.disable_adapter():
        base = logits(plain)
    for _ in range(2):
        generator._switch.to("mine")
        assert generator._switch._kept
        found = logits(generator._loaded.base)
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
        assert not torch.equal(found, base)
        generator._switch.to("base")
        assert torch.equal(logits(generator._loaded.base), base)
        after = weights(generator)
        assert all(torch.equal(after[name], weight) for name, weight in before.items())


@pytest.mark.parametrize("kind", UNMERGED)
def test_what_is_more_than_a_sum_stays_unmerged(kind, tiny_base, tmp_path):
    folder = train_lora(tiny_base, PAIRS, tmp_path / "adapter", rank=4, steps=5, **UNMERGED[kind])
    generator = load_transformers(str(tiny_base), {"mine": str(folder)})
    generator._switch.to("mine")
    assert not generator._switch._kept
    with quiet_loading():
        plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), folder).eval()
    assert torch.equal(logits(generator._loaded.base), logits(plain))


def test_from_one_adapter_to_another_and_back(generator):
    generator._switch.to("letters")
    first = logits(generator._loaded.base)
    generator._switch.to("mlp")
    assert not torch.equal(logits(generator._loaded.base), first)
    generator._switch.to("letters")
    assert torch.equal(logits(generator._loaded.base), first)


@pytest.mark.parametrize(
    ("dtype", "settings"),
    [("bfloat16", LORA[kind]) for kind in ("lora", "rslora", "patterns", "saved head")] + [("float16", LORA["lora"])],
)
def test_in_half_precision_it_is_computed_unmerged(dtype, settings, tiny_base, tmp_path):
    folder = train_lora(tiny_base, PAIRS, tmp_path / "adapter", rank=4, steps=5, **settings)
    generator = load_transformers(str(tiny_base), {"mine": str(folder)}, dtype=dtype)
    base = generator._loaded.base
    before = weights(generator)
    generator._switch.to("base")
    plain = logits(base)
    exact = load_transformers(str(tiny_base), {"mine": str(folder)}, dtype="float32")
    exact._switch.to("base")
    wanted = -logits(exact._loaded.base)
    exact._switch.to("mine")
    wanted += logits(exact._loaded.base)
    for _ in range(2):
        generator._switch.to("mine")
        assert generator._switch._attached
        assert not generator._switch._kept
        shift = logits(base).float() - plain.float()
        # what the adapter adds, up to the rounding of this dtype
        assert (shift - wanted).norm() < 0.2 * wanted.norm()
        generator._switch.to("base")
        assert torch.equal(logits(base), plain)
    assert all(torch.equal(after, before[name]) for name, after in weights(generator).items())
    assert generator.describe().numerics["adapters_act"] == {"mine": "unmerged"}


def test_a_switch_that_does_not_merge_leaves_all_to_peft(tiny_base, tiny_adapter):
    generator = load_transformers(str(tiny_base), {"mine": str(tiny_adapter)}, dtype="bfloat16")
    generator._switch.to("mine")
    unmerged = logits(generator._loaded.base)
    generator._switch.to("base")
    switch = Switch(generator._loaded, merge=False)
    switch.to("mine")
    assert not switch._attached
    in_layers = logits(generator._loaded.base)
    assert (unmerged - in_layers).float().norm() < 0.02 * in_layers.float().norm()


def test_where_memory_is_short_it_stays_unmerged(tiny_base, tiny_adapter, monkeypatch):
    generator = load_transformers(str(tiny_base), {"mine": str(tiny_adapter)})
    monkeypatch.setattr(variants, "free_memory", lambda device: 1000)
    generator._switch.to("mine")
    assert not generator._switch._kept


def test_weights_are_prepacked_as_they_are_merged_and_plain_for_whoever_looks(tiny_base, tiny_adapter, monkeypatch):
    monkeypatch.setattr(variants, "LARGE", 1)
    generator = load_transformers(str(tiny_base), {"mine": str(tiny_adapter)}, dtype="float32", device="cpu")
    assert generator.describe().numerics["products"] == "prepacked"
    base = generator._loaded.base
    found = {}
    for variant in ("base", "mine", "base", "mine"):
        generator._switch.to(variant)
        assert "forward" in vars(base.lm_head)
        again = logits(base)
        assert torch.equal(found.setdefault(variant, again), again)
    with generator.plainly("mine"):
        assert "forward" not in vars(base.lm_head)
        assert torch.allclose(found["mine"], logits(base), atol=1e-4)
    with generator.plainly("base"):
        assert torch.allclose(found["base"], logits(base), atol=1e-4)
    assert not torch.allclose(found["base"], found["mine"], atol=1e-2)


def test_what_the_memory_does_not_hold_is_not_prepacked(tiny_base, monkeypatch):
    monkeypatch.setattr(variants, "LARGE", 1)
    monkeypatch.setattr(variants, "free_memory", lambda device: 1000)
    assert "products" not in load_transformers(str(tiny_base), dtype="float32", device="cpu").describe().numerics
