"""Bases in fewer bits: how they are named, what is refused, and that their answers are transformers' own."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from loralift.errors import MissingExtraError, ModelError
from loralift.generation import GenerationSettings, inspect_base, load_transformers
from loralift.generation.model import quantization
from loralift.generation.model.quantization import ON_LOAD, Quantization, asked_for, of_config
from loralift.generation.vllm import choose
from loralift.records import Prompt
from tests.models import PROMPTS

needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")


@pytest.mark.parametrize(
    ("settings", "name", "bits"),
    [
        *((ON_LOAD[name], name, 8 if name == "int8" else 4) for name in ON_LOAD),
        ({"load_in_4bit": True}, "fp4", 4),
        ({"quant_method": "gptq", "bits": 4}, "4-bit gptq", 4),
        ({"quant_method": "awq", "w_bit": 4}, "4-bit awq", 4),
        ({"quant_method": "fp8"}, "fp8", 8),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors", None),
    ],
)
def test_a_quantization_has_a_name_and_bits(settings, name, bits):
    found = Quantization(settings)
    assert (found.name, found.bits) == (name, bits)
    assert found.follows_the_batch == (name == "int8")


def test_what_is_quantised_already_is_not_quantised_again():
    config = SimpleNamespace(quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ModelError, match=r"`--quantization` must be left out for m: .*already \(4-bit gptq\)"):
        asked_for("nf4", config, "m")
    assert asked_for(None, config, "m").notes == ("Its weights are quantised in its files: 4-bit gptq.",)
    assert of_config(SimpleNamespace()) is None


@pytest.mark.parametrize(
    ("name", "config"), [("nf4", None), (None, SimpleNamespace(quantization_config={"load_in_8bit": True}))]
)
def test_a_missing_bitsandbytes_is_said_with_its_pip_line(monkeypatch, name, config):
    monkeypatch.setattr(quantization, "find_spec", lambda module: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'loralift\[bitsandbytes\]'"):
        asked_for(name, config, "m")


@pytest.mark.parametrize("wrong", ["gptq", 4, [4], True])
def test_a_quantization_config_that_is_none_is_refused(wrong):
    with pytest.raises(ModelError, match="the quantization_config of m cannot be read"):
        asked_for(None, SimpleNamespace(quantization_config=wrong), "m")


@needs_bitsandbytes
def test_vllm_is_not_given_what_is_quantised_on_loading(tiny_base):
    assert choose.only_transformers(inspect_base(str(tiny_base))) is None
    assert "quantised" in choose.only_transformers(inspect_base(str(tiny_base), quantization="nf4"))


def _answers(model, tokenizer, prompts):
    """Plain transformers and PEFT, one prompt at a time."""
    for text in prompts:
        ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        yield tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True).strip()


@needs_bitsandbytes
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["nf4", "int8"])
def test_a_base_quantised_on_loading_and_its_adapter_answer_as_plain_peft_does(tiny_base, tiny_adapter, name):
    generator = load_transformers(
        str(tiny_base), {"mine": str(tiny_adapter)}, dtype="float32", device="cpu", quantization=name
    )
    texts = PROMPTS[:3]
    tokens = generator.encode(texts, True)
    prompts = [Prompt(str(n), text, tokens[n]) for n, text in enumerate(texts)]
    numerics = generator.describe().numerics
    assert (numerics["quantization"], numerics["decoding"]) == (name, "generate")
    assert numerics["adapters_act"] == {"mine": "layers"}
    assert numerics["batches"] == ("single rows" if name == "int8" else "padded")
    assert f"Its weights are quantised as they are loaded: {name}" in generator.notes[0]

    plain = AutoModelForCausalLM.from_pretrained(
        tiny_base, dtype=torch.float32, quantization_config=BitsAndBytesConfig(**ON_LOAD[name])
    )
    quantization.compute_in_its_dtype(plain)  # else in bfloat16 on some processors, whatever the dtype
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    wanted = {"base": list(_answers(plain, tokenizer, texts))}
    wanted["mine"] = list(_answers(PeftModel.from_pretrained(plain, tiny_adapter), tokenizer, texts))
    assert wanted["mine"] != wanted["base"]
    for variant, expected in wanted.items():
        found = sorted(generator.generate(variant, prompts, GenerationSettings(max_new_tokens=8)), key=lambda a: a.id)
        assert [answer.text for answer in found] == expected


@needs_bitsandbytes
@pytest.mark.filterwarnings("ignore")
def test_on_no_processor_are_float32_products_rounded_to_bfloat16(tiny_base, monkeypatch):
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    base = load_transformers(str(tiny_base), dtype="float32", device="cpu", quantization="nf4")._loaded.base
    asked = [module.support_avx512bf16_for_cpu for module in base.modules() if hasattr(module, "quant_state")]
    assert asked
    assert not any(asked)
