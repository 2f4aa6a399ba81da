"""How fast answers are generated, nothing else: LoraLift's engine beside transformers' ways, in one process, in turns.

Every way answers the same token ids greedily. The plan's loop, `generate` in small batches and `generate_batch` answer
only the first rows: their speed is that of those. Answers are compared with the loop's, text by text, with
their numbers of tokens.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, GenerationConfig

from benchmarks.workload import read_rows
from loralift.generation import GenerationSettings, load_transformers
from loralift.generation.model.quiet import quiet_loading
from loralift.generation.transformers_engine.load import Loaded
from loralift.generation.transformers_engine.stopping import finish_row, left_pad
from loralift.prepacking import can_prepack
from loralift.records import BASE, Prompt

OURS = "LoraLift"
LOOP = "the plan's loop"
ADAPTER = "adapter"
UNMERGED = "adapter, unmerged"
MERGED = "adapter, merged"

HALF = "bfloat16"
"""Where the processor multiplies it by itself: other numbers, so other answers; compared for speed."""

LOOP_ROWS = 16
# Rows a batch to how many rows are answered: small batches are slow, and their speed is that of the first few.
GENERATE = {8: 64, 32: 256, 128: 648, 648: 648}
CONTINUOUS_ROWS = 64

type Made = dict[str, tuple[str, int]]
"""Each answer's text and number of tokens, by its prompt's id."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to generate: who answers, how many rows, and how."""

    variant: str
    rows: int
    answer: Callable[[Sequence[Prompt]], Made]


def plain_models(model: Path, adapter: Path) -> dict[str, Any]:
    """The base, and the base with its adapter unmerged and merged, as transformers and PEFT load them."""

    def base() -> Any:
        return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)

    with quiet_loading():
        unmerged, merging = (PeftModel.from_pretrained(base(), str(adapter)) for _ in range(2))
        models = {BASE: base(), UNMERGED: unmerged, MERGED: merging.merge_and_unload()}
    return {name: found.eval() for name, found in models.items()}


def by_generate(model: Any, loaded: Loaded, new_tokens: int, rows: int) -> Callable[[Sequence[Prompt]], Made]:
    """`generate`, so many rows a batch, longest first as anybody would sort them."""
    config = _greedy(loaded, new_tokens)

    def answer(prompts: Sequence[Prompt]) -> Made:
        order = sorted(prompts, key=lambda prompt: -len(prompt.token_ids))
        found: Made = {}
        for start in range(0, len(order), rows):
            batch = order[start : start + rows]
            ids, mask = left_pad([prompt.token_ids for prompt in batch], loaded.pad, model.device)
            with torch.inference_mode():
                made = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
            found |= _finished(batch, made[:, ids.shape[1] :].tolist(), loaded)
        return found

    return answer


def by_continuous_batching(model: Any, loaded: Loaded, new_tokens: int) -> Callable[[Sequence[Prompt]], Made]:
    """`generate_batch`, which lets a waiting row in when one ends."""
    config = _greedy(loaded, new_tokens)

    def answer(prompts: Sequence[Prompt]) -> Made:
        with quiet_loading():
            made = model.generate_batch([list(prompt.token_ids) for prompt in prompts], generation_config=config)
        return _finished(prompts, (output.generated_tokens for output in made.values()), loaded)

    return answer


def by_loralift(generator: Any, variant: str, new_tokens: int) -> Callable[[Sequence[Prompt]], Made]:
    """LoraLift's transformers engine."""
    settings = GenerationSettings(max_new_tokens=new_tokens)

    def answer(prompts: Sequence[Prompt]) -> Made:
        answers = generator.generate(variant, prompts, settings)
        return {answer.id: (answer.text, answer.output_tokens or 0) for answer in answers}

    return answer


def _greedy(loaded: Loaded, new_tokens: int) -> GenerationConfig:
    eos = list(loaded.eos)
    return GenerationConfig(max_new_tokens=new_tokens, do_sample=False, eos_token_id=eos, pad_token_id=loaded.pad)


def _finished(prompts: Sequence[Prompt], made: Iterable[Sequence[int]], loaded: Loaded) -> Made:
    found = {}
    for prompt, tokens in zip(prompts, made, strict=True):
        row = finish_row(tokens, None, list(loaded.eos), GenerationSettings(), loaded.text.decode)
        found[prompt.id] = (row.text, row.tokens)
    return found


