"""What some architectures need beside the common sizes, and the variants that are tried beside the 180 model types.

A tiny model must have all that its architecture is known for: a hybrid at least one layer of each kind, a sliding
window shorter than the prompts, an indexer that leaves tokens out, more than one expert.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

type Settings = Mapping[str, Any]

_LATENT: Settings = {"num_key_value_heads": 4, "head_dim": 8}
"""Multi-head latent attention: as many heads of keys as of queries, and a head_dim that is the rotated part's."""

_SEQ2SEQ: Settings = {"encoder_layers": 4}
"""Their caches have as many layers as the encoder."""

_HYBRID = ["linear_attention", "full_attention", "linear_attention", "full_attention"]

_VISION: Settings = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 16,
}

_QWEN_VISION: Settings = {
    "depth": 1,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_heads": 2,
    "out_hidden_size": 64,
    "num_position_embeddings": 16,
}

_QWEN4: Settings = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 16,
    "indexer_budget": 16,
    "indexer_compress_ratio": 4,
    "layer_types": ["linear_attention", "indexed_attention", "linear_attention", "indexed_attention"],
    "hc_count": 2,
    "hc_lowrank": 16,
}

_DOTS3: Settings = {
    **_LATENT,
    "layer_types": ["indexed_attention", "sliding_attention"] * 2,
    "shared_experts_intermediate_size": 32,
    "swa_num_attention_heads": 4,
    "swa_num_key_value_heads": 4,
    "swa_head_dim": 24,
    "swa_q_lora_rank": 24,
    "swa_kv_lora_rank": 16,
    "swa_qk_nope_head_dim": 16,
    "swa_qk_rope_head_dim": 8,
    "swa_v_head_dim": 16,
}

_GEMMA4: Settings = {
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "num_kv_shared_layers": 2,
    "global_head_dim": 32,
}
"""Heads of two widths, and layers that use the keys and values of an earlier one."""

_ZAMBA2: Settings = {
    "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
    "n_mamba_heads": 8,
    "use_mem_rope": True,
}

_ASSISTANT = "it drafts for Gemma 4 from that model's hidden states and cache, and answers nothing by itself"
_MUSIC = "it makes audio codes from a text encoder's states, not text from text"

LEFT_OUT: Mapping[str, str] = {
    "gemma3n": "its vision tower needs timm, which is not installed; gemma3n_text is the language model alone",
    "gemma4_assistant": _ASSISTANT,
    "gemma4_unified_assistant": _ASSISTANT,
    "musicgen": _MUSIC,
    "musicgen_melody": _MUSIC,
}
"""Model types that no tiny model is built of, and why."""

