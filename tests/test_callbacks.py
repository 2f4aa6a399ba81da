"""Looks at an adapter in training: they find what `loralift run` finds, and the training does not notice them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
)

from loralift import callbacks, evaluate
from loralift.callbacks import LoraLiftCallback
from loralift.errors import ModelError, UsageError
from loralift.reporting.charts import apart
from loralift.workflow import in_training, reporting
from tests.models import PAIRS, SUBJECTS

# PEFT, and every training of today, asks for checkpointing by the name that transformers gives up
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")

HOW: dict[str, Any] = {
    **{"metrics": ["rouge1", "f1", "perplexity"], "primary": "rouge1", "max_new_tokens": 12, "noise_rows": 4},
    **{"resamples": 200, "system_prompt": ""},
}
"""How the looks ask; the prompt of the training."""

RATE = {"metric_for_best_model": "loralift_rouge1_difference", "greater_is_better": True}


@pytest.fixture(scope="module", autouse=True)
def plain() -> Iterator[None]:
    """One thread, and no charts: they take longer than all else in so small a run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "draw_apart", lambda report: apart.Drawing())
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

    def make(out: Path, **arguments: Any) -> Trainer:
        torch.manual_seed(0)
        base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
        lora = LoraConfig(task_type="CAUSAL_LM", r=4, lora_dropout=0.1, target_modules=["q_proj", "up_proj"])
        how = {"max_steps": 6, "per_device_train_batch_size": 4, "learning_rate": 2e-2, "eval_strategy": "steps"}
        how |= {"eval_steps": 3, "logging_steps": 3, "save_strategy": "no", "report_to": [], "use_cpu": True}
        how |= {"gradient_checkpointing": True, **arguments}
        settings = TrainingArguments(str(out), **how)
        return Trainer(
            get_peft_model(base, lora),
            settings,
            train_dataset=data,
            eval_dataset=data[:2],
            processing_class=tokenizer,
            data_collator=DataCollatorForSeq2Seq(tokenizer),
        )

    return make


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory, trainer_of: Callable[..., Any], rows: Path) -> Any:
    """A training that was looked at twice, and once in vain: before its first step the adapter acts on nothing."""
    trainer = trainer_of(tmp_path_factory.mktemp("looked"), eval_on_start=True)
    trainer.add_callback(LoraLiftCallback(trainer, dataset=str(rows), **HOW))
    trainer.train()
    return trainer


def folder_of(trainer: Any) -> Path:
    return Path(trainer.args.output_dir) / "loralift"


def test_figures_are_those_of_a_run(looked: Any, tiny_base: Path, rows: Path, tmp_path: Path) -> None:
    looked.model.save_pretrained(tmp_path / "saved")
    result = evaluate(
        model=str(tiny_base),
        adapters={"adapter": str(tmp_path / "saved")},
        dataset=str(rows),
        device="cpu",
        train_data=str(folder_of(looked) / "training.jsonl"),
        output_dir=tmp_path / "run",
        **HOW,
    )
    look = folder_of(looked) / "step-6"
    for name in ("base", "adapter"):
        for file in ("answers.jsonl", "references.jsonl", "scores.jsonl"):
            assert lines(look / name / file) == lines(result.directory / name / file)
    ours, theirs = (json.loads((of / "comparison.json").read_text()) for of in (look, result.directory))
    assert ours == theirs
    ours, theirs = (json.loads((of / "run.json").read_text()) for of in (look, result.directory))
    assert ours["fingerprint"] == theirs["fingerprint"]
    assert set(ours["base_from"]) == {"base/answers.jsonl", "base/references.jsonl", "base-again/answers.jsonl"}
    assert any("look 2 at these rows" in note for note in ours["notes"])
    (row,) = [row for row in result.report.comparison.rows if row.metric == "rouge1"]
    logged = [entry for entry in looked.state.log_history if "eval_loralift_rouge1" in entry]
    assert [entry["step"] for entry in logged] == [3, 6]
    assert logged[-1]["eval_loralift_rouge1_difference"] == row.difference != 0
    assert logged[-1]["eval_loralift_rouge1_low"] == row.interval.low
    assert result.report.confounds.leaks["adapter"][0].id == result.report.rows[0].id


