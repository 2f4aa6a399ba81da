"""What every way is given: a Llama, a LoRA that moves it, and questions, kept in `.bench/` once made.

Either the real demo's model and adapter (`make_real`), or small ones (`make`).

Only the tokenizer is trained, on text that is not evaluated; the weights are random, from a seed. A network of such
weights wanders over its vocabulary and hardly ever ends an answer, so every way generates as many tokens; one trained
for a minute repeats one word. The adapter's weights are random too: it is not there to be good but to cost what any of
its rank costs, and to change answers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fiqa_models import SIZE, base_texts
from demo import fiqa, tiny
from loralift.data import render_prompt
from loralift.demo import real

ROOT = Path(__file__).parent.parent
KEPT = ROOT / ".bench"
FIQA = ROOT.parent / "shared" / "fiqa"
SHIPPED = ROOT / "src" / "loralift" / "demo"

RANK = 16
# How far lora_B is from zero: answers change, and stay as varied as the base's.
LORA_B_STD = 0.02


@dataclass(frozen=True, slots=True)
class Workload:
    """What is evaluated.

    Attributes:
        model: The base's folder.
        adapter: The LoRA's folder.
        questions: A .jsonl of `id`, `question`, `reference`.
        prompts: A .jsonl of `id`, `prompt`, `reference`, with LoraLift's prompts for those who render none themselves.
        data: What the questions are, for a reader.
        models: What model and adapter are, for a reader.
    """

    model: Path
    adapter: Path
    questions: Path
    prompts: Path
    data: str
    models: str = "Llama of 7 million random parameters, float32, with a LoRA of rank 16 on all linear layers"


def make(kept: Path = KEPT) -> Workload:
    """The workload, made where it is not there yet: real FiQA beside the checkout, else the demo's questions."""
    there = (FIQA / "test.jsonl").is_file()
    folder = kept / ("fiqa" if there else "demo")
    work = Workload(
        folder / "base",
        folder / "lora",
        folder / "questions.jsonl",
        folder / "prompts" / "test.jsonl",
        "FiQA's test split" if there else "the demo's questions",
    )
    if not (folder / "made").is_file():
        _write_questions(work, _questions(fiqa=there))
        texts = base_texts(FIQA) if there else _shipped_texts()
        tiny.train_base(texts, work.model, **SIZE, steps=0)
        _random_lora(work.model, work.adapter)
        (folder / "made").touch()
    return work


def make_real(kept: Path = KEPT) -> Workload:
    """The real demo's model as a folder, and one of its adapters, on FiQA's questions beside the checkout.

    Raises:
        FileNotFoundError: FiQA is not there.
    """
    folder = kept / "real"
    work = Workload(
        folder / "base",
        real.FOLDER / "adapters" / real.ADAPTERS[0],
        folder / "questions.jsonl",
        folder / "prompts" / "test.jsonl",
        "FiQA's test split",
        "SmolLM2-135M-Instruct, dequantised to float32, with a LoRA of rank 2 on all linear layers",
    )
    if not (folder / "made").is_file():
        _write_questions(work, _questions(fiqa=True))
        fiqa.unpack(real.fetch_model(print), work.model)
        (folder / "made").touch()
    return work


def _write_questions(work: Workload, rows: list[dict[str, str]]) -> None:
    work.prompts.parent.mkdir(parents=True, exist_ok=True)
    _write(work.questions, rows)
    prompts = [{"id": r["id"], "prompt": render_prompt(r["question"]), "reference": r["reference"]} for r in rows]
    _write(work.prompts, prompts)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a .jsonl; a text may hold any line separator but a newline."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _questions(*, fiqa: bool) -> list[dict[str, str]]:
    if fiqa:
        rows = read_rows(FIQA / "test.jsonl")
        return [{"id": r["id"], "question": r["question"], "reference": r["ground_truths"][0]} for r in rows]
    rows = read_rows(SHIPPED / "questions.jsonl")
    return [{key: row[key] for key in ("id", "question", "reference")} for row in rows]


def _shipped_texts() -> list[str]:
    return [text for row in read_rows(SHIPPED / "texts" / "training.jsonl") for text in row.values()]


def _random_lora(base: Path, out: Path) -> None:
    """A LoRA on all linear layers whose lora_B, zeros in a new one, is random."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from loralift.generation.model.quiet import quiet_loading

    tiny.train_lora(base, [("a", "b")], out, rank=RANK, steps=0)
    with quiet_loading():
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(out), is_trainable=True)
    numbers = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=LORA_B_STD, generator=numbers)
    model.save_pretrained(out)
