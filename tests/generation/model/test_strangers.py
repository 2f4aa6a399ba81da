"""Folders of strangers: no code of theirs runs, nobody is asked, nothing hangs, and any fault is one line."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from loralift.errors import LoraLiftError, ModelError
from loralift.generation import inspect_base, load_transformers, prove
from loralift.generation.adapter import tokenizer_match
from loralift.generation.model import base_model
from loralift.records import Prompt

NEVER = "import pathlib; pathlib.Path({marker!r}).touch()\nclass Own: pass\n"


@pytest.fixture
def copy(tiny_base, tmp_path):
    return shutil.copytree(tiny_base, tmp_path / "base")


@pytest.fixture
def adapter(tiny_adapter, tmp_path):
    return shutil.copytree(tiny_adapter, tmp_path / "adapter")


@pytest.fixture
def asked(monkeypatch):
    """Whoever asks is answered yes, and noted."""
    questions = []
    monkeypatch.setattr("builtins.input", lambda text="": questions.append(text) or "y")
    return questions


def change(path, **fields):
    old = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(old | fields))


def plant(folder, marker):
    """Code in a folder that leaves a mark where it runs."""
    for name in ("own.py", "custom_generate/generate.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(NEVER.format(marker=str(marker)))


def refusal(model, adapters=None):
    with pytest.raises(LoraLiftError) as caught:
        load_transformers(str(model), adapters)
    message = str(caught.value)
    assert "\n" not in message
    assert "trust_remote_code" not in message
    assert "weights_only" not in message
    return message


OWN = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own", "AutoTokenizer": ["own.Own", "own.Own"]}


def test_code_of_a_folder_that_transformers_knows_itself_is_left_aside_and_said(copy, tmp_path, asked):
    plant(copy, tmp_path / "marker")
    for name in ("config.json", "tokenizer_config.json"):
        change(copy / name, auto_map=OWN)
    generator = load_transformers(str(copy))
    assert type(generator._loaded.base).__module__.startswith("transformers.models.llama")
    assert type(generator.tokenizer).__module__.startswith("transformers.")
    assert "config.json and tokenizer_config.json ask for code" in generator.notes[0]
    assert asked == []
    assert not (tmp_path / "marker").exists()


def test_a_model_that_needs_its_own_code_is_refused(copy, tmp_path, asked):
    plant(copy, tmp_path / "marker")
    change(copy / "config.json", auto_map=OWN, model_type="its_own")
    message = refusal(copy)
    assert "it needs code of its own, which LoraLift does not run" in message
    assert "`loralift compare`" in message
    assert asked == []
    assert not (tmp_path / "marker").exists()


def test_code_of_an_adapters_tokenizer_never_runs(tiny_base, adapter, tmp_path, asked, generator):
    plant(adapter, tmp_path / "marker")
    shutil.copy(tiny_base / "tokenizer.json", adapter)
    change(adapter / "tokenizer_config.json", auto_map=OWN, tokenizer_class="Own")
    tokenizer_match.compare_tokenizers(adapter, generator.tokenizer, [Prompt("q", "gold", (5,))], False)
    assert asked == []
    assert not (tmp_path / "marker").exists()


def test_a_kernel_of_the_hub_is_not_fetched(copy):
    change(copy / "config.json", attn_implementation="someone/kernel")
    assert "code of the hub" in refusal(copy)


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("which", ["base", "adapter"])
def test_weights_that_are_code_are_called_that(which, copy, adapter, tmp_path):
    marker = tmp_path / "marker"
    folder, name = (copy, "pytorch_model.bin") if which == "base" else (adapter, "adapter_model.bin")
    next(folder.glob("*.safetensors")).unlink()
    torch.save({"x": Evil(str(marker))}, folder / name)
    for other in ("training_args.bin", "optimizer.pt", "tokenizer.model"):
        (copy / other).write_bytes(pickle.dumps(Evil(str(marker))))
    message = refusal(copy, {"mine": str(adapter)})
    assert "it holds code, not weights: do not load it" in message
    assert not marker.exists()


def test_a_config_with_fewer_layers_than_its_weights(copy):
    change(copy / "config.json", num_hidden_layers=1)
    assert "with no place in the model it describes: 9 (model.layers.1." in refusal(copy)


def edited(folder, edit):
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_stray_bias_has_no_place_and_other_parts_need_none(copy):
    edited(copy, lambda weights: weights.update({"score.weight": torch.ones(2, 64), "vision_tower.x": torch.ones(2)}))
    assert "2 tensors of its files are not used" in load_transformers(str(copy)).notes[0]
    edited(copy, lambda weights: weights.update({"model.layers.0.self_attn.q_proj.bias": torch.ones(64)}))
    assert "no place in the model it describes: 1 (model.layers.0.self_attn.q_proj.bias)" in refusal(copy)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value, copy):
    edited(copy, lambda weights: weights["model.norm.weight"].__setitem__(3, value))
    assert "have NaN or infinity in 1 tensors (model.norm.weight)" in refusal(copy)


def test_quantised_weights_without_their_scales(copy):
    key = "model.layers.0.mlp.up_proj.weight"
    edited(copy, lambda weights: weights.update({key: weights[key].to(torch.int8)}))
    assert "no quantization_config" in refusal(copy)


def test_a_base_alone_that_computes_no_numbers(copy, prompts):
    edited(copy, lambda weights: weights["model.norm.weight"].mul_(1e38))
    edited(copy, lambda weights: weights["lm_head.weight"].mul_(1e30) if "lm_head.weight" in weights else None)
    generator = load_transformers(str(copy))
    with pytest.raises(ModelError, match="the base computes NaN on 13 of 13 prompts"):
        prove(generator, prompts)
    with pytest.raises(ModelError, match="as the log-likelihood of the reference of q"):
        list(generator.reference_likelihoods("base", prompts[:2], ["a", "b"], " "))


def sharded(folder):
    """The model in two shards with their index; returns the index's path."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    mapping = {}
    for number in (0, 1):
        name = f"model-0000{number + 1}-of-00002.safetensors"
        part = {key: weights[key] for key in sorted(weights)[number::2]}
        save_file(part, folder / name, metadata={"format": "pt"})
        mapping |= dict.fromkeys(part, name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": mapping}))
    return index


def test_a_whole_index_is_fine(copy):
    sharded(copy)
    load_transformers(str(copy))


FIRST, THIRD = "model-00001-of-00002.safetensors", "model-00003-of-00003.safetensors"


@pytest.mark.parametrize(
    ("entries", "beside", "message"),
    [
        ({"x": THIRD}, None, "names 1 files that are not there"),
        ({"x": "../model.safetensors"}, None, "to files of that folder"),
        ({"x": 3}, None, "to files of that folder"),
        ({"x": FIRST}, None, "not the index of the files beside it"),
        ({"model.norm.weight": None}, None, "not the index of the files beside it"),
        ({}, "model.safetensors", "which of them is the model"),
        ({}, THIRD, "does not name 1 files"),
    ],
)
def test_an_index_that_lies(entries, beside, message, copy):
    index = sharded(copy)
    content = json.loads(index.read_text())
    mapping = content["weight_map"] | entries
    content["weight_map"] = {key: file for key, file in mapping.items() if file is not None}
    index.write_text(json.dumps(content))
    if beside:
        shutil.copy(copy / FIRST, copy / beside)
    assert message in refusal(copy)


@pytest.mark.parametrize(
    "sizes",
    [
        {"num_hidden_layers": 10**7},
        {"num_hidden_layers": 10**18},
        {"num_hidden_layers": 20_500},
        {"vocab_size": 10**12},
        {"intermediate_size": 10**9},
        {"hidden_size": 4 * 10**9},
        {"model_type": "mixtral", "num_local_experts": 10**7},
        {"model_type": "gpt2", "n_embd": 64, "n_head": 4, "max_position_embeddings": 10**9},
    ],
    ids=str,
)
@pytest.mark.timeout(60, func_only=True)
def test_absurd_sizes_cost_neither_time_nor_memory(sizes, copy, adapter):
    change(copy / "config.json", **sizes)
    reasons = ("describes a model far larger than", "and its files hold weights for at most")
    for adapters in ({}, {"mine": str(adapter)}):
        message = refusal(copy, adapters)
        assert any(reason in message for reason in reasons), message


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def nowhere(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/no/such/file")


FILES = ("base/config.json", "base/generation_config.json", "base/tokenizer.json", "base/chat_template.jinja",
         "base/model.safetensors", "base/model.safetensors.index.json", "adapter/adapter_config.json",
         "adapter/adapter_model.safetensors")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("become", [pipe, folder, nowhere])
@pytest.mark.timeout(60, func_only=True)
def test_what_is_no_file_is_named_and_never_waited_for(name, become, copy, adapter, tmp_path):
    become(tmp_path / name)
    assert Path(name).name in refusal(copy, {"mine": str(adapter)})


JSONS = ("base/config.json", "base/generation_config.json", "base/tokenizer_config.json", "adapter/adapter_config.json")


@pytest.mark.parametrize("name", JSONS)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"x": 1' + b"0" * 5000 + b"}", "4,300 digits"),
        (b'{"x": 1, "x": 2}', "'x' is there twice"),
        ('{"x": 1}'.encode("utf-16"), "UTF-16"),
        (b'{"x": "\xe9"}', "not UTF-8"),
        (b"\x1f\x8b\x08", "compressed"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_file_that_is_no_json(name, content, reason, copy, adapter, tmp_path):
    (tmp_path / name).write_bytes(content)
    message = refusal(copy, {"mine": str(adapter)})
    assert reason in message
    assert Path(name).name in message


def test_a_byte_order_mark_and_a_file_that_may_not_be_read(copy, monkeypatch):
    (copy / "generation_config.json").write_bytes(b"[]")
    assert "must be a JSON object ({…}), got a list" in refusal(copy)
    monkeypatch.setattr(Path, "glob", lambda *args: (_ for _ in ()).throw(PermissionError()))
    assert "it may not be read" in refusal(copy)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("config.json", {"hidden_size": "abc"}),
        ("config.json", {"hidden_size": None}),
        ("config.json", {"num_attention_heads": 0}),
        ("config.json", {"hidden_act": "no_such"}),
        ("config.json", {"rope_parameters": "abc"}),
        ("config.json", {"rope_parameters": {"rope_type": "no_such"}}),
        ("config.json", {"layer_types": ["full_attention"]}),
        ("config.json", {"dtype": "abc"}),
        ("config.json", {"quantization_config": "abc"}),
        ("config.json", {"pad_token_id": 10**18}),
        ("config.json", {"transformers_weights": "../x.safetensors"}),
        ("generation_config.json", {"eos_token_id": "abc"}),
        ("generation_config.json", {"eos_token_id": 10**18}),
        ("generation_config.json", {"eos_token_id": [[1]]}),
        ("generation_config.json", {"eos_token_id": -3}),
        ("tokenizer_config.json", {"eos_token": 8}),
        ("tokenizer_config.json", {"added_tokens_decoder": "abc"}),
        ("tokenizer_config.json", {"extra_special_tokens": 8}),
        ("tokenizer.json", {"model": 8}),
        ("tokenizer.json", {"decoder": [1]}),
    ],
    ids=str,
)
def test_a_field_of_another_kind(name, fields, copy):
    change(copy / name, **fields)
    message = refusal(copy)
    assert str(copy) in message


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"\x00" * 7, (1 << 60).to_bytes(8, "little") + b"{}", b"version https://git-lfs.github"]
)
@pytest.mark.parametrize("which", ["base/model.safetensors", "adapter/adapter_model.safetensors"])
def test_weights_that_are_cut_off(content, which, copy, adapter, tmp_path):
    (tmp_path / which).write_bytes(content)
    message = refusal(copy, {"mine": str(adapter)})
    assert Path(which).name in message
    assert ("git lfs pull" in message) == (content[:7] == b"version")


def test_tokens_that_the_model_has_no_row_for(generator):
    with pytest.raises(ModelError, match="1 of 1 texts \\(q\\) have tokens beyond the"):
        prove(generator, [Prompt("q", "x", (5, 10**6))])


def test_the_sampled_hash_reads_the_whole_header(copy, monkeypatch):
    monkeypatch.setattr(base_model, "SAMPLE_FROM", 0)
    monkeypatch.setattr("loralift.generation.model.hub._BLOCK", 16)
    first = inspect_base(str(copy)).identity
    assert first.startswith("sampled-sha256:")
    whole = inspect_base(str(copy), full_hash=True).identity
    assert whole.startswith("sha256:")
    path = copy / "model.safetensors"
    content = path.read_bytes()
    for name in (b"layers.0.mlp.up_proj", b"layers.1.self_attn.k_proj", b"norm.weight"):
        at = content.index(name)
        assert at < int.from_bytes(content[:8], "little")
        path.write_bytes(content[:at] + b"X" + content[at + 1 :])
        assert inspect_base(str(copy)).identity != first
    path.write_bytes(content)
    assert inspect_base(str(copy), full_hash=True).identity == whole


if sys.platform == "win32":
    pytestmark = pytest.mark.skip("pipes are POSIX's")
