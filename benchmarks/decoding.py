"""How fast answers are generated: LoraLift's loop beside the plan's and beside transformers' `generate`, in turns.

    python -m benchmarks.decoding MODEL_DIR QUESTIONS.jsonl [--adapter DIR] [--max-new-tokens 128] [--rows N]

The plan's loop asks one prompt at a time; it answers only the first few rows, and its speed is that of those. Each way
answers the same prompts greedily, and its answers are compared with the loop's, text by text.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, GenerationConfig

from loralift.data import render_prompt
from loralift.generation import GenerationSettings, load_transformers
from loralift.generation.decoding import finish_row, left_pad
from loralift.generation.loading import Loaded
from loralift.generation.quiet import quiet_loading
from loralift.records import BASE, Prompt

# The plan's loop takes minutes for all rows, and its speed does not depend on how many they are.
LOOP_ROWS = 16
GENERATE_ROWS = (8, 32, 128)
OURS = "adapter"

LOOP = "the plan's loop"

type Texts = dict[str, tuple[str, int]]
"""Each answer's text and number of tokens, by its prompt's id."""

type Way = Callable[[Sequence[Prompt]], Texts]
type Measured = tuple[int, Way]


def ask(generator: Any, path: Path, rows: int | None) -> list[Prompt]:
    """The prompts of a file of questions."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line][:rows]
    texts = [render_prompt(json.loads(line)["question"]) for line in lines]
    encoded = generator.encode(texts, True)
    return [Prompt(str(n), text, ids) for n, (text, ids) in enumerate(zip(texts, encoded, strict=True))]


def plain_models(model: Path, adapter: Path | None, like: Any) -> dict[str, Any]:
    """The base, and the base with its adapter unmerged, as transformers and PEFT load them."""
    with quiet_loading():
        models = {BASE: AutoModelForCausalLM.from_pretrained(model, dtype=like.dtype).to(like.device).eval()}
        if adapter is not None:
            again = AutoModelForCausalLM.from_pretrained(model, dtype=like.dtype).to(like.device)
            models[OURS] = PeftModel.from_pretrained(again, str(adapter)).eval()
    return models


def generate_way(model: Any, loaded: Loaded, new_tokens: int, rows: int) -> Way:
    """Texts by `generate`, so many rows a batch, longest first as anybody would sort them."""
    eos = list(loaded.eos)
    config = GenerationConfig(max_new_tokens=new_tokens, do_sample=False, eos_token_id=eos, pad_token_id=loaded.pad)

    def way(prompts: Sequence[Prompt]) -> Texts:
        order = sorted(prompts, key=lambda prompt: -len(prompt.token_ids))
        found = {}
        for start in range(0, len(order), rows):
            batch = order[start : start + rows]
            ids, mask = left_pad([prompt.token_ids for prompt in batch], loaded.pad, model.device)
            with torch.inference_mode():
                made = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
            for prompt, tokens in zip(batch, made[:, ids.shape[1] :].tolist(), strict=True):
                text, count, _ = finish_row(tokens, None, eos, (), loaded.text.decode)
                found[prompt.id] = (text, count)
        return found

    return way


def ways_of(generator: Any, models: dict[str, Any], new_tokens: int, rows: int, alone: int) -> dict[str, Measured]:
    """Each way by its name, with how many rows it answers."""
    ways: dict[str, Measured] = {}
    for variant, model in models.items():
        ways[f"{LOOP}, {variant}"] = (alone, generate_way(model, generator._loaded, new_tokens, 1))
    for size in (*(size for size in GENERATE_ROWS if size < rows), rows):
        ways[f"generate, batch {size}"] = (rows, generate_way(models[BASE], generator._loaded, new_tokens, size))
    settings = GenerationSettings(max_new_tokens=new_tokens)
    for variant in generator.variants:

        def ours(prompts: Sequence[Prompt], variant: str = variant) -> Texts:
            answers = generator.generate(variant, prompts, settings)
            return {answer.id: (answer.text, answer.output_tokens or 0) for answer in answers}

        ways[f"LoraLift, {variant}"] = (rows, ours)
    return ways


def measure(ways: dict[str, Measured], prompts: Sequence[Prompt], rounds: int) -> tuple[Any, dict[str, Texts]]:
    """Tokens a second of each round, and the last round's answers, of each way."""
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    answers: dict[str, Texts] = {}
    for _ in range(rounds):
        for name, (rows, way) in ways.items():
            began = time.perf_counter()
            answers[name] = way(prompts[:rows])
            seconds = time.perf_counter() - began
            speeds[name].append(sum(count for _, count in answers[name].values()) / seconds)
            print(f"  {name}: {speeds[name][-1]:,.0f}", flush=True)
    return speeds, answers


def report(speeds: dict[str, list[float]], answers: dict[str, Texts]) -> None:
    """Print a table: tokens a second, ratios, and how many answers are not the loop's."""
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    best = max(median for name, median in medians.items() if name.startswith("generate"))
    print(f"{'':26}{'tokens/s':>10}{'/ loop':>8}{'/ best generate':>17}{'lowest..highest':>18}{'differ':>12}")
    for name, median in medians.items():
        loop = f"{LOOP}, {OURS if name.endswith(OURS) else BASE}"
        differ = sum(answers[name][key] != text for key, text in answers[loop].items())
        lowest_highest = f"{min(speeds[name]):,.0f}..{max(speeds[name]):,.0f}"
        ratios = f"{median / medians[loop]:8.1f}{median / best:17.2f}"
        print(f"{name:26}{median:10,.0f}{ratios}{lowest_highest:>18}{f'{differ} of {len(answers[loop])}':>12}")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop-rows", type=int, default=LOOP_ROWS, help="how many rows the plan's loop answers")
    arguments = parser.parse_args()
    adapters = {OURS: str(arguments.adapter)} if arguments.adapter else {}
    generator = load_transformers(str(arguments.model), adapters)
    models = plain_models(arguments.model, arguments.adapter, generator._loaded.base)
    prompts = ask(generator, arguments.questions, arguments.rows)
    # what the first call pays for (threads, kernels, memory) is nobody's speed
    list(generator.generate(BASE, prompts[:8], GenerationSettings(max_new_tokens=8)))
    ways = ways_of(generator, models, arguments.max_new_tokens, len(prompts), arguments.loop_rows)
    speeds, answers = measure(ways, prompts, arguments.rounds)
    print(f"\n{len(prompts)} rows, {torch.get_num_threads()} threads, medians of {arguments.rounds} rounds in turns")
    report(speeds, answers)


if __name__ == "__main__":
    main()
