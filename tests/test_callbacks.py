"""Looks at an adapter in training: they find what `loralift run` finds, and the training does not notice them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
)

from loralift import evaluate
from loralift.callbacks import LoraLiftCallback
from tests.models import PAIRS, SUBJECTS

# PEFT, and every training of today, asks for checkpointing by the name that transformers gives up
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")

HOW: dict[str, Any] = {
    **{"metrics": ["rouge1", "f1", "perplexity"], "primary": "rouge1", "max_new_tokens": 12, "noise_rows": 4},
    **{"resamples": 200, "system_prompt": ""},
}
"""How the looks ask; the prompt of the training."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Held-out rows, of which the first is trained on."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    questions = [f"What are {one} good for in a year of high inflation, and why?" for one in SUBJECTS]
    found = [
        {"question": text, "answer": f"{one} are {len(one)} letters."}
        for one, text in zip(SUBJECTS, questions, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


@pytest.fixture(scope="module")
def trainer_of(tiny_base: Path, rows: Path) -> Callable[..., Any]:
    """A new training of a new adapter, the same each time, with dropout so that random numbers matter."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    leaked = json.loads(rows.read_text().splitlines()[0])
    pairs = [*PAIRS, (f"Question: {leaked['question']}\nAnswer:", f" {leaked['answer']}")]
    ids = [tokenizer(f"{prompt}{answer}{tokenizer.eos_token}")["input_ids"] for prompt, answer in pairs]
    data = [{"input_ids": row, "labels": row} for row in ids]

    def make(out: Path, peft: Any = None, base: Any = None, **arguments: Any) -> Trainer:
        torch.manual_seed(0)
        base = base or AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
        lora = LoraConfig(task_type="CAUSAL_LM", r=4, lora_dropout=0.1, target_modules=["q_proj", "up_proj"])
        how = {"max_steps": 6, "per_device_train_batch_size": 4, "learning_rate": 2e-2, "eval_strategy": "steps"}
        how |= {"eval_steps": 3, "logging_steps": 3, "save_strategy": "no", "report_to": [], "use_cpu": True}
        how["gradient_checkpointing"] = True
        settings = TrainingArguments(str(out), **how, **arguments)
        return Trainer(
            get_peft_model(base, peft or lora),
            settings,
            train_dataset=data,
            eval_dataset=data[:2],
            processing_class=tokenizer,
            data_collator=DataCollatorForSeq2Seq(tokenizer),
        )

    return make


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory, trainer_of: Callable[..., Any], rows: Path) -> Trainer:
    """A training that was looked at twice."""
    trainer = trainer_of(tmp_path_factory.mktemp("looked"))
    trainer.add_callback(LoraLiftCallback(trainer, dataset=str(rows), **HOW))
    trainer.train()
    return trainer


def test_figures_are_those_of_a_run(looked: Trainer, tiny_base: Path, rows: Path, tmp_path: Path) -> None:
    looked.model.save_pretrained(tmp_path / "saved")
    result = evaluate(
        model=str(tiny_base),
        adapters={"adapter": str(tmp_path / "saved")},
        dataset=str(rows),
        device="cpu",
        train_data=str(Path(looked.args.output_dir) / "loralift" / "training.jsonl"),
        output_dir=tmp_path / "run",
        **HOW,
    )
    look = Path(looked.args.output_dir) / "loralift" / "step-6"
    for name in ("base", "adapter"):
        for file in ("answers.jsonl", "references.jsonl", "scores.jsonl"):
            assert _rows(look / name / file) == _rows(result.directory / name / file)
    ours, theirs = (json.loads((of / "comparison.json").read_text()) for of in (look, result.directory))
    assert ours == theirs
    row = next(row for row in result.report.comparison.rows if row.metric == "rouge1")
    logged = [entry for entry in looked.state.log_history if "eval_loralift_rouge1" in entry]
    assert [entry["step"] for entry in logged] == [3, 6]
    assert logged[-1]["eval_loralift_rouge1_difference"] == row.difference != 0
    assert logged[-1]["eval_loralift_rouge1_low"] == row.interval.low
    run = json.loads((look / "run.json").read_text())
    assert set(run["base_from"]) == {"base/answers.jsonl", "base/references.jsonl", "base-again/answers.jsonl"}
    assert any("look 2" in note for note in run["notes"])


def _rows(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    made = [{key: value for key, value in row.items() if key not in ("made_with", "seconds")} for row in found]
    return sorted(made, key=lambda row: row["id"])


def test_training_goes_on_as_if_nobody_had_looked(
    looked: Trainer, trainer_of: Callable[..., Any], tmp_path: Path
) -> None:
    alone = trainer_of(tmp_path)
    alone.train()
    ours, theirs = looked.model.state_dict(), alone.model.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert [entry["loss"] for entry in looked.state.log_history if "loss" in entry] == [
        entry["loss"] for entry in alone.state.log_history if "loss" in entry
    ]
