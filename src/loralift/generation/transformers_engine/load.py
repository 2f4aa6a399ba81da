"""Load a base model and its adapters, and check that the tensors in memory are those of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import HfHubHTTPError
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from loralift.errors import AdapterError, ModelError, UsageError, about_adapter, first_line, some, wrong_argument
from loralift.generation.adapter import fit
from loralift.generation.adapter.info import WEIGHTS, AdapterInfo
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.model.tokenization import Texts
from loralift.generation.transformers_engine.batching import is_out_of_memory

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True, slots=True)
class LoadedAdapter:
    """An adapter in memory.

    Attributes:
        info: What it is.
        key: Its name in PEFT, never the user's: PEFT searches the names of all weights for ``.NAME.``, so that it would
            confuse an adapter named ``mlp`` or ``0`` with modules.
    """

    info: AdapterInfo
    key: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A base model with its adapters in memory.

    Attributes:
        source: The base as it was found.
        model: The PeftModel, or the transformers model itself where there are no adapters.
        base: The transformers model inside.
        tokenizer: The base's tokenizer.
        adapters: By the user's names.
        eos: Token ids that end an answer.
        pad: The padding token's id.
        parameters: How many numbers the base's weights have.
        texts: The class that tokenises and decodes.
    """

    source: BaseModel
    model: Any
    base: Any
    tokenizer: Any
    adapters: Mapping[str, LoadedAdapter]
    eos: tuple[int, ...]
    pad: int
    parameters: int
    texts: type[Texts] = Texts

    @property
    def text(self) -> Texts:
        """The tokenizer as the engines use it: encodes prompts, decodes answers."""
        return self.texts(self.tokenizer, self.eos)


def load_model(source: BaseModel, infos: Sequence[AdapterInfo], dtype: str, device: str) -> Loaded:
    """Load a base, then its adapters, and check every adapter's tensors and effect.

    Raises:
        ModelError: The base cannot be loaded.
        AdapterError: An adapter was not loaded as it is, or does not act.
        UsageError: There is no such ``dtype`` or ``device``, or two adapters share a name.
    """
    names = [info.name for info in infos]
    if len(set(names)) < len(names):
        raise UsageError(wrong_argument("--adapter", "given once for each name", ", ".join(names)))
    place = choose_device(device)
    tokenizer = _load_tokenizer(source)
    base = _load_base(source, choose_dtype(dtype, place), place)
    parameters = base.num_parameters()
    eos = _eos_tokens(base, tokenizer)
    pad = tokenizer.pad_token_id
    if pad is None:
        pad = eos[0] if eos else 0  # any token does: the attention mask hides padding
    # without the sampling, penalties and lengths that the model's makers recommend: the run's settings decide these
    base.generation_config = GenerationConfig(eos_token_id=list(eos) or None, pad_token_id=pad)
    model = base
    plain = _probe(base, base) if infos else None
    adapters: dict[str, LoadedAdapter] = {}
    for number, info in enumerate(infos):
        adapter = LoadedAdapter(info, f"loralift_{number}")
        with about_adapter(info.name):
            model = _add_adapter(model, adapter)
        adapters[info.name] = adapter
    model.eval().requires_grad_(False)
    for name, adapter in adapters.items():
        with about_adapter(name):
            _check_effect(model, base, plain, adapter)
    return Loaded(source, model, base, tokenizer, adapters, eos, pad, parameters)


def choose_device(device: str) -> torch.device:
    """The device of a name; ``auto``: cuda, else mps, else cpu.

    Raises:
        UsageError: There is no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name, there in available.items() if there)
    try:
        place = torch.device(device)
    except RuntimeError as cause:
        raise UsageError(wrong_argument("--device", "auto, cpu, cuda, cuda:N or mps", device)) from cause
    too_many = place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count()
    if not available.get(place.type, False) or too_many:
        there = ", ".join(name for name, here in available.items() if here)
        raise UsageError(wrong_argument("--device", f"one that torch finds here ({there})", device))
    return place


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The dtype of a name; ``auto``: float32 on a CPU, bfloat16 on an accelerator, float16 where it has none.

    Raises:
        UsageError: There is no such dtype.
    """
    if dtype == "auto":
        if device.type == "cpu":
            return torch.float32
        old = device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.float16 if old else torch.bfloat16
    if dtype not in _DTYPES:
        raise UsageError(wrong_argument("--dtype", f"auto, {', '.join(_DTYPES)}", dtype))
    return _DTYPES[dtype]


def context_window(base: Any) -> int | None:
    """A model's context window in tokens, ``max_position_embeddings``; None where it has no such limit."""
    window = getattr(base.config.get_text_config(), "max_position_embeddings", None)
    # some configurations say -1 where there is no limit
    return window if isinstance(window, int) and window > 0 else None


