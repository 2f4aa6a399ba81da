"""Load a base model and its adapters, and check that the tensors in memory are those of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from loralift.errors import AdapterError, ModelError, UsageError, about_adapter, first_line, wrong_argument
from loralift.generation.adapter import fit, kinds
from loralift.generation.adapter.info import WEIGHTS, AdapterInfo, hash_adapter
from loralift.generation.model import gguf
from loralift.generation.model.base_model import BaseModel
from loralift.generation.model.build import bounded
from loralift.generation.model.ends import end_id, special_tokens
from loralift.generation.model.loading import loading
from loralift.generation.model.quantization import compute_in_its_dtype, loading_options
from loralift.generation.model.tokenization import Texts
from loralift.generation.transformers_engine.batching import is_out_of_memory
from loralift.generation.transformers_engine.sound import refuse_no_numbers, refuse_off_the_gpus, refuse_unlike_files

AT_ONCE = 4
"""Most adapters that are in the model at a time; of more, each is put into it when its turn comes.

PEFT goes through all adapters in the model whenever one is added or switched, so that a hundred would take a hundred
times a hundred steps, and their memory. What is put in again is compared with what was proved.
"""

SAVE_AGAIN = "save it again with save_pretrained"
BESIDE = f"its files are whole, so PEFT may not take it beside the others: {fit.ALONE}"

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
        unused: How many tensors of its files are not used, being parts of the model that answer no text.
        texts: The class that tokenises and decodes.
        published: The generation config of the model's makers, which other tools follow.
    """

    source: BaseModel
    model: Any
    base: Any
    tokenizer: Any
    adapters: Mapping[str, LoadedAdapter]
    eos: tuple[int, ...]
    pad: int
    parameters: int
    unused: int = 0
    texts: type[Texts] = Texts
    published: Any = None

    @property
    def text(self) -> Texts:
        """The tokenizer as the engines use it: encodes prompts, decodes answers."""
        return self.texts(self.tokenizer, self.eos)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the model's files and of its tokenizer, one sentence each."""
        used = f"{self.unused} tensors of its files are not used: for pictures, sound, other tasks or further tokens."
        return (*self.source.notes, *((used,) if self.unused else ()), *self.text.notes)


def load_model(
    source: BaseModel, infos: Sequence[AdapterInfo], dtype: str, device: str, device_map: str | None = None
) -> Loaded:
    """Load a base, then its adapters, and check every adapter's tensors and effect.

    Args:
        source: The base.
        infos: The adapters.
        dtype: ``auto``, ``bfloat16``, ``float16`` or ``float32``.
        device: ``auto``, or a torch device.
        device_map: ``auto``: the base's layers are spread over all GPUs; None: all are on one device.

    Raises:
        ModelError: The base cannot be loaded.
        AdapterError: An adapter was not loaded as it is, or does not act.
        UsageError: There is no such ``dtype`` or ``device``, or two adapters share a name.
    """
    names = [info.name for info in infos]
    if len(set(names)) < len(names):
        raise UsageError(wrong_argument("--adapter", "given once for each name", ", ".join(names)))
    _refuse_sharing(infos)
    place = choose_device(device)
    if device_map is not None and place.type != "cuda":
        raise UsageError(wrong_argument("--device-map", "left out where there is no CUDA GPU", device_map))
    tokenizer = load_tokenizer(source)
    base, unused = load_base(source, choose_dtype(dtype, place), place, device_map)
    parameters = base.num_parameters()
    eos = eos_tokens(source, base.generation_config, tokenizer, vocabulary(base))
    pad = tokenizer.pad_token_id
    if pad is None or not 0 <= pad < vocabulary(base):
        pad = eos[0] if eos else 0  # any token does: the attention mask hides padding
    # without the sampling, penalties and lengths that the model's makers recommend: the run's settings decide these
    published = base.generation_config
    base.generation_config = GenerationConfig(eos_token_id=list(eos) or None, pad_token_id=pad)
    model = base
    with loading(f"{source.source} cannot be run", ModelError, "check its config.json, or evaluate another"):
        plain = _probe(base, base)
    adapters: dict[str, LoadedAdapter] = {}
    for number, info in enumerate(infos):
        adapter = LoadedAdapter(info, f"loralift_{number}")
        with about_adapter(info.name):
            remedy = BESIDE if number else SAVE_AGAIN
            with loading(f"`{info.argument}` cannot be loaded", AdapterError, remedy):
                model = _add_adapter(model, adapter)
            model.eval().requires_grad_(False)
            with loading(f"`{info.argument}` cannot be run", AdapterError, remedy):
                _check_effect(model, base, plain, adapter)
            if len(infos) > AT_ONCE:
                _keep_only(model, adapter.key)
        adapters[info.name] = adapter
    return Loaded(source, model, base, tokenizer, adapters, eos, pad, parameters, unused, published=published)


