"""Which models take the fast path, and what each model allows.

What was not tested is done the plain way. A model is decoded by our loop only if its type is in ``TESTED`` and its
configuration asks for nothing that ``obstacle`` names; then ``self_check`` compares a few steps of both ways on the
model itself. All others are answered by transformers' own ``generate``. ``docs/architectures.md`` is the table behind
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners import adalora, loha, lokr, lora
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from loralift.generation.base import Decoding, GenerationSettings
from loralift.generation.transformers_engine.likelihood import takes
from loralift.generation.transformers_engine.loop import packed_attention
from loralift.generation.transformers_engine.loop.block_cache import BLOCK
from loralift.generation.transformers_engine.loop.scheduler import cache_columns
from loralift.generation.transformers_engine.rope import Batches, length_dependent
from loralift.records import Prompt

TESTED = frozenset(
    {
        "apertus", "arcee", "aria_text", "bert", "bert-generation", "bitnet", "cohere", "ctrl", "dbrx", "dots1",
        "electra", "ernie", "ernie4_5", "ernie4_5_moe", "flex_olmo", "fuyu", "gemma", "glm", "glm4", "glm4_moe",
        "got_ocr2", "gpt-sw3", "gpt2", "gpt_bigcode", "gpt_neox", "granite", "granitemoe", "granitemoeshared", "helium",
        "hrm_text", "hunyuan_v1_dense", "hunyuan_v1_moe", "hy_v3", "hyperclovax", "internlm3", "iquestcoder", "jais2",
        "lfm2", "llama", "mellum", "minimax_m2", "minimax_m3_vl_text", "ministral3", "mistral", "mixtral", "nanochat",
        "nemotron", "olmo", "olmo2", "olmoe", "opt", "persimmon", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3",
        "qwen3_moe", "roc_bert", "seed_oss", "smollm3", "solar_open", "starcoder2",
    }
)  # fmt: skip
"""Model types, ``config.model_type``: ``make architectures`` found the loop's answers to be those of ``generate``."""

PADDED = frozenset(
    {
        "afmoe", "axk1", "bailing_hybrid", "bamba", "bart", "beam", "big_bird", "bigbird_pegasus", "biogpt",
        "blenderbot", "blenderbot-small", "bloom", "camembert", "codegen", "cohere2", "cohere2_moe",
        "cohere_compass_text", "cpmant", "cwm", "data2vec-text", "deepseek_v2", "deepseek_v3", "deepseek_v4",
        "diffllama", "doge", "exaone4", "exaone_moe", "falcon", "falcon_h1", "falcon_mamba", "flint", "gemma2",
        "gemma3", "gemma3_text", "gemma3n_text", "gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text",
        "git", "glm4_moe_lite", "gpt_neo", "gpt_neox_japanese", "gpt_oss", "gptj", "granite_swa", "granitemoe_swa",
        "granitemoehybrid", "inkling2_text", "inkling_text", "jamba", "jetmoe", "kimi_linear", "kolibri1", "lfm2_moe",
        "lfm3", "llama4", "llama4_text", "longcat_flash", "mamba", "mamba2", "marian", "mbart", "megatron-bert",
        "mimo_v2_flash", "minicpm3", "minimax", "ministral", "modernbert-decoder", "moshi", "moss_transcribe_diarize",
        "mpt", "mvp", "nemotron_h", "olmo3", "olmo_hybrid", "openai-gpt", "pegasus", "phi4_multimodal", "phimoe",
        "plbart", "prophetnet", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next", "qwen4_exp",
        "qwen4_exp_text", "reformer", "rembert", "roberta", "roberta-prelayernorm", "roformer", "stablelm", "trocr",
        "vaultgemma", "whisper", "xglm", "xlm", "xlm-roberta", "xlm-roberta-xl", "xlstm", "xmod", "youtu", "zamba",
        "zamba2", "zaya",
    }
)  # fmt: skip
"""Types that the loop does not take: padded batches of ``generate``, with adapters merged, answered as rows alone."""

KEEPS_STATE = frozenset({"recurrent_gemma"})
"""Types whose layers keep their state between calls: they take a prompt of a single token for the next one of the text
before it."""

LINEAR = (lora.Linear, loha.Linear, lokr.Linear, adalora.SVDLinear)
"""PEFT's layers that add an update to the weight of a linear one."""