def first_round(generator: Any, models: Mapping[str, Any], new_tokens: int, rows: int) -> dict[str, Way]:
    """Every way of the base, and the loop with the adapter."""
    loaded = generator._loaded
    ways = {
        f"{LOOP}, {variant}": Way(variant, min(LOOP_ROWS, rows), by_generate(models[variant], loaded, new_tokens, 1))
        for variant in (BASE, UNMERGED)
    }
    # larger batches than there are rows are all the same
    sizes = [size for size in GENERATE if not any(smaller >= rows for smaller in GENERATE if smaller < size)]
    for size in sizes:
        most = GENERATE[size]
        answer = by_generate(models[BASE], loaded, new_tokens, size)
        ways[f"generate, batch {size}"] = Way(BASE, min(most, rows), answer)
    continuous = by_continuous_batching(models[BASE], loaded, new_tokens)
    ways["generate_batch"] = Way(BASE, min(CONTINUOUS_ROWS, rows), continuous)
    for variant in generator.variants:
        ways[f"{OURS}, {variant}"] = Way(variant, rows, by_loralift(generator, variant, new_tokens))
    return ways


def in_half(model: Path, plain: Any, loaded: Loaded, new_tokens: int, size: int, rows: int) -> dict[str, Way]:
    """LoraLift and the best `generate` in bfloat16, base alone."""
    generator = load_transformers(str(model), dtype=HALF, device="cpu")
    halved = copy.deepcopy(plain).to(torch.bfloat16)
    return {
        f"generate, batch {size}, {HALF}": Way(BASE, rows, by_generate(halved, loaded, new_tokens, size)),
        f"{OURS}, {BASE}, {HALF}": Way(BASE, rows, by_loralift(generator, BASE, new_tokens)),
    }


def measure(ways: Mapping[str, Way], prompts: Sequence[Prompt], speeds: dict[str, list[float]]) -> dict[str, Made]:
    """One round: appends tokens a second to each way's speeds, and returns each way's answers."""
    answers: dict[str, Made] = {}
    for name, way in ways.items():
        began = time.perf_counter()
        answers[name] = way.answer(prompts[: way.rows])
        seconds = time.perf_counter() - began
        speeds.setdefault(name, []).append(sum(count for _, count in answers[name].values()) / seconds)
        print(f"  {name}: {speeds[name][-1]:,.0f} tokens/s", flush=True)
    return answers


def run(
    model: Path, adapter: Path, prompts_file: Path, new_tokens: int, rounds: int, rows: int | None
) -> dict[str, Any]:
    """All ways once, then the fast ones again; tokens a second of each."""
    generator = load_transformers(str(model), {ADAPTER: str(adapter)}, dtype="float32", device="cpu")
    models = plain_models(model, adapter)
    texts = read_rows(prompts_file)[:rows]
    ids = generator.encode([row["prompt"] for row in texts], True)
    prompts = [Prompt(row["id"], row["prompt"], tokens) for row, tokens in zip(texts, ids, strict=True)]
    # what the first call pays for (threads, kernels, memory) is nobody's speed
    list(generator.generate(BASE, prompts[:8], GenerationSettings(max_new_tokens=8)))
    speeds: dict[str, list[float]] = {}
    ways = first_round(generator, models, new_tokens, len(prompts))
    answers = measure(ways, prompts, speeds)
    best = max((name for name in ways if name.startswith("generate, ")), key=lambda name: speeds[name][0])
    size = int(best.rpartition(" ")[2])
    for variant in (UNMERGED, MERGED):
        answer = by_generate(models[variant], generator._loaded, new_tokens, size)
        ways[f"{best}, {variant}"] = Way(variant, len(prompts), answer)
    again = {name: way for name, way in ways.items() if name.startswith((best, OURS))}
    if can_prepack(torch.bfloat16):
        ways |= in_half(model, models[BASE], generator._loaded, new_tokens, size, len(prompts))
        again |= {name: ways[name] for name in ways if HALF in name}
    answers |= measure({name: way for name, way in again.items() if name not in speeds}, prompts, speeds)
    for _ in range(rounds - 1):
        answers |= measure(again, prompts, speeds)
    return {"best_generate": best, "ways": _results(ways, speeds, answers, best)}


def _results(
    ways: Mapping[str, Way], speeds: Mapping[str, Sequence[float]], answers: Mapping[str, Made], best: str
) -> dict[str, Any]:
    found = {}
    for name, way in ways.items():
        loop = answers[f"{LOOP}, {BASE if way.variant == BASE else UNMERGED}"]
        same = sum(answers[name][key] == made for key, made in loop.items())
        median = statistics.median(speeds[name])
        found[name] = {
            "median_tokens_per_second": round(median, 1),
            "tokens_per_second": [round(one, 1) for one in speeds[name]],
            "rows_measured": way.rows,
            "times_best_generate": round(median / statistics.median(speeds[best]), 2),
            "identical_to_the_plans_loop": f"{same} of {len(loop)}",
        }
    return found


def main() -> None:
    """Measure and write what was found, for a process of its own: nothing of another measurement stays in memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int)
    given = parser.parse_args()
    found = run(given.model, given.adapter, given.prompts, given.max_new_tokens, given.rounds, given.rows)
    given.out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
