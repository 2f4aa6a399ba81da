"""A Llama of 8 billion random numbers with a LoRA: what speed is measured on where no weights can be had.

Speed does not depend on the values. The folder holds all but the weights, which `use_random_weights` makes on the GPU
in place of reading them. Its tokenizer has a token for each word of the texts, so that answers are text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SHAPE: dict[str, Any] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "rope_parameters": {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}
END, UNKNOWN = 0, 1
RANK = 16
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def make(folder: Path, texts: Sequence[str], shape: dict[str, Any] | None = None) -> tuple[Path, Path]:
    """Write a base without weights and an adapter with random ones.

    Args:
        folder: Where; `base/` and `lora/` in it.
        texts: Whose words become tokens.
        shape: Of the model, in place of the 8B one.

    Returns:
        The two folders.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig

    base, lora = folder / "base", folder / "lora"
    config = LlamaConfig(**(shape or SHAPE), dtype="bfloat16", eos_token_id=END, bos_token_id=END, pad_token_id=END)
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(base)
    _save_tokenizer(base, texts, config.vocab_size)
    # what says to a reader of the folder that weights are there
    save_file({"lm_head.weight": torch.zeros(1)}, base / "model.safetensors", metadata={"format": "pt"})
    _save_adapter(lora, config)
    return base, lora


def _save_tokenizer(folder: Path, texts: Sequence[str], size: int) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = dict.fromkeys(word for text in texts for word in re.findall(r"\w+|[^\w\s]+", text))
    names = ["<end>", "<unk>", *words, *(f"w{n}" for n in range(size))][:size]
    tokenizer = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", unk_token="<unk>", pad_token="<end>")
    fast.save_pretrained(folder)


def _save_adapter(folder: Path, config: Any) -> None:
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    hidden, inner = config.hidden_size, config.intermediate_size
    keys = config.num_key_value_heads * (hidden // config.num_attention_heads)
    sizes = {"q_proj": (hidden, hidden), "k_proj": (hidden, keys), "v_proj": (hidden, keys), "o_proj": (hidden, hidden)}
    sizes |= {"gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden)}
    draw = torch.Generator().manual_seed(1)
    tensors = {}
    for layer in range(config.num_hidden_layers):
        for name in MODULES:
            part = "self_attn" if name in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
            place = f"base_model.model.model.layers.{layer}.{part}.{name}"
            inputs, outputs = sizes[name]
            down = torch.randn(RANK, inputs, generator=draw) * inputs**-0.5
            tensors[f"{place}.lora_A.weight"] = down.bfloat16()
            tensors[f"{place}.lora_B.weight"] = (torch.randn(outputs, RANK, generator=draw) * 0.02).bfloat16()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 2 * RANK}
    settings |= {"target_modules": list(MODULES), "bias": "none", "lora_dropout": 0.0}
    (folder / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")


def use_random_weights() -> None:
    """Make both engines of this process fill their models with random numbers on the GPU, which takes 0.3 s."""
    from loralift.generation.model import base_model
    from loralift.generation.model.build import Limit
    from loralift.generation.transformers_engine import load
    from loralift.generation.vllm import load as vllm_load

    base_model.limit_of = lambda held: Limit()  # type: ignore[attr-defined]  # its folder has no weights, by which a base's size is bounded
    load.load_base = random_base
    start = vllm_load._start

    def start_random(source: Any, dtype: str, window: int, work: Any, kept: int, options: Any) -> Any:
        llm = start(source, dtype, window, work, kept, {**options, "load_format": "dummy"})
        model = llm.llm_engine.model_executor.driver_worker.get_model()
        randomise(model)
        return llm

    vllm_load._start = start_random


def random_base(source: Any, dtype: Any, device: Any, device_map: str | None = None) -> Any:
    """A base of the configuration's shape, in place of `load.load_base`; none of its files is unused."""
    import torch
    from transformers import AutoModelForCausalLM

    del device_map
    with torch.device(device):
        base = AutoModelForCausalLM.from_config(source.config, dtype=dtype)
    randomise(base)
    return base.eval().requires_grad_(False), 0


def randomise(model: Any) -> None:
    """Numbers of the size that an initialisation gives, and no answer that ends before its last token."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.02)
            elif "norm" in name:
                parameter.fill_(1.0)
            if name.endswith("lm_head.weight"):
                parameter[END] = 0.0  # some other token is always more likely
