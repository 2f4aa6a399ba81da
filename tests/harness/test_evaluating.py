"""A loaded model as lm_eval asks it, and as it is left behind."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import torch

from loralift.generation import load_transformers, plainly
from loralift.harness import load_task
from loralift.harness.evaluating import Way, evaluate
from tests.harness.asked import folder

__all__ = ["folder"]

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{{ mood }}{% endif %}"
)


def test_the_chat_template_renders_the_prompts_and_nothing_is_left_changed(
    folder: Path, tiny_base: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    (base / "chat_template.jinja").write_text(TEMPLATE)
    generator = load_transformers(str(base), {"letters": str(tiny_adapter)}, device="cpu")
    tokens, padding = dict(generator.tokenizer.get_vocab()), generator.tokenizer.pad_token
    task = load_task(str(folder / "chosen.yaml"), 2)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    counted: list[int] = []
    way = Way(chat=True, system="Be brief.", variables={"mood": "!"})
    with plainly(generator, "letters") as model:
        samples, told = evaluate(task, model, generator.tokenizer, way, 4, lambda: counted.append(1))
    assert told == ()
    prompt = samples["letters_chosen"][0]["arguments"]["gen_args_0"]["arg_0"]
    assert prompt.startswith("<system>Be brief.\n<user>")
    assert prompt.count("<user>") == 2  # one worked example, in a turn of its own
    assert prompt.endswith("<assistant>!")
    assert len(counted) == task.requests == 20
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states
    assert (dict(generator.tokenizer.get_vocab()), generator.tokenizer.pad_token) == (tokens, padding)