STATELESS = (*LINEAR, lora.Embedding)
"""PEFT's layers whose forward pass changes nothing that another thread reads. ``lora.ParamWrapper``, for one, replaces
the weight for the time of its forward pass."""

# Of the memory that is free, the share for the rows' caches; the rest is for activations, prompts' above all.
SHARE_FOR_ROWS = 0.6

# Most running rows. Two CPU cores with a 7M-parameter model made 2,790, 3,180 and 3,620 tokens/s in steps of 256, 384
# and 648 rows; a large GPU is bound by arithmetic beyond.
MOST_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Capability:
    """How the engine runs one loaded model.

    Attributes:
        loop: Whether our own loop decodes; else transformers' ``generate`` does.
        packed: Whether the loop packs its rows, and references are scored packed: on a GPU that has the attention.
        records: Whether packed steps are recorded as CUDA graphs.
        batches: Which rows may meet in a batch of ``generate`` or of references: ``padded`` ones of any lengths, those
            of ``equal lengths``, or none, ``single rows``.
        prepacks: Whether the loop's large linear layers are prepacked on a processor.
        merges: Whether adapters are taken out of PEFT's layers: merged into the weights, or computed beside them.
        obstacle: Why the loop does not decode; None: it does, or nobody wanted it to.
        notes: What a reader of the run must know, one sentence each: why the model is not decoded by the loop, why its
            batches are not padded, why adapters stay in PEFT's layers.
    """

    loop: bool
    packed: bool = False
    records: bool = False
    prepacks: bool = False
    batches: Batches = "padded"
    merges: bool = True
    obstacle: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def decoding(self) -> str:
        """For ``run.json``: ``packed``, ``loop`` or ``generate``."""
        return "packed" if self.packed else "loop" if self.loop else "generate"


def capability_of(base: Any, decoding: Decoding = "auto") -> Capability:
    """What a model allows, as far as its configuration tells; ``self_check`` confirms it.

    Args:
        base: The transformers model.
        decoding: What was asked for. ``loop`` tries a model type that was not tested too.
    """
    if decoding == "generate":
        return without_loop(base, None)
    why = obstacle(base, untested_too=decoding == "loop")
    if why is not None:
        return without_loop(base, why)
    return Capability(loop=True, packed=_can_pack(base), records=_can_record(base))


def without_loop(base: Any, why: str | None) -> Capability:
    """What a model allows that ``generate`` answers.

    Args:
        base: The transformers model.
        why: Why the loop does not; None: nobody wanted it to.
    """
    notes = [f"Answers come from transformers' `generate`: {why}."] if why else []
    tested = kind_of(base) in TESTED | PADDED
    if not tested:
        notes.append(
            "Batches hold rows of one length only, and adapters stay in PEFT's layers: nothing else was tested with "
            "this type of model."
        )
    batches: Batches = "padded" if tested else "equal lengths"
    return Capability(loop=False, batches=batches, merges=tested, obstacle=why, notes=tuple(notes))


def obstacle(base: Any, *, untested_too: bool = False) -> str | None:
    """Why the loop does not take a model; None where it does.

    Our steps write keys and values into a cache of their own and give attention a mask of their own, so every layer
    must be ordinary attention over all tokens before its own, called through transformers' attention interface.

    Args:
        base: The transformers model.
        untested_too: Whether a model type that is not in ``TESTED`` may be tried.
    """
    kind = kind_of(base)
    # first of all: what follows reads private properties, which mean nothing in other classes
    if kind not in TESTED and not untested_too:
        return f"the loop was not tested with models of type {kind!r}"
    try:
        return _obstacle(base)
    except Exception as error:  # noqa: BLE001 - of a class that nobody tested anything may come
        return f"the model does not say how its layers attend ({type(error).__name__})"


def _obstacle(base: Any) -> str | None:
    config = base.config
    text = config.get_text_config()
    layers = DynamicCache(config=config).layers
    missing = [name for name in ("position_ids", "past_key_values", "logits_to_keep") if not takes(base, name)]
    checks = (
        (_is_quantised(base), "its weights are quantised"),
        (len(devices_of(base)) > 1, "it is spread over several devices"),
        (config.is_encoder_decoder, "it has an encoder"),
        (getattr(base, "_is_stateful", False), "it keeps a state that is no cache of keys and values"),
        (not getattr(base, "_supports_attention_backend", False), "its attention cannot be replaced"),
        # these take any mask
        (config._attn_implementation not in ("sdpa", "eager"), f"its attention is {config._attn_implementation}"),
        (
            len(layers) != text.num_hidden_layers or any(type(layer) is not DynamicLayer for layer in layers),
            "some layers see a window of the tokens, share keys, or keep something else than keys and values",
        ),
        (bool(missing), f"its forward pass has no {', '.join(missing)}"),
        (bool(length_dependent(config)), "its rotary embedding depends on the longest row of a batch"),
        (bool(getattr(text, "attn_logit_softcapping", None)), "its attention caps its scores"),
    )
    return next((why for found, why in checks if found), None)


