"""A small Llama and a LoRA trained on real FiQA text, never on its test split: what measurements here evaluate.

    python -m benchmarks.fiqa_models FIQA_DIR OUT_DIR [--device cuda]

The base reads the train and validation answers and the questions of those splits; the adapter learns to answer
`train.jsonl` in the default prompt. OUT_DIR then holds `base/` and `lora/`.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

from demo import tiny
from loralift.data import PLAIN_SEPARATOR, render_prompt

# About 7 million parameters.
SIZE: dict[str, Any] = {"hidden_size": 256, "layers": 6, "heads": 8, "vocab_size": 6000, "context": 4096}


def read_jsonl(path: Path) -> list[dict[str, str]]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def base_texts(fiqa: Path) -> list[str]:
    """Answers and questions of the train and validation splits; nothing that the test split asks or answers."""
    queries = {row["_id"]: row["text"] for row in read_jsonl(fiqa / "beir" / "queries.jsonl")}
    texts = []
    for split in ("train", "dev"):
        with (fiqa / "beir" / "qrels" / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
            ids = dict.fromkeys(row["query-id"] for row in csv.DictReader(file, delimiter="\t"))
        texts += [queries[query] for query in ids]
    for split in ("train", "validation"):
        texts += [row["ground_truths"][0] for row in read_jsonl(fiqa / f"{split}.jsonl")]
    asked = {row["question"].strip() for row in read_jsonl(fiqa / "test.jsonl")}
    return [text for text in texts if text.strip() not in asked]


def main() -> None:
    """Train both and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fiqa", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--base-steps", type=int, default=600)
    parser.add_argument("--lora-steps", type=int, default=200)
    arguments = parser.parse_args()
    import torch

    torch.set_default_device(arguments.device)
    began = time.monotonic()
    base = tiny.train_base(
        base_texts(arguments.fiqa),
        arguments.out / "base",
        **SIZE,
        steps=arguments.base_steps,
        batch_size=16,
        block=256,
        learning_rate=1e-3,
    )
    print(f"base: {time.monotonic() - began:.0f} s")
    pairs = [
        (render_prompt(row["question"]), PLAIN_SEPARATOR + row["ground_truths"][0])
        for row in read_jsonl(arguments.fiqa / "train.jsonl")
    ]
    tiny.train_lora(base, pairs, arguments.out / "lora", rank=16, steps=arguments.lora_steps, learning_rate=1e-3)
    print(f"base and adapter: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
