"""What `loralift demo` evaluates: a small base model, four adapters, and questions that none of them was trained on.

`README.md` beside this file says what each is and how it was made; everything here is CC0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
QUESTIONS = FOLDER / "questions.jsonl"
ADAPTERS = ("fuller-lora", "endless-lora", "faint-lora", "dead-lora")


def settings() -> dict[str, Any]:
    """The run of the demo, as ``loralift.config.RunConfig`` takes it.

    >>> sorted(settings()["adapters"])
    ['dead-lora', 'endless-lora', 'faint-lora', 'fuller-lora']
    """
    here = Path.cwd()
    folder = (
        FOLDER.relative_to(here) if FOLDER.is_relative_to(here) else FOLDER
    )  # short where it can be: reports show it
    return {
        "model": str(folder / "demo-base"),
        "adapters": {name: str(folder / "adapters" / name) for name in ADAPTERS},
        "skip_refused": True,
        "dataset": str(folder / QUESTIONS.name),
        "train_data": str(folder / "texts" / "training.jsonl"),
        "system_prompt": "",
        "max_new_tokens": 144,
    }