def _load_tokenizer(source: BaseModel) -> Any:
    try:
        with quiet_loading():
            return AutoTokenizer.from_pretrained(source.source, revision=source.revision, padding_side="left")
    except (ValueError, OSError, ImportError, KeyError) as cause:
        raise ModelError(f"the tokenizer of {source.source} cannot be loaded: {first_line(cause)}") from cause


def _load_base(source: BaseModel, dtype: torch.dtype, device: torch.device) -> Any:
    """The base model; a weight missing in its files is an error, since transformers would fill in random numbers."""
    options: dict[str, Any] = {"revision": source.revision, "dtype": dtype, "output_loading_info": True}
    if device.type != "cpu":
        options["device_map"] = {"": device}  # straight to the device, without a copy in the CPU's memory
    try:
        with quiet_loading():
            base, report = AutoModelForCausalLM.from_pretrained(source.source, **options)
    except HfHubHTTPError as cause:
        raise ModelError(f"the weights of {source.source} cannot be fetched: {first_line(cause)}") from cause
    except (SafetensorError, OSError, ValueError, ImportError, EOFError) as cause:
        raise ModelError(f"the weights of {source.source} cannot be loaded: {first_line(cause)}") from cause
    except RuntimeError as cause:
        if is_out_of_memory(cause):
            remedy = "use a device with more memory or a smaller dtype (--dtype bfloat16)"
            raise ModelError(f"memory ran out while loading {source.source}: {remedy}") from cause
        raise ModelError(f"the weights of {source.source} do not fit its config.json: {first_line(cause)}") from cause
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"the weights of {source.source} are incomplete or not those of a causal language model, missing: "
            f"{len(missing)} ({some(missing, 2)}); fetch or save the model again"
        )
    return base.eval().requires_grad_(False)


def _add_adapter(model: Any, adapter: LoadedAdapter) -> Any:
    """Add one adapter to the model, and check that its tensors in memory equal the file's; returns the PeftModel."""
    info = adapter.info
    argument = info.argument
    folder = Path(info.path)
    weights = next(folder / name for name in WEIGHTS if (folder / name).is_file())
    tensors = fit.read_tensors(argument, weights)
    if info.base_weights:
        inside = model.get_base_model() if isinstance(model, PeftModel) else model
        state = {name.replace(".base_layer.", "."): tensor for name, tensor in inside.state_dict().items()}
        fit.verify_base_weights(argument, state, tensors, info.base_weights)
    with quiet_loading():
        device = str(model.device)
        if isinstance(model, PeftModel):
            model.load_adapter(info.path, adapter.key, torch_device=device)
        else:
            model = PeftModel.from_pretrained(model, info.path, adapter.key, torch_device=device)
    fit.verify_loaded(argument, model, adapter.key, tensors, info.base_weights)
    return model


def _probe(model: Any, base: Any) -> torch.Tensor:
    """Logits of 16 tokens spread over the vocabulary, 1 x 16 x vocabulary; NaN is 0, so that results can be equal."""
    vocabulary = base.config.get_text_config().vocab_size
    tokens = torch.linspace(0, vocabulary - 1, 16, device=base.device).long()[None]
    with torch.inference_mode():
        return torch.nan_to_num(model(input_ids=tokens).logits)


def _check_effect(model: Any, base: Any, plain: Any, adapter: LoadedAdapter) -> None:
    """Refuse an adapter that changes the base while switched off, or whose logits equal the base's bit by bit.

    Args:
        model: The PeftModel.
        base: The transformers model inside.
        plain: The base's logits before any adapter was loaded.
        adapter: The adapter to check.
    """
    info = adapter.info
    model.set_adapter(adapter.key)
    model.requires_grad_(False)
    with model.disable_adapter():
        switched_off = _probe(model, base)
    if not torch.equal(switched_off, plain):
        raise AdapterError(
            f"`{info.argument}` changes the base even when it is switched off, so the base could not be evaluated "
            "beside it; merge it into a copy of its base and evaluate that as --model in a run of its own"
        )
    # not where the base's logits are all NaN (0 here): proof.py refuses that
    if plain.any() and torch.equal(_probe(model, base), plain):
        raise AdapterError(
            f"`{info.argument}` acts on nothing: with it the model computes exactly what the base does "
            f"({info.strength}, {str(base.dtype).removeprefix('torch.')}); evaluate a checkpoint that was trained, "
            "with the lora_alpha of its training; where its weights are that small, evaluate with --dtype float32"
        )


def _eos_tokens(base: Any, tokenizer: Any) -> tuple[int, ...]:
    """Ids of all tokens that end an answer: the generation config's (chat models have several) and the tokenizer's."""
    ids: set[int] = set()
    for found in (base.generation_config.eos_token_id, tokenizer.eos_token_id):
        ids.update(found if isinstance(found, list) else [] if found is None else [found])
    return tuple(sorted(ids))
