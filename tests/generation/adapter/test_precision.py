"""The precision of an adapter's training and of its evaluation, as far as its files say."""

from __future__ import annotations

import pytest

from loralift.generation.adapter.precision import compare_precision
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.quantization import ON_LOAD, Quantization

PEFT_CARD = """## Training procedure

The following `bitsandbytes` quantization config was used during training:
- quant_method: bitsandbytes
- load_in_8bit: False
- load_in_4bit: True
- bnb_4bit_quant_type: nf4
- bnb_4bit_use_double_quant: {double}
- bnb_4bit_compute_dtype: bfloat16
"""
AXOLOTL_CARD = "```yaml\nbase_model: org/model\nload_in_8bit: false\nload_in_4bit: true\nadapter: qlora\n```\n"


def base(name: str | None = None) -> BaseModel:
    return BaseModel("m", None, "sha256:0", None, quantization=name and Quantization(ON_LOAD[name], on_load=True))


@pytest.mark.parametrize(
    ("card", "trained", "used", "said"),
    [
        (PEFT_CARD.format(double=False), "org/m", None, "quantised to nf4 (its README.md) and is evaluated on one"),
        (PEFT_CARD.format(double=False), "org/m", None, "; --quantization nf4 evaluates it so."),
        (PEFT_CARD.format(double=True), "org/m", None, "; --quantization nf4-double evaluates it so."),
        (PEFT_CARD.format(double=True), "org/m", "nf4", "nf4-double (its README.md) and is evaluated on nf4."),
        (AXOLOTL_CARD, "org/m", None, "with its base's rounding it may answer otherwise"),
        ("", "unsloth/llama-3-8b-bnb-4bit", None, "give --model the base it was trained on"),
        ("", "org/model-AWQ", None, "quantised to awq (the name of its base, 'org/model-AWQ')"),
        ("", "org/m", "nf4", "Nothing in its folder says that it was trained on a quantised base"),
        ("It runs with load_in_4bit too.", "org/m", "int8", "Nothing in its folder says"),
    ],
)
def test_another_precision_is_said(tmp_path, card, trained, used, said):
    (tmp_path / "README.md").write_text(card)
    (note,) = compare_precision(tmp_path, trained, base(used))
    assert said in note


@pytest.mark.parametrize(
    ("card", "trained", "used"),
    [
        ("", "org/m", None),
        ("", None, None),
        ("- load_in_4bit: False\n- load_in_8bit: False\n", "org/m", None),
        (PEFT_CARD.format(double=False), "org/m", "nf4"),
        (PEFT_CARD.format(double=True), "org/m", "nf4-double"),
        ("", "unsloth/llama-3-8b-bnb-4bit", "nf4"),
        ("", "org/model-of-1984-bits-and-fp8000", None),
    ],
)
def test_the_same_precision_is_not(tmp_path, card, trained, used):
    (tmp_path / "README.md").write_text(card)
    assert compare_precision(tmp_path, trained, base(used)) == ()


@pytest.mark.parametrize(("bits", "told"), [("4", "nf4-double"), ("8", "int8")])
def test_llama_factorys_configuration_says_it_too(tmp_path, bits, told):
    (tmp_path / "training_args.yaml").write_text(f"stage: sft\nquantization_bit: {bits}\nquantization_method: bnb\n")
    (note,) = compare_precision(tmp_path, "org/m", base())
    assert f"quantised to {told} (its training_args.yaml)" in note
    assert compare_precision(tmp_path, "org/m", base(told)) == ()


def test_a_card_that_cannot_be_read_costs_nothing(tmp_path):
    (tmp_path / "README.md").mkdir()
    assert compare_precision(tmp_path, "org/m", base()) == ()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "README.md").write_bytes(b"\xff\xfe- load_in_4bit: True\n- load_in_4bit: True\n")
    assert len(compare_precision(tmp_path / "there", "org/m", base())) == 1
