"""What a metric's model is made of: its name says little, for a folder is trained again and a hub's name moves on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

# What of a configuration says nothing of what the model computes.
_BESIDES = {"transformers_version", "_name_or_path", "dtype", "torch_dtype"}

DIGITS = 12
"""Hexadecimal ones, of a digest in a signature."""


def digest_of(model: Any, tokenizer: Any, settings: Sequence[object] = ()) -> str:
    """A digest of a model's weights, configurations and tokenizer: the same on any device and in any process.

    Args:
        model: A torch module; the configurations are those of it and of its parts.
        tokenizer: Of transformers or of tokenizers.
        settings: What else shapes its values.

    Returns:
        64 hexadecimal digits.
    """
    import torch

    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}\0".encode())
        digest.update(weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    found = {id(config): config for part in model.modules() if (config := getattr(part, "config", None)) is not None}
    configs = [config.to_diff_dict() for config in found.values() if hasattr(config, "to_diff_dict")]
    kept = [{key: value for key, value in config.items() if key not in _BESIDES} for config in configs]
    said = [kept, _tokenizer(tokenizer), *settings]
    digest.update(json.dumps(said, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _tokenizer(tokenizer: Any) -> Any:
    """All of a tokenizer but how its last call cut and filled up, which it keeps; of a slow one the vocabulary."""
    fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(fast, "to_str"):
        return tokenizer.get_vocab()
    return {**json.loads(fast.to_str()), "truncation": None, "padding": None}