def _refuse_sharing(infos: Sequence[AdapterInfo]) -> None:
    """Refuse several adapters of a type of which a model can hold a single one, and those that it cannot take again."""
    for number, info in enumerate(infos):
        with about_adapter(info.name):
            if number and (why := kinds.ONE_A_RUN.get(info.peft_type)):
                raise AdapterError(
                    f"`{info.argument}` must be the only adapter of its run, being a {info.peft_type}: {why}; "
                    f"{fit.ALONE}"
                )
            if len(infos) > AT_ONCE and (why := kinds.not_again(info.entangled, [one.entangled for one in infos])):
                raise AdapterError(
                    f"`{info.argument}` must be in a run of at most {AT_ONCE} adapters, having {info.entangled}: "
                    f"{why}; {fit.ALONE}"
                )


def bring(model: Any, adapter: LoadedAdapter) -> None:
    """Put an adapter back into the model, in the place of the one that is there; does nothing if it is in it.

    Args:
        model: The PeftModel, with nothing merged into it.
        adapter: One of those that it was loaded with.

    Raises:
        AdapterError: Its files are no longer those that were proved, or in memory it is not what they hold.
    """
    info = adapter.info
    if adapter.key in model.peft_config:
        return
    with about_adapter(info.name):
        what = f"`{info.argument}` cannot be loaded once more"
        with loading(what, AdapterError, "put back its files; --resume then goes on with the run"):
            same = info.sha256 == hash_adapter(Path(info.path))
        if not same:
            raise AdapterError(
                f"`{info.argument}` was written to after the run began: evaluate a copy of the folder, or wait until "
                "its training has ended"
            )
        try:
            with loading(what, AdapterError, BESIDE):
                _add_adapter(model, adapter)
        except AdapterError:
            # PEFT lists it already: the next call would take it to be in the model
            with suppress(Exception):
                model.delete_adapter(adapter.key)
            raise
        model.eval()
        _keep_only(model, adapter.key)


def _keep_only(model: Any, key: str) -> None:
    """Take all other adapters out of the model."""
    model.set_adapter(key)
    for other in [other for other in model.peft_config if other != key]:
        model.delete_adapter(other)
    model.requires_grad_(False)


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


def vocabulary(base: Any) -> int:
    """How many tokens a model's embeddings have a row for."""
    weight = getattr(base.get_input_embeddings(), "weight", None)
    return int(base.config.get_text_config().vocab_size if weight is None else weight.shape[0])


def load_tokenizer(source: BaseModel) -> Any:
    """The base's tokenizer.

    Raises:
        ModelError: It cannot be loaded.
    """
    with loading(f"the tokenizer of {source.source} cannot be loaded", ModelError), source.read_once():
        begins = {} if source.begins_with_bos is None else {"add_bos_token": source.begins_with_bos}
        tokenizer = AutoTokenizer.from_pretrained(source.place, padding_side="left", **begins, **source.options)
        (ids,) = Texts(tokenizer, ()).encode(["a"], True)  # some faults are found only when it is used
        if begins and (ids[:1] == (tokenizer.bos_token_id,)) != source.begins_with_bos:
            raise ValueError("transformers begins a prompt otherwise than its tokenizer.ggml.add_bos_token says")
    return tokenizer


