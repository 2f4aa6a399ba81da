"""llama.cpp on the GGUF file itself, its weights in 4 bits, one question at a time: tokens a second.

    PYTHON -m benchmarks.rivals.llama_cpp MODEL.gguf PROMPTS.jsonl --rows N --max-new-tokens N

PYTHON is one that has `llama-cpp-python`, which must be compiled; no part of what LoraLift needs.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from llama_cpp import Llama  # type: ignore[import-not-found]


def main() -> None:
    """Answer, and print tokens a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    given = parser.parse_args()
    lines = given.prompts.read_text(encoding="utf-8").split("\n")[: given.rows]
    prompts = [json.loads(line)["prompt"] for line in lines]
    model = Llama(given.model, n_ctx=512, n_threads=2, verbose=False)
    model(prompts[0], max_tokens=8, temperature=0)
    began = time.perf_counter()
    made = [model(prompt, max_tokens=given.max_new_tokens, temperature=0) for prompt in prompts]
    tokens = sum(answer["usage"]["completion_tokens"] for answer in made)
    print(f"{tokens / (time.perf_counter() - began):.1f} tokens/s, {len(prompts)} rows, {tokens} tokens")


if __name__ == "__main__":
    main()
