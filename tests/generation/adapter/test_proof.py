"""The proof that an adapter acts: every broken one is caught, every good one is not."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
import torch
from peft import AdaLoraConfig, LoHaConfig, LoKrConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from demo.tiny import train_lora
from loralift.errors import AdapterError, ModelError
from loralift.generation import load_transformers, prove
from loralift.generation.adapter import info
from loralift.generation.adapter.proof import MOST_PROMPTS, divergences, spread
from loralift.generation.model.quiet import quiet_loading
from loralift.records import Prompt
from tests.generation.adapter.broken import BROKEN, each, settings
from tests.models import PAIRS


@pytest.fixture
def copy(tiny_adapter, tmp_path):
    """A copy of the adapter to spoil."""
    return shutil.copytree(tiny_adapter, tmp_path / "adapter")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_adapter_is_caught_and_its_owner_told_what_to_do(name, copy, tiny_base, prompts):
    BROKEN[name].spoil(copy)
    with pytest.raises(AdapterError) as caught:
        prove(load_transformers(str(tiny_base), {"mine": str(copy)}), prompts)
    message = str(caught.value)
    assert message.startswith(f"`--adapter mine={copy}` ")
    assert BROKEN[name].why in message
    assert BROKEN[name].what_to_do in message
    assert "\n" not in message


def test_there_are_broken_adapters_enough():
    assert len(BROKEN) >= 12


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"use_dora": True},
        {"modules_to_save": ["lm_head"], "ensure_weight_tying": False},
        {"trainable_token_indices": [20, 21, 22]},
        {"lora_bias": True, "target_modules": ["q_proj"]},
        {"target_modules": ["v_proj", "embed_tokens"]},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")  # peft, on saving such an adapter
def test_a_good_adapter_is_proved(options, tiny_base, tmp_path, prompts):
    folder = train_lora(tiny_base, PAIRS, tmp_path / "good", rank=4, steps=3, **options)
    (proof,) = prove(load_transformers(str(tiny_base), {"good": str(folder)}), prompts)
    assert proof.adapter == "good"
    assert proof.prompts == len(prompts)
    assert proof.kl_max >= proof.kl_mean > 1e-6
    assert proof.notes == ()


@pytest.mark.parametrize(
    "kind",
    [
        LoHaConfig(r=4, alpha=8, init_weights=False, target_modules=["q_proj"]),
        LoKrConfig(r=4, alpha=8, init_weights=False, target_modules=["q_proj"]),
        AdaLoraConfig(init_r=4, total_step=9, init_lora_weights=False, target_modules=["q_proj"]),
    ],
    ids=lambda kind: kind.peft_type.value,
)
def test_a_good_adapter_of_another_type_is_proved(kind, tiny_base, tmp_path, prompts):
    torch.manual_seed(0)
    with quiet_loading():
        get_peft_model(LlamaForCausalLM.from_pretrained(tiny_base), kind).save_pretrained(tmp_path)
    (proof,) = prove(load_transformers(str(tiny_base), {"good": str(tmp_path)}), prompts)
    assert proof.kl_mean > 1e-7


def test_adapters_that_answer_otherwise_shift_far(generator, prompts):
    letters, mlp = prove(generator, prompts)
    assert (letters.adapter, mlp.adapter) == ("letters", "mlp")
    assert min(letters.kl_mean, mlp.kl_mean) > 1
    assert letters.top_token_changed > 0.5
    assert mlp.top_token_changed > 0.5


def test_the_divergence_is_torchs_own_of_each_prompt_alone(generator, prompts):
    model = generator._loaded.model
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt.token_ids])
        logits = {}
        for variant in ("letters", "base"):
            generator._switch.to(variant)
            with torch.inference_mode():
                logits[variant] = torch.distributions.Categorical(logits=model(ids).logits[0, -1].double())
        expected.append(float(torch.distributions.kl_divergence(logits["letters"], logits["base"])))
    proof = prove(generator, prompts)[0]
    assert proof.kl_mean == pytest.approx(np.mean(expected), rel=1e-5)
    assert proof.kl_max == pytest.approx(max(expected), rel=1e-5)


def test_next_token_probabilities_do_not_depend_on_order_or_batch(generator, prompts):
    together = generator.next_token_log_probabilities("letters", prompts)
    alone = generator.next_token_log_probabilities("letters", prompts[::-1], batch_size=1)[::-1]
    assert together.shape == (len(prompts), generator.base_model.config.vocab_size)
    assert np.exp(together).sum(axis=1) == pytest.approx(np.ones(len(prompts)))
    assert np.abs(together - alone).max() < 1e-4


def test_a_prompt_beyond_the_window_is_refused(generator):
    with pytest.raises(ModelError, match="leave no room for 1 new tokens in the context window of 128"):
        prove(generator, [Prompt("long", "x", (5,) * 128)])


def test_an_update_too_large_for_the_dtype(copy, tiny_base, prompts):
    settings(lora_alpha=1e8)(copy)
    with pytest.raises(AdapterError, match=r"compute NaN on 13 of 13 prompts.*alpha 1e\+08.*--dtype float32"):
        prove(load_transformers(str(tiny_base), {"mine": str(copy)}, dtype="float16"), prompts)


def test_an_adapter_that_was_never_trained_may_hide_behind_its_magnitudes(tiny_base, tmp_path, prompts):
    folder = train_lora(tiny_base, PAIRS, tmp_path / "dora", rank=4, steps=0, use_dora=True)
    # rounded, they are not quite the base's norms any more: every logit moves, and nothing was learnt
    each(lambda tensor: tensor * (1 + 2e-7), "magnitude")(folder)
    with pytest.raises(AdapterError, match="acts on nothing: on 13 prompts it shifts"):
        prove(load_transformers(str(tiny_base), {"mine": str(folder)}), prompts)


def test_an_adapter_that_changes_the_base_is_refused_whatever_its_kind(tiny_base, tmp_path, monkeypatch):
    folder = train_lora(tiny_base, PAIRS, tmp_path / "deep", rank=2, steps=2, layer_replication=[[0, 2], [1, 2]])
    monkeypatch.setattr(info, "_refuse_unsupported", lambda argument, config: None)
    with pytest.raises(AdapterError, match=r"`--adapter mine=.* changes the base even when it is switched off"):
        load_transformers(str(tiny_base), {"mine": str(folder)})


def test_prompts_are_spread_over_all():
    prompts = [Prompt(str(number), "", ()) for number in range(100)]
    few = [int(prompt.id) for prompt in spread(prompts)]
    assert len(few) == MOST_PROMPTS
    assert few[0] == 0
    assert {later - earlier for earlier, later in pairwise(few)} == {6, 7}
    assert spread(prompts[:3]) == prompts[:3]


def test_divergences_of_known_distributions():
    with np.errstate(divide="ignore"):
        one, other = np.log([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]), np.log([[0.25, 0.75, 0.0], [0.2, 0.3, 0.5]])
    assert divergences(one, other) == pytest.approx([0.5 * np.log(2) + 0.5 * np.log(2 / 3), 0.0])


@dataclass
class Stub:
    """A generator whose distributions are given: variant to rows; ``alone`` is the base one prompt at a time."""

    rows: dict
    adapters: dict
    base_model: object = None
    tokenizer: object = field(
        default_factory=lambda: type("Tokenizer", (), {"eos_token_id": None, "bos_token_id": None})
    )

    def next_token_log_probabilities(self, variant, prompts, batch_size=None):
        return np.log(np.array([self.rows["alone" if batch_size == 1 else variant]] * len(prompts)))


def proved(generator, prompts, **rows):
    known = {"letters": generator.adapters["letters"]}
    return prove(Stub({"base": [0.5, 0.5], "alone": [0.5, 0.5]} | rows, known, generator.base_model), prompts)


def test_what_rounding_explains_is_dead_and_what_it_nearly_explains_is_told(generator, prompts):
    with pytest.raises(AdapterError, match="acts on nothing"):
        proved(generator, prompts, alone=[0.51, 0.49], letters=[0.509, 0.491])
    (weak,) = proved(generator, prompts, alone=[0.51, 0.49], letters=[0.52, 0.48])
    assert weak.notes[-1].startswith(
        "It shifts the next token's distribution by 8.0e-04 nats, rounding alone by 2.0e-04"
    )
    (strong,) = proved(generator, prompts, alone=[0.51, 0.49], letters=[0.1, 0.9])
    assert strong.notes == ()
    assert strong.top_token_changed == 1


def test_a_base_that_computes_no_numbers(generator, prompts):
    with pytest.raises(ModelError, match=r"the base computes NaN on 13 of 13 prompts \(q0.*--dtype bfloat16"):
        proved(generator, prompts, base=[float("nan"), 1.0])


def test_a_base_that_overflows_is_not_taken_for_a_dead_adapter(tiny_base, copy, tmp_path, prompts):
    base = shutil.copytree(tiny_base, tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"] *= 2e4
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the base computes NaN on 1. of 13 prompts"):
        prove(load_transformers(str(base), {"mine": str(copy)}, dtype="float16"), prompts)


def test_a_base_alone_has_nothing_to_prove(tiny_base, prompts):
    assert prove(load_transformers(str(tiny_base)), prompts) == ()
