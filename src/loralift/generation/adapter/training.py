"""By which numbers adapters of one training differ: the step they were saved at, and their configuration's."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loralift.errors import AdapterError
from loralift.reading import read_json

STATE = "trainer_state.json"
"""Where transformers' Trainer writes how far it had come."""

_CHECKPOINT = re.compile(r"checkpoint-(\d{1,15})")


def numbers_of(folder: Path, raw: Mapping[str, Any]) -> dict[str, float]:
    """An adapter's numbers by field: ``step`` and ``epoch`` where they are sure, then those of its configuration.

    A step is not sure where the folder's name and the trainer's state disagree, nor where the state is of a training
    that put its best checkpoint's weights back at the end: it says the last step then.

    Args:
        folder: The adapter's.
        raw: Its configuration.
    """
    state = _state(folder)
    named = _CHECKPOINT.fullmatch(folder.name)
    said = _number(state.get("global_step"))
    numbers: dict[str, float] = {}
    step = float(named[1]) if named else None
    if step is None and not state.get("best_model_checkpoint"):
        step = said
    if step is not None and said in (None, step):
        numbers["step"] = step
        epoch = _number(state.get("epoch"))
        if epoch is not None:
            numbers["epoch"] = epoch
    fields = {name: _number(value) for name, value in raw.items() if name not in ("step", "epoch")}
    return numbers | {name: value for name, value in fields.items() if value is not None}


def _state(folder: Path) -> Mapping[str, Any]:
    """The trainer's state; empty where there is none that can be read: the adapter itself is whole."""
    path = folder / STATE
    try:
        found = read_json(path, AdapterError) if path.is_file() else {}
    except AdapterError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e15 or not math.isfinite(value):
        return None
    return float(value)
