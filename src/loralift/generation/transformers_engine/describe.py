"""What made the answers (weights, versions, device), for run.json and to check that a resumed run is the same."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import torch

from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.base import Description
from loralift.generation.model.ends import named_ends
from loralift.generation.transformers_engine.capability import Capability, devices_of
from loralift.generation.transformers_engine.load import Loaded, context_window
from loralift.generation.transformers_engine.variants import Switch


def describe(loaded: Loaded, capability: Capability, switch: Switch) -> Description:
    """Describe a loaded model and its adapters in plain values.

    Args:
        loaded: The model.
        capability: How it is run.
        switch: What switches between its variants.
    """
    base = loaded.base
    device = base.device
    infos = {name: adapter.info for name, adapter in loaded.adapters.items()}
    return Description(
        identity={
            "base": loaded.source.identity,
            "adapters": {name: info.sha256 for name, info in infos.items()},
        },
        numerics={
            "engine": "transformers",
            "torch": torch.__version__,
            "transformers": version("transformers"),
            "peft": version("peft"),
            "dtype": str(base.dtype).removeprefix("torch."),
            "device": device.type,
            "attention": base.config._attn_implementation,
            "adapters_act": {name: switch.how(name) for name in loaded.adapters},
            "decoding": capability.decoding,
            "batches": capability.batches,
            **_held(loaded, capability),
            **named_ends(loaded.source.ends, loaded.eos),
        },
        information={
            "model": loaded.source.source,
            "revision": loaded.source.revision,
            "model_class": type(base).__name__,
            "parameters": loaded.parameters,
            "context_window": context_window(base),
            "eos_token_ids": list(loaded.eos),
            "pad_token_id": loaded.pad,
            "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
            "threads": torch.get_num_threads(),
            "notes": list(capability.notes),
            "adapters": {name: _describe_adapter(info) for name, info in infos.items()},
        },
    )


def _held(loaded: Loaded, capability: Capability) -> dict[str, Any]:
    """What is said only where it is so, since runs of before must go on: fewer bits, several devices, prepacked."""
    quantization, devices = loaded.source.quantization, devices_of(loaded.base)
    return {
        **({"quantization": quantization.name} if quantization else {}),
        **({"devices": len(devices)} if len(devices) > 1 else {}),
        **({"products": "prepacked"} if capability.prepacks else {}),
    }


def _describe_adapter(info: AdapterInfo) -> dict[str, Any]:
    return {
        "source": info.source,
        "revision": info.revision,
        "peft_type": info.peft_type,
        "rank": info.rank,
        "alpha": info.alpha,
        "target_modules": list(info.target_modules),
        "modules_to_save": list(info.modules_to_save),
        "trained_on": info.base_model,
        "use_rslora": info.use_rslora,
        "use_dora": info.use_dora,
        "parameters": info.parameters,
        "ignored_settings": list(info.ignored_settings),
    }