def lines(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    made = [{key: value for key, value in row.items() if key not in ("made_with", "seconds")} for row in found]
    return sorted(made, key=lambda row: row["id"])


def test_training_goes_on_as_if_nobody_had_looked(looked: Any, trainer_of: Callable[..., Any], tmp_path: Path) -> None:
    alone = trainer_of(tmp_path, eval_on_start=True)
    alone.train()
    ours, theirs = looked.model.state_dict(), alone.model.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    losses = [[entry["loss"] for entry in of.state.log_history if "loss" in entry] for of in (looked, alone)]
    assert losses[0] == losses[1]


def test_the_same_adapter_is_not_looked_at_twice(looked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder_of(looked).glob("step-*"))
    metrics = looked.evaluate()
    logged = [entry for entry in looked.state.log_history if "eval_loralift_rouge1" in entry]
    assert metrics["eval_loralift_rouge1"] == logged[-1]["eval_loralift_rouge1"]
    assert len(logged) == 2
    assert sorted(folder_of(looked).glob("step-*")) == before
    assert "loralift:" not in capsys.readouterr().out


def test_a_base_that_was_written_to_is_refused(looked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    weight = looked.model.get_base_model().lm_head.weight
    was = weight.data.clone()
    with torch.no_grad():
        looked.model.base_model.model.model.layers[0].self_attn.q_proj.lora_B["default"].weight.add_(1e-3)
        weight.data[0, 0] += 1e-6
    assert "eval_loralift_rouge1" not in looked.evaluate()
    said = "step 6: NO LOOK: 1 weights of the base in memory (model.embed_tokens.weight) have changed"
    assert said in capsys.readouterr().out
    weight.data.copy_(was)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
@pytest.mark.parametrize(
    "lora",
    [
        {"modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens", "lm_head"]},
        {"trainable_token_indices": [5, 6]},
        {"use_dora": True},
    ],
    ids=["modules_to_save", "embeddings", "tokens", "dora"],
)
def test_the_base_is_found_under_what_peft_wraps(lora: dict[str, Any], tiny_base: Path, tmp_path: Path) -> None:
    model = peft_model(tiny_base, **lora)
    tokens = torch.arange(8)[None]
    with torch.no_grad(), model.disable_adapter():
        plain = model.eval()(input_ids=tokens).logits
    looking = in_training.begin(model.train(), in_training.config_of({}), tmp_path, "adapter")
    base, _ = looking.base.in_memory.copy()
    assert not any("lora" in name or "modules_to_save" in name for name, _ in base.named_parameters())
    held = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert all(weight.data_ptr() in held for weight in base.parameters())
    with torch.no_grad():
        assert torch.equal(base(input_ids=tokens).logits, plain)


def peft_model(tiny_base: Path, **lora: Any) -> PeftModel:
    base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    return get_peft_model(base, LoraConfig(**{"task_type": "CAUSAL_LM", "r": 4, "target_modules": ["q_proj"], **lora}))


def _unfreeze(model: Any) -> None:
    model.get_base_model().model.norm.weight.requires_grad_(True)


def _resize(model: Any) -> None:
    model.get_base_model().resize_token_embeddings(360)


def _cast(model: Any) -> None:
    model.get_base_model().model.norm.to(torch.bfloat16)


def _nudge(model: Any) -> None:
    model.get_base_model().model.norm.weight.data[0] += 1e-6


def _quantise(model: Any) -> None:
    model.get_base_model().is_quantized = True


@pytest.mark.parametrize(
    ("lora", "change", "said"),
    [
        ({}, _unfreeze, "1 weights of the base are trained themselves (model.norm.weight)"),
        ({}, _resize, "2 of 21 weights of the base in memory are not"),
        ({}, _cast, "1 of 21 weights of the base in memory are not"),
        ({}, _nudge, "1 of 21 weights of the base in memory are not"),
        ({}, _quantise, "the base is quantised"),
        ({"init_lora_weights": "pissa"}, None, "2 of 21 weights of the base in memory are not"),
    ],
    ids=["trained", "resized", "cast", "changed", "quantised", "pissa"],
)
def test_what_is_not_the_base_is_refused(
    lora: dict[str, Any], change: Any, said: str, tiny_base: Path, tmp_path: Path
) -> None:
    model = peft_model(tiny_base, **lora)
    if change is not None:
        change(model)
    with pytest.raises(ModelError) as refused:
        in_training.begin(model, in_training.config_of({}), tmp_path, "adapter")
    assert said in str(refused.value)
    assert "`loralift run`" in str(refused.value)


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Looks that find one figure less each time, and load nothing."""
    monkeypatch.setattr(callbacks, "begin", lambda model, config, folder, name: None)
    monkeypatch.setattr(callbacks, "with_training_texts", lambda looking, texts: "looking")

    def look(looking: Any, model: Any, step: int, last: Any) -> in_training.Look:
        figures = {"eval_loralift_rouge1_difference": 1.0 - step}
        return in_training.Look(f"{step}", tmp_path / f"step-{step}", step, figures, "adapter is WORSE", 0)

    monkeypatch.setattr(callbacks, "look", look)


@pytest.mark.usefixtures("canned")
def test_early_stopping_and_the_best_checkpoint_see_the_figures(
    trainer_of: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_of(tmp_path, eval_steps=1, save_strategy="steps", save_steps=1, **RATE)
    trainer.add_callback(LoraLiftCallback(trainer, metrics=["rouge1"]))
    trainer.add_callback(EarlyStoppingCallback(2))
    trainer.train()
    assert (trainer.state.global_step, trainer.state.best_metric) == (3, 0.0)
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-1")
    assert "loralift: step 2, look 2, tested by itself: adapter is WORSE" in capsys.readouterr().out


@pytest.mark.usefixtures("canned")
def test_trl(tiny_base: Path, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl", reason="needs loralift[dev]")
    rows = [{"prompt": prompt, "completion": answer} for prompt, answer in PAIRS]
    how = {"max_steps": 2, "eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1, **RATE}
    settings = trl.SFTConfig(str(tmp_path), report_to=[], use_cpu=True, bf16=False, load_best_model_at_end=True, **how)
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")
    data = Dataset.from_list(rows)
    trainer = trl.SFTTrainer(str(tiny_base), args=settings, train_dataset=data, eval_dataset=data, peft_config=lora)
    assert PAIRS[0][1].strip() in callbacks._training_texts(trainer)[0]
    looking = in_training.begin(trainer.model, in_training.config_of({}), tmp_path, "adapter")
    assert (looking.config.model, looking.config.dtype) == (str(tiny_base), "float32")
    trainer.add_callback(LoraLiftCallback(trainer, metrics=["rouge1"]))
    trainer.train()
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-1")
    logged = [entry["step"] for entry in trainer.state.log_history if "eval_loralift_rouge1_difference" in entry]
    assert logged == [1, 2]


@pytest.mark.usefixtures("canned")
def test_one_look_at_the_end(trainer_of: Callable[..., Any], tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, eval_strategy="no")
    trainer.add_callback(LoraLiftCallback(trainer, at="end"))
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "eval_loralift_rouge1_difference" in entry]
    assert [entry["step"] for entry in logged] == [6]


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        ({"eval_strategy": "no"}, {}, "`eval_strategy` must be steps or epoch"),
        ({**RATE, "greater_is_better": False}, {}, "`greater_is_better` must be True for loralift_rouge1_difference"),
        ({"metric_for_best_model": "loralift_perplexity", "greater_is_better": True}, {}, "must be False for"),
        (
            {"metric_for_best_model": "eval_loralift_rouge1_dif"},
            {},
            "`metric_for_best_model` must be one of eval_lora",
        ),
        (RATE, {"at": "end"}, "`at` must be evaluate for metric_for_best_model"),
        ({}, {"at": "start"}, "`at` must be evaluate or end, got 'start'"),
        ({}, {"dtype": "float32"}, "`dtype` must be left out: the training decides it"),
        ({}, {"limits": 5}, "limits"),
    ],
)
def test_what_would_mislead_is_refused_before_training(
    trainer_of: Callable[..., Any], tmp_path: Path, arguments: Any, given: Any, said: str
) -> None:
    trainer = trainer_of(tmp_path, **arguments)
    with pytest.raises(UsageError) as refused:
        LoraLiftCallback(trainer, **given).on_train_begin(trainer.args, trainer.state, trainer.control)
    assert said in str(refused.value)


def test_trainings_that_cannot_be_looked_at_are_refused(
    trainer_of: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(tmp_path, **RATE)
    trainer.add_callback(EarlyStoppingCallback(2))
    trainer.add_callback(LoraLiftCallback(trainer))
    with pytest.raises(UsageError, match="EarlyStoppingCallback must be added after LoraLiftCallback"):
        trainer.train()
    for name in ("is_fsdp_enabled", "is_deepspeed_enabled"):
        with monkeypatch.context() as patch:
            patch.setattr(trainer, name, True)
            with pytest.raises(UsageError, match="checkpoint"):
                LoraLiftCallback(trainer)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "liger_kernel", sys)
        with pytest.raises(UsageError, match="liger_kernel is loaded"):
            LoraLiftCallback(trainer)
    trainer.model = trainer.model.get_base_model()
    with pytest.raises(UsageError, match="must be a PeftModel, got LlamaForCausalLM"):
        LoraLiftCallback(trainer)
