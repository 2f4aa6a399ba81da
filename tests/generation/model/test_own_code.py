"""A model whose class lies in its own folder: run only where that is allowed, said, hashed, and by `generate` alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from loralift.errors import ModelError
from loralift.generation import GenerationSettings, inspect_adapters, inspect_base, load_generator, load_transformers
from loralift.records import Prompt
from tests.models import PROMPTS

CODE = """
from transformers import LlamaConfig, LlamaForCausalLM


class OwnConfig(LlamaConfig):
    model_type = "its_own"


class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig

    def forward(self, *args, **kwargs):
        out = super().forward(*args, **kwargs)
        out.logits = out.logits * 1.0
        return out
"""


@pytest.fixture
def own(tiny_base: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    shutil.copytree(tiny_base, folder)
    (folder / "its_own.py").write_text(CODE)
    change(folder, auto_map={"AutoConfig": "its_own.OwnConfig", "AutoModelForCausalLM": "its_own.OwnForCausalLM"})
    change(folder, model_type="its_own", architectures=["OwnForCausalLM"])
    return folder


def change(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def answers(generator, variants):
    tokens = generator.encode(PROMPTS[:4], True)
    prompts = [Prompt(str(n), "", ids) for n, ids in enumerate(tokens)]
    return {
        variant: sorted((a.id, a.text) for a in generator.generate(variant, prompts, GenerationSettings(8)))
        for variant in variants
    }


def test_it_is_refused_until_its_code_is_trusted_and_then_answers(own, tiny_base, tiny_adapter):
    with pytest.raises(ModelError, match="if you have read it and trust it, add --trust-remote-code"):
        inspect_base(str(own))
    base = inspect_base(str(own), trust_remote_code=True)
    infos = inspect_adapters(base, {"mine": str(tiny_adapter)})
    generator = load_generator("transformers", base, infos, dtype="float32", device="cpu")
    assert "runs code of its own (auto_map in its config.json)" in generator.notes[0]
    assert any("Answers come from transformers' `generate`" in note for note in generator.notes)
    assert generator.describe().numerics["decoding"] == "generate"
    plain = load_transformers(str(tiny_base), {"mine": str(tiny_adapter)}, dtype="float32", device="cpu")
    assert answers(generator, ("base", "mine")) == answers(plain, ("base", "mine"))


def test_a_class_of_its_own_under_a_known_type_is_not_taken_for_a_tested_one(own):
    (own / "its_own.py").write_text(CODE.replace('model_type = "its_own"', 'model_type = "llama"'))
    change(own, model_type="llama")
    base = inspect_base(str(own), trust_remote_code=True)
    assert (
        load_generator("transformers", base, dtype="float32", device="cpu").describe().numerics["decoding"]
        == "generate"
    )


def test_its_code_is_a_part_of_what_it_is(own):
    first = inspect_base(str(own), trust_remote_code=True).identity
    (own / "its_own.py").write_text(CODE.replace("* 1.0", "* 2.0"))
    assert inspect_base(str(own), trust_remote_code=True).identity != first


def test_code_in_another_repository_is_refused(own):
    change(own, auto_map={"AutoConfig": "someone/else--its_own.OwnConfig"})
    with pytest.raises(ModelError, match=r"asks for someone/else--its_own\.OwnConfig: fetch the model"):
        inspect_base(str(own), trust_remote_code=True)


def test_code_that_fails_is_one_line(own):
    (own / "its_own.py").write_text("raise RuntimeError('no')")
    with pytest.raises(ModelError, match="describes no model that transformers knows"):
        inspect_base(str(own), trust_remote_code=True)
