"""A loaded model as any other tool would load it: adapters in PEFT's layers, transformers' own forward and generate."""

from __future__ import annotations

from typing import Any

from loralift.generation.transformers_engine.load import Loaded
from loralift.generation.transformers_engine.rope import restart


class PlainModel:
    """What other tools need of a model, and no torch module, which they might change."""

    def __init__(self, loaded: Loaded) -> None:
        """Store the model, whose variant is switched on already and stays so while this is used."""
        self._loaded = loaded

    @property
    def device(self) -> Any:
        """Where it is."""
        return self._loaded.base.device

    @property
    def config(self) -> Any:
        """The base's configuration."""
        return self._loaded.base.config

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One forward pass."""
        restart(self._loaded.base)
        return self._loaded.model(*args, **kwargs)

    def generate(self, **kwargs: Any) -> Any:
        """Transformers' ``generate``, with what the model's makers recommend where nothing else is said."""
        base = self._loaded.base
        restart(base)
        runs, base.generation_config = base.generation_config, self._loaded.published
        try:
            return self._loaded.model.generate(**kwargs)
        finally:
            base.generation_config = runs
