"""Find, identify and check a base model before its weights are loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from loralift.errors import ModelError
from loralift.generation.model import gguf
from loralift.generation.model.build import Limit, limit_of, refuse_absurd_counts
from loralift.generation.model.folder import read_objects, refuse_irregular
from loralift.generation.model.held import weights_of
from loralift.generation.model.hub import find_folder, hash_files
from loralift.generation.model.loading import NO_CODE, loading
from loralift.generation.model.quantization import Quantization, asked_for

ADAPTER_CONFIG = "adapter_config.json"
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "*.tiktoken", "tekken.json", "vocab.json", "spiece.model")
CODE = ("*.py",)
NO_WORD_ON_BOS = (
    "Its file does not say whether a prompt begins with BOS (tokenizer.ggml.add_bos_token): transformers decides, "
    "maybe otherwise than llama.cpp."
)
AS_FOLDER = "fetch the model as a folder of safetensors instead"
SMALL_FILES = ("*.json", "*.txt", "*.jinja", *TOKENIZERS)

# Bytes above which files are sampled, since hashing all would take longer than loading the model; the hash's name then
# says so (sampled-sha256).
SAMPLE_FROM = 2 << 30


class InMemory(Protocol):
    """A base whose weights are in memory already."""

    @property
    def device(self) -> str:
        """Where they are, as torch names it."""

    @property
    def dtype(self) -> str:
        """Their dtype, as ``--dtype`` names it."""

    def copy(self) -> tuple[Any, int]:
        """A transformers model of its own over these weights, and how many tensors of its files it does not use.

        Raises:
            ModelError: The weights are no longer those of the files.
        """


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model before its weights are loaded.

    Attributes:
        source: What the user gave: a local folder, a GGUF file or a hub id.
        revision: The hub commit; None for what is local.
        identity: ``hub:ID@COMMIT``, or a hash of the local files.
        config: The transformers configuration.
        requested: The revision that was asked for: a branch, a tag or a commit.
        limit: How large a model its files can fill.
        own_code: Its files that ask for code of their own (auto_map).
        trusts_code: Whether that code is run.
        quantization: How its weights are held in fewer bits; None: as plain numbers.
        begins_with_bos: Whether a GGUF file says that a prompt begins with BOS; None: it does not say, or is none.
        ends: Tokens that end an answer besides its own, by text or id, as the user named them.
        stops: The run's stop strings; those that are special tokens are ends.
        in_memory: Its weights, which are in memory already, proved to be those of its files; None: they are read.
    """

    source: str
    revision: str | None
    identity: str
    config: Any
    requested: str | None = None
    limit: Limit = field(default_factory=Limit)
    own_code: tuple[str, ...] = ()
    trusts_code: bool = False
    quantization: Quantization | None = None
    begins_with_bos: bool | None = None
    ends: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    in_memory: InMemory | None = None

    @property
    def is_gguf(self) -> bool:
        """Whether it is one GGUF file."""
        return gguf.is_gguf(self.source)

    @property
    def place(self) -> str:
        """What ``from_pretrained`` is given: a local folder or a hub id."""
        return str(Path(self.source).parent) if self.is_gguf else self.source

    @property
    def options(self) -> dict[str, Any]:
        """What every ``from_pretrained`` is given besides."""
        file = {"gguf_file": Path(self.source).name} if self.is_gguf else {}
        return {"revision": self.revision, "trust_remote_code": self.trusts_code, **file}

    def read_once(self) -> AbstractContextManager[None]:
        """A context in which a GGUF file's header is parsed once, whatever is loaded from it."""
        return gguf.read_once() if self.is_gguf else nullcontext()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of it, one sentence each."""
        return (
            *self._notes_on_code(),
            *(self.quantization.notes if self.quantization else ()),
            *((NO_WORD_ON_BOS,) if self.is_gguf and self.begins_with_bos is None else ()),
        )

    def _notes_on_code(self) -> Iterator[str]:
        files = " and ".join(self.own_code)
        if files and self.trusts_code:
            yield f"It runs code of its own (auto_map in its {files}), as --trust-remote-code allows."
        elif files:
            yield (
                f"Its {files} ask for code of the model's own (auto_map), which is not run: transformers' own classes "
                "answer; make sure that they compute the same."
            )


def inspect_base(
    model: str,
    revision: str | None = None,
    *,
    full_hash: bool = False,
    quantization: str | None = None,
    trust_remote_code: bool = False,
) -> BaseModel:
    """Find a base model and check that it is a complete causal language model.

    Its arguments are those of `loralift.generation.inspect_base`.

    Raises:
        ModelError: There is no such model, it is not a complete causal language model, or is quantised already.
        MissingExtraError: What reads such a file, or quantises it, is not installed.
    """
    if gguf.is_gguf(model):
        found = _inspect_file(model, revision, full_hash=full_hash)
    else:
        found = _inspect_folder(model, revision, full_hash=full_hash, trusts_code=trust_remote_code)
    # what transformers reads from a GGUF file is plain numbers, whatever its configuration says
    config = None if found.is_gguf else found.config
    return replace(found, quantization=asked_for(quantization, config, model))


def _inspect_file(model: str, revision: str | None, *, full_hash: bool) -> BaseModel:
    """A base in one GGUF file."""
    if revision is not None:
        raise ModelError(f"`--revision` must be left out for a local file, got {revision!r} with {model}")
    path = Path(model)
    held = gguf.held_in(path)
    with loading(f"{model} describes no model that transformers can read", ModelError, AS_FOLDER), gguf.read_once():
        config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, **NO_CODE)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ModelError(f"`--model` must be a causal language model, but {model} is of type {config.model_type!r}")
    identity = hash_files([path], sample_from=None if full_hash else SAMPLE_FROM)
    return BaseModel(model, None, identity, config, None, limit_of(held), begins_with_bos=gguf.adds_bos(path))


def _inspect_folder(model: str, revision: str | None, *, full_hash: bool, trusts_code: bool) -> BaseModel:
    """A base as ``save_pretrained`` wrote it, local or on the hub."""
    code = CODE if trusts_code else ()
    folder, commit = find_folder("--model", model, revision, (*SMALL_FILES, *code), ModelError)
    if commit is None and revision is not None:
        raise ModelError(f"`--revision` must be left out for a local folder, got {revision!r} with {model}")
    refuse_irregular(folder, (*SMALL_FILES, *WEIGHTS, *code), ModelError)
    _refuse_no_config(folder, model)
    files = read_objects(folder, ModelError)
    held = None if commit is not None else weights_of(folder, files)
    limit = limit_of(held)
    refuse_absurd_counts(files["config.json"], limit, model)
    own_code = _own_code(files)
    if trusts_code:
        _refuse_code_elsewhere(files, model)
    config = _read_config(folder, model, files["config.json"], trusts_code=trusts_code)
    _refuse_leftover_adapter(folder, model)
    if not _any_file(folder, TOKENIZERS):
        raise ModelError(f"`--model` must have a tokenizer: {model} has no tokenizer.json nor another that is known")
    trusted = trusts_code and bool(own_code)
    if commit is not None:
        return BaseModel(model, commit, f"hub:{model}@{commit}", config, revision, limit, own_code, trusted)
    identity = identify_folder(folder, full_hash=full_hash, code=trusted)
    return BaseModel(str(folder), None, identity, config, None, limit, own_code, trusted)


def identify_folder(folder: Path, *, full_hash: bool = False, code: bool = False) -> str:
    """A hash of a local model's configuration, tokenizer and weight files.

    Args:
        folder: The model's folder.
        full_hash: Whether files of more than ``SAMPLE_FROM`` bytes together are read whole too.
        code: Whether its code is run, and so a part of what answers.
    """
    patterns = (*SMALL_FILES, *WEIGHTS, *(CODE if code else ()))
    # transformers' Trainer also leaves its own state in the folder, which changes no answer
    ours = {path for pattern in patterns for path in folder.glob(pattern) if path.name != "trainer_state.json"}
    return hash_files(sorted(ours), sample_from=None if full_hash else SAMPLE_FROM)


def _refuse_no_config(folder: Path, model: str) -> None:
    if not (folder / "config.json").is_file():
        adapter = (folder / ADAPTER_CONFIG).is_file()
        hint = " (it is an adapter: give it as --adapter NAME=PATH)" if adapter else ""
        raise ModelError(f"`--model` must be a folder with a config.json: {model} has none{hint}")


def _read_config(folder: Path, model: str, raw: Mapping[str, Any], *, trusts_code: bool) -> Any:
    """The configuration of a causal language model, by a class of transformers' own or, where trusted, of the model's.

    A folder of the hub's cache is read as any other, so that code runs of the very commit that was found.
    """
    _refuse_code_of_the_hub(raw, model)
    with loading(f"the config.json of {model} describes no model that transformers knows", ModelError):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trusts_code)
        own_class = trusts_code and "AutoModelForCausalLM" in (raw.get("auto_map") or {})
        known = own_class or type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    if not known:
        kind = raw.get("model_type")
        raise ModelError(f"`--model` must be a causal language model, but {model} is of type {kind!r}")
    return config


def _refuse_code_of_the_hub(raw: Mapping[str, Any], model: str) -> None:
    """Refuse a config.json that names a kernel of the hub, OWNER/NAME, which transformers would fetch and run."""
    for key, value in raw.items():
        if isinstance(value, dict):
            _refuse_code_of_the_hub(value, model)
        elif key.strip("_").startswith(("attn_implementation", "experts_implementation")) and "/" in str(value):
            raise ModelError(f"the config.json of {model} has {key} {value!r}, code of the hub: remove that key")


def _refuse_code_elsewhere(files: Mapping[str, Mapping[str, Any]], model: str) -> None:
    """Refuse an auto_map into another repository, REPOSITORY--FILE.CLASS, of which nothing says which commit."""
    for name in _own_code(files):
        mapping = files[name]["auto_map"]
        classes = mapping.values() if isinstance(mapping, Mapping) else [mapping]
        if elsewhere := [str(one) for one in classes if "--" in str(one)]:
            raise ModelError(
                f"`--trust-remote-code` runs what lies in the model's own files, but {name} of {model} asks for "
                f"{elsewhere[0]}: fetch the model, put that code beside it and name it there"
            )


def _own_code(files: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Which of its files ask for code of the folder's own, which is not run."""
    return tuple(name for name in ("config.json", "tokenizer_config.json") if files.get(name, {}).get("auto_map"))


def _refuse_leftover_adapter(folder: Path, model: str) -> None:
    """Refuse a model whose folder has an adapter_config.json too: transformers would load that adapter on top of it.

    Merged models are often saved into the folder of their training. The base would then have an adapter in it, or a
    merged one twice.
    """
    if (folder / ADAPTER_CONFIG).is_file():
        raise ModelError(
            f"`--model` must be a base alone, but {model} has an {ADAPTER_CONFIG} beside its weights, and transformers "
            f"would apply that adapter too: if it is merged into these weights, or no part of them, remove "
            f"{ADAPTER_CONFIG} from that folder (and adapter_model.*)"
        )


def _any_file(folder: Path, patterns: tuple[str, ...]) -> bool:
    return any(any(folder.glob(pattern)) for pattern in patterns)
