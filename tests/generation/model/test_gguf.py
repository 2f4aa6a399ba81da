"""A base in a GGUF file answers as the folder it was made from; what is no such file is refused."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from safetensors.torch import load_file

from loralift.errors import MissingExtraError, ModelError
from loralift.generation import GenerationSettings, inspect_base, load_transformers
from loralift.generation.model import gguf
from loralift.generation.vllm import choose
from loralift.records import Prompt
from tests.models import PROMPTS

needs_gguf = pytest.mark.skipif(find_spec("gguf") is None, reason="gguf is not installed")
NAMES = {
    **{"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"},
    **{"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"},
    **{"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"},
}
"""transformers' names of a Llama layer's parts to llama.cpp's."""


def _tensor_name(name: str) -> str:
    if not name.startswith("model.layers."):
        whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
        return whole[name.removesuffix(".weight")] + ".weight"
    number, part = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
    return f"blk.{number}.{NAMES[part]}.weight"


def write_gguf(folder: Path, path: Path, *, bos: bool | None = True) -> None:
    """Write a Llama's folder as llama.cpp's convert_hf_to_gguf does, in float32."""
    from gguf import GGUFWriter, TokenType

    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base((config.get("rope_parameters") or config)["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    vocabulary = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    special = {token["content"] for token in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([TokenType.CONTROL if token in special else TokenType.NORMAL for token, _ in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_bos_token_id(config["bos_token_id"])
    if bos is not None:
        writer.add_add_bos_token(bos)
    for name, tensor in load_file(folder / "model.safetensors").items():
        values = tensor.float().numpy()
        for part, count in (("q_proj", heads), ("k_proj", kv_heads)):
            if part in name:  # llama.cpp rotates neighbours, transformers halves
                halves = values.reshape(count, 2, -1, values.shape[1])
                values = halves.swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(_tensor_name(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@needs_gguf
def test_a_gguf_file_answers_as_the_folder_it_was_made_from(tiny_base, tiny_adapter, tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(tiny_base, path)
    answers = []
    for model in (str(path), str(tiny_base)):
        generator = load_transformers(model, {"mine": str(tiny_adapter)}, dtype="float32", device="cpu")
        tokens = generator.encode(PROMPTS, True)
        prompts = [Prompt(str(n), text, tokens[n]) for n, text in enumerate(PROMPTS)]
        settings = GenerationSettings(max_new_tokens=8)
        answers.append(
            {variant: sorted((a.id, a.text) for a in generator.generate(variant, prompts, settings))
             for variant in generator.variants} | {"tokens": tokens, "made": generator.describe().numerics}
        )  # fmt: skip
    assert answers[0] == answers[1]
    assert answers[0]["base"] != answers[0]["mine"]
    assert answers[0]["made"]["decoding"] == "loop"
    found = inspect_base(str(path))
    assert found.identity.startswith("sha256:")
    assert found.quantization is None
    assert choose.only_transformers(found) == "a GGUF file"


@needs_gguf
def test_whether_a_prompt_begins_with_bos_is_as_the_file_says(tiny_base, tmp_path):
    begins = {}
    for bos in (True, False, None):
        path = tmp_path / f"{bos}.gguf"
        write_gguf(tiny_base, path, bos=bos)
        generator = load_transformers(str(path), dtype="float32", device="cpu")
        begins[bos] = generator.encode(["What"], True)[0][0] == generator.tokenizer.bos_token_id
        assert any("tokenizer.ggml.add_bos_token" in note for note in generator.notes) == (bos is None)
    assert begins[True]
    assert not begins[False]


@needs_gguf
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is no GGUF file"),
        (b"PK\x03\x04", "it is no GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"GGUF\x03\0\0\0", "describes no model that transformers can read"),
        (b"GGUF" + b"\xff" * 64, "describes no model that transformers can read"),
    ],
)
def test_what_is_no_gguf_file_is_refused(tmp_path, content, why):
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(ModelError, match=why):
        inspect_base(str(tmp_path / "x.gguf"))


@needs_gguf
def test_a_gguf_file_that_was_cut_off_is_refused(tiny_base, tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(tiny_base, path)
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(ModelError, match=r"tiny\.gguf"):
        load_transformers(str(path), dtype="float32", device="cpu")


def test_a_gguf_file_that_is_not_there_or_cannot_be_read_is_said(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="there is no such file"):
        inspect_base(str(tmp_path / "none.gguf"))
    shutil.copy(__file__, tmp_path / "x.gguf")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="`--revision` must be left out for a local file"):
        inspect_base(str(tmp_path / "x.gguf"), "main")
    monkeypatch.setattr(gguf, "find_spec", lambda module: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'loralift\[gguf\]'"):
        inspect_base(str(tmp_path / "x.gguf"))


@needs_gguf
def test_a_header_is_parsed_once_and_anew_when_the_file_was_written_to(tiny_base, tmp_path, monkeypatch):
    import gguf as package
    from gguf import gguf_reader

    path = tmp_path / "tiny.gguf"
    write_gguf(tiny_base, path)
    parsed = []

    class Counted(gguf_reader.GGUFReader):
        def __init__(self, path, *args):
            parsed.append(path)
            super().__init__(path, *args)

    monkeypatch.setattr(gguf_reader, "GGUFReader", Counted)
    before = package.GGUFReader, package.get_tensor_name_map
    gguf.forget()
    load_transformers(str(path), dtype="float32", device="cpu")
    assert len(parsed) == 1
    assert (package.GGUFReader, package.get_tensor_name_map) == before
    assert inspect_base(str(path)).begins_with_bos is True
    write_gguf(tiny_base, path, bos=False)
    assert inspect_base(str(path)).begins_with_bos is False
    assert len(parsed) == 3  # let go of once loaded, and written to
