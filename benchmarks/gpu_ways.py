"""One way to answer everything, in a process of its own; `benchmarks.gpu` starts them in turns.

    python -m benchmarks.gpu_ways WAY FOLDER QUESTIONS --new-tokens 256

Prints one line of JSON: what was generated in which time, each call of the way apart.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import random_llama

type Call = dict[str, Any]
"""What was asked, rows, tokens, seconds."""


def token_ids(base: Path, questions: Path) -> list[list[int]]:
    """The prompts that `loralift run` makes of the questions."""
    from transformers import AutoTokenizer

    from loralift.data import render_prompt

    tokenizer = AutoTokenizer.from_pretrained(base)
    lines = questions.read_text(encoding="utf-8").splitlines()
    ids: list[list[int]] = tokenizer([render_prompt(json.loads(line)["question"]) for line in lines])["input_ids"]
    return ids


def loralift(engine: str, folder: Path, questions: Path, new_tokens: int, out: Path) -> list[Call]:
    """The whole of `loralift run`, with each call of the generator timed."""
    from loralift.generation.transformers_engine.generator import TransformersGenerator
    from loralift.generation.vllm.generator import VllmGenerator

    random_llama.use_random_weights()
    calls: list[Call] = []
    for kind in (TransformersGenerator, VllmGenerator):
        kind.generate = _timed(kind.generate, calls)  # type: ignore[method-assign]
    from loralift.cli import main

    arguments = ["run", "--model", str(folder / "base"), "--adapter", f"lora={folder / 'lora'}", "--engine", engine]
    arguments += ["--dataset", str(questions), "--max-new-tokens", str(new_tokens), "--output-dir", str(out)]
    try:
        main(arguments)
    except SystemExit as end:
        if end.code:
            raise
    return calls


def _timed(generate: Any, calls: list[Call]) -> Any:
    def timed(self: Any, variant: str, prompts: Sequence[Any], settings: Any, on_progress: Any = None) -> Any:
        began, tokens = time.perf_counter(), 0
        for answer in generate(self, variant, prompts, settings, on_progress):
            tokens += answer.output_tokens
            yield answer
        seconds = time.perf_counter() - began
        calls.append({"asked": variant, "rows": len(prompts), "tokens": tokens, "seconds": seconds})

    return timed


def vllm_lora(folder: Path, questions: Path, new_tokens: int) -> list[Call]:
    """VLLM's multi-LoRA as its documentation shows it: base and adapter in one call, everything at its default."""
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    llm = LLM(str(folder / "base"), load_format="dummy", skip_tokenizer_init=True, enable_lora=True)
    params = SamplingParams(temperature=0.0, max_tokens=new_tokens, ignore_eos=True, detokenize=False)
    prompts: list[Any] = [{"prompt_token_ids": ids} for ids in token_ids(folder / "base", questions)]
    request = LoRARequest("lora", 1, str(folder / "lora"))
    requests = [None] * len(prompts) + [request] * len(prompts)

    def call() -> int:
        outputs = llm.generate(prompts * 2, params, lora_request=requests, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    return [_call("base and lora", 2 * len(prompts), call) for _ in range(2)]


def generate(folder: Path, questions: Path, new_tokens: int, rows: int, static: bool) -> list[Call]:
    """Transformers' `generate` on the base, so many rows a batch; with a static cache it compiles its steps."""
    import torch
    from transformers import AutoConfig, GenerationConfig

    from loralift.generation.transformers_engine.stopping import left_pad

    base = folder / "base"
    model, _ = random_llama.random_base(
        argparse.Namespace(config=AutoConfig.from_pretrained(base)), torch.bfloat16, "cuda"
    )
    config = GenerationConfig(
        max_new_tokens=new_tokens,
        min_new_tokens=new_tokens,
        do_sample=False,
        pad_token_id=random_llama.END,
        eos_token_id=random_llama.END,
        cache_implementation="static" if static else None,
    )
    order = sorted(token_ids(base, questions), key=len, reverse=True)

    def call() -> int:
        made = 0
        for start in range(0, len(order), rows):
            ids, mask = left_pad(order[start : start + rows], random_llama.END, "cuda")
            with torch.inference_mode():
                out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
            made += out[:, ids.shape[1] :].numel()
        torch.cuda.synchronize()
        return made

    return [_call("base", len(order), call) for _ in range(2)]


def _call(asked: str, rows: int, run: Callable[[], int]) -> Call:
    began = time.perf_counter()
    tokens = run()
    return {"asked": asked, "rows": rows, "tokens": tokens, "seconds": time.perf_counter() - began}


def main() -> None:
    """Run one way and print its calls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way")
    parser.add_argument("folder", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    given = (asked.folder, asked.questions, asked.new_tokens)
    kind, _, what = asked.way.partition(":")
    if kind == "loralift":
        calls = loralift(what, *given, asked.out)
    elif kind == "vllm-lora":
        calls = vllm_lora(*given)
    else:
        calls = generate(*given, int(what), kind == "generate-static")
    print("CALLS " + json.dumps(calls), flush=True)
    os._exit(0)  # engines take their time to say goodbye, which nobody waits for


if __name__ == "__main__":
    main()
