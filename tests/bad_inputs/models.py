"""Base models. `given` is a file of the model and how it is spoiled, and perhaps flags."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from tests.bad_inputs.adapters import renamed, tensors
from tests.bad_inputs.case import (
    DIGITS,
    GZIP,
    UTF16,
    Case,
    a_folder,
    a_link_to_nothing,
    a_pipe,
    cut,
    lacking,
    nested,
    removed,
    setting,
)

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
WEIGHTS = "model.safetensors"


def field(**values: Any) -> tuple[str, Any]:
    """The configuration with other values."""
    return CONFIG, setting(**values)


def template(text: Any) -> tuple[str, Any, str]:
    """The model with a chat template, which is used."""
    return SETTINGS, setting(chat_template=text), "--chat-template"


def more(**extra: Any) -> Any:
    """The weights with more tensors."""

    def change(path: Path) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        save_file(load_file(path) | {key: torch.zeros(shape) for key, shape in extra["shapes"].items()}, path)

    return change


CONFIGS = (
    Case("removed", (CONFIG, removed), CONFIG),
    Case("a folder", (CONFIG, a_folder), CONFIG),
    Case("a link to nothing", (CONFIG, a_link_to_nothing), CONFIG),
    Case("a pipe that nobody fills", (CONFIG, a_pipe), CONFIG),
    Case("empty", (CONFIG, ""), CONFIG),
    Case("broken", (CONFIG, cut(-3)), CONFIG),
    Case("UTF-16", (CONFIG, "{}".encode(UTF16)), CONFIG),
    Case("compressed", (CONFIG, GZIP), CONFIG),
    Case("a list", (CONFIG, "[]"), CONFIG),
    Case("null", (CONFIG, "null"), CONFIG),
    Case("an empty map", (CONFIG, "{}"), "model_type"),
    Case("too deep", (CONFIG, nested('{"a":', "}")), CONFIG),
    Case("5,000 digits", (CONFIG, f'{{"model_type": "llama", "vocab_size": {DIGITS}}}'), CONFIG),
    Case("a key twice", (CONFIG, '{"model_type": "llama", "model_type": "gpt2"}'), "model_type"),
    Case("a kind that is unknown", field(model_type="warp"), "warp"),
    Case("a kind that is a number", field(model_type=7), "stranger"),
    Case("a kind that is a list", field(model_type=["llama"]), "stranger"),
    Case("a kind that answers nothing", field(model_type="bert"), "bert"),
    Case("code of its own", field(model_type="warp", auto_map={"AutoConfig": "evil.Config"}), "code"),
    Case("layers a text", field(num_hidden_layers="2"), "num_hidden_layers"),
    Case("layers null", field(num_hidden_layers=None), "num_hidden_layers"),
    Case("layers a list", field(num_hidden_layers=[2]), "num_hidden_layers"),
    Case("layers negative", field(num_hidden_layers=-2), "base"),
    Case("layers fewer than the weights", field(num_hidden_layers=1), "layers.1"),
    Case("layers more than the weights", field(num_hidden_layers=3), "layers.2"),
    Case("layers without end", field(num_hidden_layers=10**7), "num_hidden_layers"),
    Case("hidden size zero", field(hidden_size=0), "config.json"),
    Case("hidden size odd", field(hidden_size=63), "stranger"),
    Case("hidden size beyond memory", field(hidden_size=10**9), "stranger"),
    Case("hidden size a fraction", field(hidden_size=64.5), "hidden_size"),
    Case("heads zero", field(num_attention_heads=0), "stranger"),
    Case("key heads that do not divide", field(num_key_value_heads=3), "base"),
    Case("vocabulary smaller than the tokenizer's", field(vocab_size=100), "stranger"),
    Case("vocabulary beyond memory", field(vocab_size=10**12), "stranger"),
    Case("vocabulary a text", field(vocab_size="many"), "vocab_size"),
    Case("context a text", field(max_position_embeddings="long"), "max_position_embeddings"),
    Case("activation unknown", field(hidden_act="warp"), "warp"),
    Case("activation a number", field(hidden_act=7), "hidden_act"),
    Case("rotary kind unknown", field(rope_parameters={"rope_type": "warp", "rope_theta": 1e4}), "warp"),
    Case("rotary settings a text", field(rope_parameters="long"), "rope"),
    Case("rotary base a text", field(rope_parameters={"rope_type": "default", "rope_theta": "x"}), "config.json"),
    Case("number type unknown", field(dtype="float33"), "float33"),
    Case("number type a list", field(dtype=["float32"]), "stranger"),
    Case("end token a text", field(eos_token_id="</s>"), "eos_token_id"),
    Case("quantised by a text", field(quantization_config="4bit"), "stranger"),
)

TOKENIZERS = (
    Case("removed", (TOKENIZER, removed), "tokenizer"),
    Case("a folder", (TOKENIZER, a_folder), "tokenizer"),
    Case("empty", (TOKENIZER, ""), "tokenizer"),
    Case("broken", (TOKENIZER, cut(-9)), "tokenizer"),
    Case("a list", (TOKENIZER, "[]"), "tokenizer"),
    Case("an empty map", (TOKENIZER, "{}"), "tokenizer"),
    Case("too deep", (TOKENIZER, nested('{"a":', "}")), "tokenizer"),
    Case("UTF-16", (TOKENIZER, "{}".encode(UTF16)), "tokenizer"),
    Case("without a model", (TOKENIZER, lacking("model")), "tokenizer"),
    Case("a model that is unknown", (TOKENIZER, setting(model__type="warp")), "tokenizer"),
    Case("a vocabulary that is a list", (TOKENIZER, setting(model__vocab=[])), "tokenizer"),
    Case("settings broken", (SETTINGS, cut(-3)), SETTINGS),
    Case("settings a list", (SETTINGS, "[]"), SETTINGS),
    Case("settings a folder", (SETTINGS, a_folder), SETTINGS),
    Case("settings too deep", (SETTINGS, nested('{"a":', "}")), SETTINGS),
    Case("settings with a key twice", (SETTINGS, '{"eos_token": "</s>", "eos_token": "a"}'), SETTINGS),
    Case("a class that is a number", (SETTINGS, setting(tokenizer_class=7)), "tokenizer"),
    Case("an end token that is a number", (SETTINGS, setting(eos_token=7)), "eos_token"),
    Case("an end token that is a list", (SETTINGS, setting(eos_token=["</s>"])), "eos_token"),
)

TEMPLATES = (
    Case("none", (SETTINGS, setting(), "--chat-template"), "--chat-template"),
    Case("not closed", template("{% for m in messages %}"), "chat template"),
    Case("broken", template("{{ 7 +"), "chat template"),
    Case("a number", template(7), "chat"),
    Case("a map", template({"a": "b"}), "chat"),
    Case("a filter that is unknown", template("{{ messages | warp }}"), "chat template"),
    Case("a division by zero", template("{{ 1 / 0 }}"), "chat template"),
    Case("what is undefined", template("{{ a.b.c }}"), "chat template"),
    Case("its own refusal", template("{{ raise_exception('no system role') }}"), "no system role"),
    Case(
        "a way out of the sandbox", template("{{ messages.__class__.__mro__[-1].__subclasses__() }}"), "chat template"
    ),
    Case("a file of this machine", template("{% include '/etc/passwd' %}"), "chat template"),
    Case(
        "a loop without end",
        template("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
        "chat template",
    ),
    Case("a loop beyond the sandbox", template("{% for a in range(10**9) %}{% endfor %}"), "chat template"),
    Case("a text beyond memory", template("{{ 'x' * 10**11 }}"), "chat template"),
    Case("a power beyond time", template("{{ 9 ** (9 ** 9) % 7 }}"), "chat template"),
    Case("a macro in itself", template("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"), "chat template"),
    Case("nested too deeply", template("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}"), "chat template"),
    Case("an empty prompt", template("{# nothing #}"), "chat template"),
)

FILES = (
    Case("removed", (WEIGHTS, removed), "stranger"),
    Case("a folder", (WEIGHTS, a_folder), WEIGHTS),
    Case("a link to nothing", (WEIGHTS, a_link_to_nothing), "stranger"),
    Case("a pipe that nobody fills", (WEIGHTS, a_pipe), WEIGHTS),
    Case("empty", (WEIGHTS, b""), WEIGHTS),
    Case("torn", (WEIGHTS, cut(-100)), "stranger"),
    Case("a header of 2^60 bytes", (WEIGHTS, struct.pack("<Q", 2**60) + b"{}"), WEIGHTS),
    Case("compressed", (WEIGHTS, GZIP), WEIGHTS),
    Case("a Git LFS pointer", (WEIGHTS, b"version https://git-lfs.github.com/spec/v1\n"), WEIGHTS),
    Case("keys of another model", (WEIGHTS, renamed("layers", "blocks")), "stranger"),
    Case("one layer missing", (WEIGHTS, renamed("layers.1", "layers.7")), "layers.1"),
    Case("a stray bias", (WEIGHTS, more(shapes={"model.layers.0.self_attn.q_proj.bias": (64,)})), "q_proj.bias"),
    Case("a stray layer", (WEIGHTS, more(shapes={"model.layers.9.self_attn.q_proj.weight": (64, 64)})), "layers.9"),
    Case("NaN", (WEIGHTS, tensors(every=lambda tensor: tensor / 0 * 0)), "NaN"),
    Case("infinite", (WEIGHTS, tensors(every=lambda tensor: tensor.abs() / 0)), "stranger"),
    Case("one row short", (WEIGHTS, tensors(every=lambda tensor: tensor[1:])), "stranger"),
)
