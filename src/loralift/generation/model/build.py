"""A model is built from a stranger's config.json only as large as the weights in its files can fill."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch.nn.modules import module as torch_module

from loralift.errors import ModelError
from loralift.generation.model.held import Held

MOST_PARTS = 1_000_000
MOST_NUMBERS = 1 << 44
"""Parts and numbers of a model whose files are not here yet: above any there is."""

# A number takes at least two bits in a file (1.58-bit weights, packed by four in a byte), and tied embeddings are built
# twice; files whose layers or experts are fused hold fewer tensors than the model has parts.
_NUMBERS_A_BYTE = 8
_PARTS_A_TENSOR = 32
_SPARE_PARTS, _SPARE_NUMBERS = 20_000, 1 << 28

_COUNT = re.compile(r"(^|_)(layers?|depth|experts)$")


@dataclass(frozen=True, slots=True)
class Limit:
    """How large a model may be.

    Attributes:
        parts: Most modules, parameters and buffers.
        numbers: Most numbers in its parameters and buffers.
    """

    parts: int = MOST_PARTS
    numbers: int = MOST_NUMBERS


def limit_of(held: Held | None) -> Limit:
    """What files may fill; None: they are not here yet."""
    if held is None:
        return Limit()
    tensors = held.size // 64 if held.tensors is None else held.tensors
    parts = min(tensors * _PARTS_A_TENSOR + _SPARE_PARTS, MOST_PARTS)
    return Limit(parts, held.size * _NUMBERS_A_BYTE + _SPARE_NUMBERS)


def refuse_absurd_counts(config: Mapping[str, Any], limit: Limit, model: str) -> None:
    """Refuse a config.json with more layers or experts than its files can fill: transformers lists them on reading it.

    Raises:
        ModelError: A count is too large.
    """
    for key, value in config.items():
        if isinstance(value, dict):
            refuse_absurd_counts(value, limit, model)
        elif isinstance(value, int | float) and _COUNT.search(key) and not value <= limit.parts:
            raise ModelError(
                f"the config.json of {model} has {key} {value:.4g}, and its files hold weights for at most "
                f"{limit.parts:,}: fetch config.json and the weights again, from one place"
            )


@contextmanager
def bounded(limit: Limit, model: str) -> Iterator[None]:
    """While models are built: refuse one as soon as it has more parts or numbers than its files can fill.

    Nothing is allocated where they are built on torch's meta device, so that neither time nor memory is lost.

    Raises:
        ModelError: The model is too large.
    """
    parts = numbers = 0

    def count(module: Any, name: str, part: Any) -> None:
        nonlocal parts, numbers
        parts += 1
        if hasattr(part, "shape"):
            numbers += math.prod(part.shape)
        if parts > limit.parts or numbers > limit.numbers:
            raise ModelError(
                f"the config.json of {model} describes a model far larger than the weights in its files: fetch both "
                "again, from one place"
            )

    hooks = [
        register(count)
        for register in (
            torch_module.register_module_parameter_registration_hook,
            torch_module.register_module_module_registration_hook,
            torch_module.register_module_buffer_registration_hook,
        )
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
