"""The table of docs/adapters.md: one adapter of each type of PEFT, beside plain PEFT, one prompt at a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PeftModel
from transformers import AutoConfig, AutoModelForCausalLM

from loralift.errors import AdapterError
from loralift.generation import GenerationSettings, load_transformers, prove
from loralift.generation.adapter import kinds
from loralift.generation.adapter.info import inspect_adapter
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.transformers_engine import load
from tests.generation.adapter.examples import EXAMPLES, TWO, save_example

DOCS = Path(__file__).parents[3] / "docs/adapters.md"
SETTINGS = GenerationSettings(max_new_tokens=6)
REFERENCE = "Some say cash."

REFUSED_SETTINGS = {
    "LORA, alora_invocation_tokens": ("LORA", {"alora_invocation_tokens": [5]}),
    "LORA, arrow_config": ("LORA", {"arrow_config": {"top_k": 2}}),
    "LORA, monteclora_config": ("LORA", {"monteclora_config": {"num_samples": 8}}),
    "PVERA, sample_at_inference": ("PVERA", {"sample_at_inference": True}),
    "VBLORA, save_only_topk_weights": ("VBLORA", {"save_only_topk_weights": True}),
}
REFUSED = {kind: (kind, {}) for kind in kinds.REFUSED} | REFUSED_SETTINGS


def plain(base, folder, prompts, references):
    """What transformers and PEFT give: tokens, and references' summed log-likelihoods."""
    with quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        model = model if folder is None else PeftModel.from_pretrained(model, str(folder))
    model.eval()
    answers, likelihoods = [], []
    with torch.inference_mode():
        for prompt, reference in zip(prompts, references, strict=True):
            ids = torch.tensor([prompt.token_ids])
            made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)
            answers.append(made[0, ids.shape[1] :].tolist())
            logits = model(input_ids=torch.tensor([[*prompt.token_ids, *reference]])).logits[0, ids.shape[1] - 1 : -1]
            chosen = torch.log_softmax(logits.double(), -1).gather(-1, torch.tensor(reference)[:, None])
            likelihoods.append(float(chosen.sum()))
    return answers, likelihoods


def agrees(generator, variant, truth, prompts):
    """Whether a variant's answers are the true ones, and its references as likely to 1e-4 nats a token."""
    tokens, likelihoods = truth
    given = {answer.id: answer.text for answer in generator.generate(variant, prompts, SETTINGS)}
    eos = generator._loaded.eos
    wanted = [generator.tokenizer.decode([one for one in row if one not in eos]).strip() for row in tokens]
    if [given[prompt.id] for prompt in prompts] != wanted:
        return False
    found = generator.reference_likelihoods(variant, prompts, [REFERENCE] * len(prompts), " ")
    scored = {one.id: one.log_likelihood for one in found}
    ours = [scored[prompt.id] for prompt in prompts]
    return bool(np.abs(np.array(ours) - likelihoods).max() < 1e-3)


def note(name):
    kind = name.split(",")[0]
    return f"the only adapter of its run: {kinds.ONE_A_RUN[kind]}" if kind in kinds.ONE_A_RUN else ""


@pytest.fixture(scope="module")
def few(prompts, generator):
    """Prompts of different lengths, and the reference's tokens behind each."""
    (reference,) = generator.encode([f" {REFERENCE}"], False)
    return prompts[-4:], [reference] * 4


@pytest.fixture(scope="module")
def true_base(tiny_base, few):
    return plain(tiny_base, None, *few)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.filterwarnings("ignore")  # PEFT's, of types that it calls experimental
