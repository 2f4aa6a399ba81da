"""The numbers by which adapters differ; a step only where it is sure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralift.generation.adapter.training import STATE, numbers_of

STATES: dict[str, tuple[str, Any, dict[str, float]]] = {
    "a checkpoint": ("checkpoint-500", {"global_step": 500, "epoch": 1.5}, {"step": 500, "epoch": 1.5}),
    "no state": ("checkpoint-500", None, {"step": 500}),
    "renamed": ("mine", {"global_step": 500, "epoch": 2}, {"step": 500, "epoch": 2}),
    "the two disagree": ("checkpoint-500", {"global_step": 400, "epoch": 2}, {}),
    "best weights put back": ("out", {"global_step": 900, "best_model_checkpoint": "out/checkpoint-300"}, {}),
    "best so far": ("checkpoint-5", {"global_step": 5, "best_model_checkpoint": "out/checkpoint-3"}, {"step": 5}),
    "a step that is a text": ("mine", {"global_step": "5"}, {}),
    "a state that is a list": ("checkpoint-7", [1], {"step": 7}),
    "a state that is no JSON": ("checkpoint-7", "{", {"step": 7}),
    "an epoch that is no number": ("checkpoint-7", {"global_step": 7, "epoch": float("nan")}, {"step": 7}),
}


@pytest.mark.parametrize("case", STATES)
def test_step_and_epoch(case: str, tmp_path: Path) -> None:
    name, state, wanted = STATES[case]
    folder = tmp_path / name
    folder.mkdir()
    if state is not None:
        (folder / STATE).write_text(state if isinstance(state, str) else json.dumps(state))
    assert numbers_of(folder, {}) == wanted


def test_numbers_of_the_configuration_and_no_switches_texts_or_giants(tmp_path: Path) -> None:
    raw = {"r": 8, "lora_alpha": 16.5, "use_dora": True, "bias": "none", "step": 3, "huge": 10**400, "no": None}
    assert numbers_of(tmp_path, raw) == {"r": 8.0, "lora_alpha": 16.5}