NEEDS: Mapping[str, Settings] = {
    "axk1": _LATENT,
    "axk2": _LATENT,
    "bailing_hybrid": {**_LATENT, "layer_types": _HYBRID, "head_dim": 16},
    "bamba": {"attn_layer_indices": [1, 3]},
    "bart": _SEQ2SEQ,
    "bigbird_pegasus": {**_SEQ2SEQ, "attention_type": "original_full"},
    "blenderbot": _SEQ2SEQ,
    "blenderbot-small": _SEQ2SEQ,
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    },
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 64},
    },
    "deepseek_v2": _LATENT,
    "deepseek_v3": _LATENT,
    "deepseek_v32": _LATENT,
    "dots3_note": {
        "text_config": _DOTS3,
        "vision_config": {"mlp_layer_types": ["dense"] * 4, "adapter_in_dim": 64, "adapter_out_dim": 64},
        "audio_config": {"adapter_input_size": 64, "adapter_out_dim": 64},
    },
    "dots3_note_text": _DOTS3,
    "gemma3n_text": {"num_kv_shared_layers": 2, "layer_types": ["sliding_attention", "full_attention"] * 2},
    "gemma4": {"text_config": _GEMMA4, "vision_config": _VISION, "audio_config": None},
    "gemma4_text": _GEMMA4,
    "gemma4_unified": {"text_config": _GEMMA4},
    "gemma4_unified_text": _GEMMA4,
    "gemma3": {"vision_config": _VISION, "text_config": {}},
    "glm4_moe_lite": _LATENT,
    "glm_moe_dsa": _LATENT,
    "got_ocr2": {"vision_config": {**_VISION, "mlp_dim": 32, "global_attn_indexes": [0]}, "text_config": {}},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"layer_types": _HYBRID},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {**_LATENT, "layer_types": _HYBRID, "linear_head_dim": 16, "linear_num_heads": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "longcat_flash": {**_LATENT, "num_layers": 2, "zero_expert_num": 2},
    "mamba2": {"num_heads": 8},
    "marian": _SEQ2SEQ,
    "mbart": _SEQ2SEQ,
    "minicpm3": _LATENT,
    "mpt": {"attn_config": {"attn_pdrop": 0}},
    "mvp": _SEQ2SEQ,
    "pegasus": _SEQ2SEQ,
    "plbart": _SEQ2SEQ,
    "qwen4_exp_text": _QWEN4,
    "qwen4_exp": {"text_config": _QWEN4, "vision_config": _QWEN_VISION},
    "prophetnet": {
        "num_encoder_layers": 4,
        "num_decoder_layers": 4,
        "num_encoder_attention_heads": 4,
        "num_decoder_attention_heads": 4,
    },
    "reformer": {"axial_pos_embds_dim": [32, 32], "axial_pos_shape": [16, 32], "attn_layers": ["local"] * 4},
    "whisper": _SEQ2SEQ,
    "xlm": {"causal": True},
    "xlstm": {"qk_dim_factor": 1.0},
    "xmod": {"default_language": "en_XX"},
    "youtu": _LATENT,
    "zamba2": _ZAMBA2,
    "zaya": {"num_experts_per_tok": 1},
}

QUIETER = frozenset(
    {
        *("bart", "bert", "bert-generation", "big_bird", "bigbird_pegasus", "blenderbot-small", "bloom", "camembert"),
        *("ctrl", "data2vec-text", "electra", "ernie", "git", "marian", "mvp", "openai-gpt", "plbart", "prophetnet"),
        *("rembert", "roberta", "roc_bert", "trocr", "xlm", "xlm-roberta", "xlnet", "xmod"),
    }
)
"""Norms after each part, not before it: with matrices as wide as the others' they would repeat one token for ever."""

ROPE_SWITCH = 64
"""Where rotary positions change over: some prompts are longer, with or without their answers, others not."""

_OTHERS = {"rope_theta": 10000.0, "original_max_position_embeddings": ROPE_SWITCH}
_SHORT = [1.0, 1.05, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
_LONG = [1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0]


def _rope(kind: str, **settings: Any) -> Settings:
    return {"rope_parameters": {"rope_type": kind, **_OTHERS, **settings}}


_NO_WINDOW: Settings = {"sliding_window": None}
"""As their later releases have it."""

VARIANTS: Mapping[str, tuple[str, Settings]] = {
    "llama, linear rope": ("llama", _rope("linear", factor=8.0)),
    "llama, dynamic rope": ("llama", {**_rope("dynamic", factor=8.0), "max_position_embeddings": ROPE_SWITCH}),
    "llama, yarn rope": ("llama", _rope("yarn", factor=8.0)),
    "llama, llama3 rope": ("llama", _rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0)),
    "llama, longrope": ("llama", _rope("longrope", factor=8.0, short_factor=_SHORT, long_factor=_LONG)),
    "llama, dynamic rope, within the window": (
        "llama",
        {**_rope("dynamic", factor=8.0), "max_position_embeddings": 104},
    ),
    "llama, tied": ("llama", {"tie_word_embeddings": True}),
    "qwen2, sliding": ("qwen2", {"use_sliding_window": True, "max_window_layers": 2}),
    "falcon, alibi": ("falcon", {"alibi": True}),
    "falcon, new decoder": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "gemma4_text, experts": (
        "gemma4_text",
        {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32},
    ),
    "phi3, longrope": (
        "phi3",
        {
            **_rope("longrope", short_factor=_SHORT, long_factor=_LONG),
            "original_max_position_embeddings": ROPE_SWITCH,
            "sliding_window": None,
        },
    ),
    **{f"{kind}, no window": (kind, _NO_WINDOW) for kind in ("mistral", "mixtral", "ministral3", "phi3", "starcoder2")},
}