def test_an_adapter_of_each_type_answers_as_plain_peft_does_as_the_docs_say(name, tiny_base, tmp_path, few, true_base):
    prompts, references = few
    folder = save_example(tiny_base, EXAMPLES[name](), tmp_path / "adapter")
    truth = plain(tiny_base, folder, prompts, references)
    assert np.abs(np.subtract(truth[1], true_base[1])).max() > 0.1  # it would be noticed if it did not act

    generator = load_transformers(str(tiny_base), {"mine": str(folder)})
    (proof,) = prove(generator, prompts)
    assert proof.kl_mean > 1e-4
    assert any("draws them from a seed" in one for one in proof.notes) == ("save_projection" in name)
    equal = all(
        (
            agrees(generator, "mine", truth, prompts),
            agrees(generator, "base", true_base, prompts),
            agrees(generator, "mine", truth, prompts),
        )
    )
    way = generator.describe().numerics["decoding"]
    row = f"| {name} | {way} | {'equal' if equal else 'DIFFERS'} | {note(name)} |"
    assert row in DOCS.read_text().splitlines()


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_type_is_refused_as_the_docs_say(name, tiny_base, tmp_path):
    kind, settings = REFUSED[name]
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": kind, **settings}))
    with pytest.raises(AdapterError) as caught:
        inspect_adapter("mine", str(tmp_path), AutoConfig.from_pretrained(tiny_base))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith("; evaluate it with a tool that runs it, and give its answers to `loralift compare`")
    why = message.split(": ", 1)[1].split("; evaluate it")[0]
    assert f"| {name} | refused | – | {why} |" in DOCS.read_text().splitlines()


def test_the_docs_have_every_type_that_this_peft_has():
    rows = [line.split(" | ")[0].removeprefix("| ") for line in DOCS.read_text().splitlines()]
    known = {kind.value for kind in PEFT_TYPE_TO_CONFIG_MAPPING}
    assert known - set(rows) == set()
    assert set(kinds.TYPES) & set(kinds.REFUSED) == set()
    assert {name.split(",")[0] for name in EXAMPLES} == set(kinds.TYPES)


@pytest.mark.parametrize("at_once", [1, 4])
def test_two_adapters_of_another_type_are_each_themselves(at_once, tiny_base, tmp_path, few, true_base, monkeypatch):
    monkeypatch.setattr(load, "AT_ONCE", at_once)
    folders = {
        "one": save_example(tiny_base, peft.HRAConfig(r=4, target_modules=TWO), tmp_path / "one", seed=1),
        "other": save_example(tiny_base, peft.HRAConfig(r=2, target_modules=TWO), tmp_path / "other", seed=2),
    }
    prompts, references = few
    truths = {name: plain(tiny_base, folder, prompts, references) for name, folder in folders.items()}
    generator = load_transformers(str(tiny_base), {name: str(folder) for name, folder in folders.items()})
    for name in ("one", "base", "other", "one"):
        assert agrees(generator, name, truths.get(name, true_base), prompts)


def test_a_second_adapter_that_would_share_the_firsts_projections_is_refused(tiny_base, tmp_path):
    # of one rank and key PEFT would load both, and overwrite the first's projections by the second's
    folders = [
        save_example(tiny_base, peft.VeraConfig(r=8, target_modules=TWO), tmp_path / name, seed=seed)
        for seed, name in enumerate(("one", "other"))
    ]
    with pytest.raises(AdapterError, match=r"other=.* must be the only adapter of its run, being a VERA: PEFT lets"):
        load_transformers(str(tiny_base), dict(zip(("one", "other"), map(str, folders), strict=True)))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("OFT", {"use_cayley_neumann": "false"}, "a use_cayley_neumann that is true or false, got 'false'"),
        ("FOURIERFT", {"scaling": "150"}, "a scaling that is a number, got '150'"),
        ("FOURIERFT", {"n_frequency_pattern": 7}, "a n_frequency_pattern that is numbers by module, got 7"),
        ("IA3", {"feedforward_modules": 7}, "a feedforward_modules that is a list of names"),
        ("IA3", {"feedforward_modules": "(a+)+$("}, "a regular expression that is none (feedforward_modules"),
    ],
)
def test_fields_of_other_types_are_checked(name, changes, message, tiny_base, tmp_path):
    folder = save_example(tiny_base, EXAMPLES[name](), tmp_path / "adapter")
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(AdapterError) as caught:
        inspect_adapter("mine", str(folder), AutoConfig.from_pretrained(tiny_base))
    assert message in str(caught.value)


def test_an_untrained_adapter_of_another_type_acts_on_nothing(tiny_base, tmp_path):
    with quiet_loading():
        model = peft.get_peft_model(
            AutoModelForCausalLM.from_pretrained(tiny_base), peft.IA3Config(target_modules=TWO, feedforward_modules=[])
        )
        model.save_pretrained(tmp_path)
    with pytest.raises(AdapterError, match=r"acts on nothing: .*\(256 numbers, float32\)"):
        load_transformers(str(tiny_base), {"mine": str(tmp_path)})
