"""Rotary embeddings that follow the longest row of a batch, and which rows may therefore be in one.

``longrope`` takes other frequencies for all rows as soon as one is longer than the model's original window, ``dynamic``
other ones at every length beyond; and what they took for one batch may be left for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Literal

import torch

STEADY_ROPE = frozenset({"default", "linear", "llama3", "yarn", "proportional"})
"""Kinds of rotary embedding whose frequencies are the same for every forward pass. ``dynamic`` and ``longrope`` choose
theirs by the longest row of a batch; a kind that is not known here is taken for one that does."""


def rope_settings(config: Any) -> Iterator[Mapping[str, Any]]:
    """The settings of a model's rotary embeddings: one, or one a kind of layer; none where it has none."""
    text = config.get_text_config()
    found = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    if not isinstance(found, Mapping):
        return
    nested = [value for value in found.values() if isinstance(value, Mapping)]
    yield from nested or [found]


def length_dependent(config: Any) -> tuple[int, ...]:
    """The lengths at which rotary embeddings change their frequencies with the longest row; none: they never do.

    0 stands for a kind that is not known, which may change at any length.
    """
    lengths = []
    for settings in rope_settings(config):
        kind = settings.get("rope_type", settings.get("type", "default")) or "default"
        if kind in STEADY_ROPE:
            continue
        text, name = config.get_text_config(), "original_max_position_embeddings"
        own = settings.get(name) or getattr(text, name, None) or text.max_position_embeddings
        lengths.append(int(own) if kind in ("dynamic", "longrope") else 0)
        if kind == "dynamic":
            lengths.append(int(text.max_position_embeddings))
    return tuple(sorted(set(lengths)))


type Batches = Literal["padded", "equal lengths", "single rows"]


def meeting(config: Any, batches: Batches = "padded") -> Callable[[int, int], Hashable]:
    """Which rows may be in one batch: those with the same key.

    Rows on different sides of a length at which the frequencies change would get each other's. A row that crosses such
    a length while it is answered may meet only rows as long as itself, which cross it with it.

    Args:
        config: The model's.
        batches: Which rows may meet at all.

    Returns:
        A row's length at the beginning and, at most, at the end, both in tokens, to its key.
    """
    switches = length_dependent(config)
    # dynamic embeddings go on changing beyond their length; longrope changes once
    once = all(settings.get("rope_type") == "longrope" for settings in rope_settings(config))

    def key(begin: int, end: int) -> Hashable:
        if batches == "single rows":
            return object()  # equal to nothing
        if batches == "equal lengths":
            return begin
        below = all(end <= length for length in switches)
        beyond = once and all(begin > length for length in switches)
        return "below" if below else "beyond" if beyond else begin

    return key


def restart(base: Any) -> None:
    """Bring rotary embeddings that follow the longest row back to their beginning: a row of one token does.

    Called before each batch, so that none changes the next one. Nothing to do where a model has no such embeddings.
    """
    if not length_dependent(base.config):
        return
    with torch.inference_mode():
        base(input_ids=torch.zeros(1, 1, dtype=torch.long, device=base.device), use_cache=False)