def load_base(source: BaseModel, dtype: torch.dtype, device: torch.device, device_map: str | None) -> tuple[Any, int]:
    """The base model, and how many tensors of its files are not used.

    Raises:
        ModelError: It cannot be loaded, or is not what its files hold.
    """
    if source.in_memory is not None:
        return source.in_memory.copy()
    options = {"dtype": dtype, "output_loading_info": True, **source.options}
    options |= loading_options(source.quantization, dtype)
    if device.type != "cpu":
        # straight to the device, without a copy in the CPU's memory
        options["device_map"] = device_map or {"": device}
    try:
        with (
            loading(f"the weights of {source.source} cannot be loaded", ModelError),
            bounded(source.limit, source.source),
            source.read_once(),
        ):
            base, report = AutoModelForCausalLM.from_pretrained(source.place, **options)
    except ModelError as error:
        cause = error.__cause__
        if not isinstance(cause, RuntimeError):
            raise
        if is_out_of_memory(cause):
            remedy = "use a device with more memory, --dtype bfloat16, --quantization nf4, or --device-map auto"
            raise ModelError(f"memory ran out while loading {source.source}: {remedy}") from cause
        raise ModelError(f"the weights of {source.source} do not fit its config.json: {first_line(cause)}") from cause
    gguf.forget()
    compute_in_its_dtype(base)
    refuse_off_the_gpus(source.source, base)
    unused = refuse_unlike_files(source.source, report, base.config)
    refuse_no_numbers(source.source, base)
    return base.eval().requires_grad_(False), unused


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
    device = str(model.device)
    unplaced: Sequence[str] = ()
    if isinstance(model, PeftModel):
        unplaced = model.load_adapter(info.path, adapter.key, torch_device=device).unexpected_keys
    else:
        model = PeftModel.from_pretrained(model, info.path, adapter.key, torch_device=device)
    fit.verify_loaded(argument, model, adapter.key, tensors, info.base_weights, unplaced)
    return model


def _probe(model: Any, base: Any) -> torch.Tensor:
    """Logits of 16 tokens spread over the vocabulary, 1 x 16 x vocabulary; NaN is 0, so that results can be equal."""
    tokens = torch.linspace(0, vocabulary(base) - 1, 16, device=base.device).long()[None]
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


def eos_tokens(source: BaseModel, generation_config: Any, tokenizer: Any, rows: int) -> tuple[int, ...]:
    """Ids of all tokens that end an answer: the generation config's (chat models have several) and the tokenizer's.

    Those that the user named come besides, and stop strings that are special tokens, which no text has.

    Args:
        source: The model.
        generation_config: Its generation config.
        tokenizer: Its tokenizer.
        rows: How many tokens its embeddings have a row for.

    Raises:
        ModelError: One is no token of the model, so that its answers would not end where they should.
    """
    ids: list[Any] = []
    for found in (generation_config.eos_token_id, tokenizer.eos_token_id):
        ids += found if isinstance(found, list) else [] if found is None else [found]
    named = [end_id(source.source, text, tokenizer, rows) for text in source.ends]
    named += [tokenizer.convert_tokens_to_ids(text) for text in source.stops if text in special_tokens(tokenizer)]
    wrong = [one for one in ids if not isinstance(one, int) or isinstance(one, bool) or not 0 <= one < rows]
    if wrong:
        raise ModelError(
            f"eos_token_id in the generation_config.json, config.json or tokenizer of {source.source} must be tokens "
            f"below {rows}, the rows of its embeddings, got {wrong[0]!r}: put back the tokens that end an answer"
        )
    return tuple(sorted({*ids, *named}))