def _is_quantised(base: Any) -> bool:
    """Whether a model computes with weights in fewer bits; those of a GGUF file were turned into plain numbers."""
    quantizer = getattr(base, "hf_quantizer", None)
    method = getattr(getattr(quantizer, "quantization_config", None), "quant_method", None)
    return quantizer is not None and getattr(method, "value", method) != "gguf"


def kind_of(base: Any) -> str:
    """A model's type; of a class from its own files, which transformers puts into one package, one nobody tested."""
    own = type(base).__module__.split(".")[0] == "transformers_modules"
    return f"{type(base).__name__} of its own code" if own else str(base.config.model_type)


def devices_of(base: Any) -> frozenset[torch.device]:
    """The devices on which a model's weights are."""
    return frozenset(parameter.device for parameter in base.parameters())


def threads_may_share(base: Any, capability: Capability, adapter: str | None) -> bool:
    """Whether several threads may run forward passes of a model at the same time.

    A forward pass that changes the module's state, if only for its own time, would change the other thread's. So only
    models that the loop takes are shared, whose code was looked at, with adapters whose layers are known.

    Args:
        base: The transformers model, with PEFT's layers in it.
        capability: Its own.
        adapter: PEFT's name of the adapter that acts; None: none does.
    """
    modules = adapted(base, adapter) if adapter is not None else []
    return capability.loop and all(
        type(module) in STATELESS and adapter not in getattr(module, "lora_variant", {}) for module in modules
    )


def adapted(base: Any, adapter: str) -> list[Any]:
    """PEFT's layers that an adapter is in.

    Args:
        base: The transformers model.
        adapter: PEFT's name of the adapter.
    """
    return [
        module
        for module in base.modules()
        if isinstance(module, BaseTunerLayer) and adapter in module._get_available_adapters()
    ]


def _can_pack(base: Any) -> bool:
    """Whether a model's rows can be packed: on a GPU that has the attention for it."""
    config = base.config.get_text_config()
    return not getattr(config, "v_head_dim", None) and packed_attention.is_there(
        base.device, base.dtype, config.num_attention_heads, *_key_shape(config)
    )


def _key_shape(config: Any) -> tuple[int, int]:
    """Heads of the keys and values, and the dimension of one, of a text model's configuration."""
    heads = config.num_attention_heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    return key_heads, getattr(config, "head_dim", None) or config.hidden_size // heads


def _can_record(base: Any) -> bool:
    """Whether a model's steps can be recorded: its code asks nothing of the numbers that it computes."""
    return base.device.type == "cuda" and bool(getattr(base, "_can_compile_fullgraph", False))


def rows_at_once(model: Any, prompts: Sequence[Prompt], settings: GenerationSettings, free: int) -> int:
    """How many rows may run at once: as many as were asked for, as gain anything, and as the memory holds.

    Args:
        model: The transformers model itself, which the loop takes.
        prompts: Longest first.
        settings: How they are answered.
        free: Bytes that are free.
    """
    # the first and the last block are not full
    span = cache_columns(prompts, settings) + 2 * BLOCK
    return min(settings.batch_size or MOST_ROWS, rows_in_memory(model, span, free))


def rows_in_memory(base: Any, span: int, free: int) -> int:
    """How many rows the free memory holds; at least 1.

    Args:
        base: The transformers model.
        span: Columns of the cache a row: prompt, answer, and what is kept for rows that follow.
        free: Bytes that are free.
    """
    config = base.config.get_text_config()
    heads, width = _key_shape(config)
    number = torch.finfo(base.dtype).bits // 8
    cache = 2 * config.num_hidden_layers * heads * width * number * span
    # float64 logits are what sampling makes of them
    logits = 3 * 8 * config.vocab_size
    return max(int(SHARE_FOR_ROWS * free / (cache + logits)), 1)
