"""Find, identify and check a base model before its weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from loralift.errors import ModelError
from loralift.generation.model.build import Limit, limit_of, refuse_absurd_counts
from loralift.generation.model.folder import read_objects, refuse_irregular
from loralift.generation.model.held import weights_of
from loralift.generation.model.hub import find_folder, hash_files
from loralift.generation.model.loading import NO_CODE, loading

ADAPTER_CONFIG = "adapter_config.json"
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "*.tiktoken", "tekken.json", "vocab.json", "spiece.model")
SMALL_FILES = ("*.json", "*.txt", "*.jinja", *TOKENIZERS)

# Bytes above which files are sampled, since hashing all would take longer than loading the model; the hash's name then
# says so (sampled-sha256).
SAMPLE_FROM = 2 << 30


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model before its weights are loaded.

    Attributes:
        source: What is given to ``from_pretrained``: a local folder or a hub id.
        revision: The hub commit; None for a local folder.
        identity: ``hub:ID@COMMIT``, or a hash of the local folder's files.
        config: The transformers configuration.
        requested: The revision that was asked for: a branch, a tag or a commit.
        limit: How large a model its files can fill.
        own_code: Its files that ask for code of their own (auto_map), which is not run.
        ends: Tokens that end an answer besides its own, by text or id, as the user named them.
        stops: The run's stop strings; those that are special tokens are ends.
    """

    source: str
    revision: str | None
    identity: str
    config: Any
    requested: str | None = None
    limit: Limit = field(default_factory=Limit)
    own_code: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of it, one sentence each."""
        if not self.own_code:
            return ()
        return (
            f"Its {' and '.join(self.own_code)} ask for code of the model's own (auto_map), which LoraLift does not "
            "run: transformers' own classes answer; make sure that they compute the same.",
        )


def inspect_base(model: str, revision: str | None = None, *, full_hash: bool = False) -> BaseModel:
    """Find a base model and check that it is a complete causal language model.

    From the hub only the small files are fetched here; the weights follow when the model is loaded.

    Args:
        model: A local folder or a hub id.
        revision: A hub branch, tag or commit.
        full_hash: Whether a local folder's files are read whole for their hash, however large they are.

    Raises:
        ModelError: There is no such model, or it is not a complete causal language model.
    """
    folder, commit = find_folder("--model", model, revision, SMALL_FILES, ModelError)
    if commit is None and revision is not None:
        raise ModelError(f"`--revision` must be left out for a local folder, got {revision!r} with {model}")
    refuse_irregular(folder, (*SMALL_FILES, *WEIGHTS), ModelError)
    _refuse_no_config(folder, model)
    files = read_objects(folder, ModelError)
    held = None if commit is not None else weights_of(folder, files)
    limit = limit_of(held)
    refuse_absurd_counts(files["config.json"], limit, model)
    config = _read_config(folder, model, files["config.json"])
    _refuse_leftover_adapter(folder, model)
    if not _any_file(folder, TOKENIZERS):
        raise ModelError(f"`--model` must have a tokenizer: {model} has no tokenizer.json nor another that is known")
    own_code = _own_code(files)
    if commit is not None:
        return BaseModel(model, commit, f"hub:{model}@{commit}", config, revision, limit, own_code)
    identity = identify_folder(folder, full_hash=full_hash)
    return BaseModel(str(folder), None, identity, config, None, limit, own_code)


def identify_folder(folder: Path, *, full_hash: bool = False) -> str:
    """A hash of a local model's configuration, tokenizer and weight files.

    Args:
        folder: The model's folder.
        full_hash: Whether files of more than ``SAMPLE_FROM`` bytes together are read whole too.
    """
    patterns = (*SMALL_FILES, *WEIGHTS)
    # transformers' Trainer also leaves its own state in the folder, which changes no answer
    ours = {path for pattern in patterns for path in folder.glob(pattern) if path.name != "trainer_state.json"}
    return hash_files(sorted(ours), sample_from=None if full_hash else SAMPLE_FROM)


def _refuse_no_config(folder: Path, model: str) -> None:
    if not (folder / "config.json").is_file():
        adapter = (folder / ADAPTER_CONFIG).is_file()
        hint = " (it is an adapter: give it as --adapter NAME=PATH)" if adapter else ""
        raise ModelError(f"`--model` must be a folder with a config.json: {model} has none{hint}")


def _read_config(folder: Path, model: str, raw: Mapping[str, Any]) -> Any:
    """The configuration of a causal language model, by a class of transformers' own."""
    _refuse_code_of_the_hub(raw, model)
    with loading(f"the config.json of {model} describes no model that transformers knows", ModelError):
        config = AutoConfig.from_pretrained(folder, **NO_CODE)
        known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
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
