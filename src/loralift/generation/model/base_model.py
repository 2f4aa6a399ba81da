"""Find, identify and check a base model before its weights are loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from loralift.errors import ModelError, first_line
from loralift.generation.model.hub import find_folder, hash_files
from loralift.generation.model.quiet import quiet_loading

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
    """

    source: str
    revision: str | None
    identity: str
    config: Any
    requested: str | None = None


def inspect_base(model: str, revision: str | None = None) -> BaseModel:
    """Find a base model and check that it is a complete causal language model.

    From the hub only the small files are fetched here; the weights follow when the model is loaded.

    Raises:
        ModelError: There is no such model, or it is not a complete causal language model.
    """
    folder, commit = find_folder("--model", model, revision, SMALL_FILES, ModelError)
    if commit is None and revision is not None:
        raise ModelError(f"`--revision` must be left out for a local folder, got {revision!r} with {model}")
    config = _read_config(folder, model)
    _refuse_leftover_adapter(folder, model)
    if not _any_file(folder, TOKENIZERS):
        raise ModelError(f"`--model` must have a tokenizer: {model} has no tokenizer.json nor another that is known")
    if commit is not None:
        return BaseModel(model, commit, f"hub:{model}@{commit}", config, revision)
    if not _any_file(folder, WEIGHTS):
        raise ModelError(f"`--model` must have weights: {model} has no *.safetensors and no pytorch_model*.bin")
    return BaseModel(str(folder), None, identify_folder(folder), config)


def identify_folder(folder: Path) -> str:
    """A hash of a local model's configuration, tokenizer and weight files."""
    patterns = (*SMALL_FILES, *WEIGHTS)
    # transformers' Trainer also leaves its own state in the folder, which changes no answer
    ours = {path for pattern in patterns for path in folder.glob(pattern) if path.name != "trainer_state.json"}
    return hash_files(sorted(ours), sample_from=SAMPLE_FROM)


def _read_config(folder: Path, model: str) -> Any:
    """The configuration of a causal language model."""
    path = folder / "config.json"
    if not path.is_file():
        adapter = (folder / ADAPTER_CONFIG).is_file()
        hint = " (it is an adapter: give it as --adapter NAME=PATH)" if adapter else ""
        raise ModelError(f"`--model` must be a folder with a config.json: {model} has none{hint}")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        with quiet_loading():
            config = AutoConfig.from_pretrained(folder)
    except json.JSONDecodeError as cause:
        raise ModelError(f"the config.json of {model} is not JSON: {cause}") from cause
    except (ValueError, OSError) as cause:
        reason = first_line(cause)
        raise ModelError(f"the config.json of {model} describes no model that transformers knows: {reason}") from cause
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        kind = raw.get("model_type")
        raise ModelError(f"`--model` must be a causal language model, but {model} is of type {kind!r}")
    return config


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
