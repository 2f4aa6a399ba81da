"""Base and adapter of 8 billion parameters on one GPU: LoraLift's engines beside vLLM's multi-LoRA and `generate`.

    python -m benchmarks.gpu QUESTIONS.jsonl --out FOLDER [--ways WAY …] [--rounds N]

Every way answers all questions greedily with 256 new tokens, in a process of its own, in turns. LoraLift's ways are the
whole of `loralift run`, from the start of the process to report.html; the others stop at the answers. Weights are
random (`random_llama.py`). Writes results.json and results.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import random_llama
from loralift.data import render_prompt

WAYS = ("loralift:vllm", "vllm-lora", "loralift:transformers", "generate-static:648", "generate:128")

type Result = dict[str, Any]


def prepare(folder: Path, questions: Path) -> None:
    """The model's folders, with a token for each word of the data."""
    rows = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    texts = [render_prompt(row["question"]) for row in rows] + [row["ground_truths"][0] for row in rows]
    random_llama.make(folder, texts)


def run(way: str, folder: Path, questions: Path, new_tokens: int, log: Path) -> Result:
    """One way in a process of its own; seconds are counted from its start."""
    out = log.with_suffix("")
    command = [sys.executable, "-m", "benchmarks.gpu_ways", way, str(folder), str(questions)]
    command += ["--new-tokens", str(new_tokens), "--out", str(out)]
    began, clock = time.time(), time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=file, text=True, check=False)
    result: Result = {"way": way, "exit": done.returncode, "process": time.perf_counter() - clock, "calls": []}
    for line in done.stdout.splitlines():
        if line.startswith("CALLS "):
            result["calls"] = json.loads(line.removeprefix("CALLS "))
    result["steady"] = steady(result["calls"])
    for name, path in (("answers", out / "lora" / "answers.jsonl"), ("report", out / "report.html")):
        if path.exists():
            result[name] = path.stat().st_mtime - began
    if (out / "run.json").exists():
        result["stages"] = json.loads((out / "run.json").read_text(encoding="utf-8"))["seconds"]
    elif result["calls"]:
        # it ends with its second call, made to see its steady speed
        result["answers"] = result["process"] - result["calls"][-1]["seconds"]
    return result


def steady(calls: list[dict[str, Any]]) -> float | None:
    """Tokens a second of base and adapter together; of a way that calls twice, in the second call."""
    whole = [call for call in calls if call["rows"] >= max(one["rows"] for one in calls)]
    if not whole:
        return None
    if len({call["asked"] for call in whole}) < len(whole):
        whole = whole[-1:]
    return float(sum(call["tokens"] for call in whole) / sum(call["seconds"] for call in whole))


def table(results: list[Result]) -> str:
    """The results as Markdown: medians over the rounds."""
    lines = ["| way | start to answers | start to report.html | tokens/s, steady |", "| --- | --- | --- | --- |"]
    for way in dict.fromkeys(result["way"] for result in results):
        cells = [way]
        for name, unit in (("answers", " s"), ("report", " s"), ("steady", "")):
            found = [result[name] for result in results if result["way"] == way and result.get(name)]
            digits = "{:,.1f}" if unit else "{:,.0f}"
            cells.append(digits.format(statistics.median(found)) + unit if found else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def machine() -> dict[str, Any]:
    """What it ran on."""
    import os
    from importlib.metadata import PackageNotFoundError, version

    import torch

    versions = {}
    for package in ("torch", "transformers", "peft", "vllm", "sentence-transformers", "nemo-evaluator"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    memory = torch.cuda.get_device_properties(0).total_memory
    return {"gpu": torch.cuda.get_device_name(), "gpu_bytes": memory, "cores": os.cpu_count(), "versions": versions}


def main() -> None:
    """Measure the ways in turns and write what was found after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/random-llama"))
    parser.add_argument("--ways", nargs="+", default=WAYS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--new-tokens", type=int, default=256)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if not (asked.folder / "lora" / "adapter_config.json").exists():
        prepare(asked.folder, asked.questions)
    results = []
    for turn in range(asked.rounds):
        for way in asked.ways:
            log = asked.out / f"{way.replace(':', '-')}-{turn}-{int(time.time())}.log"
            results.append(run(way, asked.folder, asked.questions, asked.new_tokens, log))
            print(json.dumps(results[-1]), flush=True)
            content = {"machine": machine(), "new_tokens": asked.new_tokens, "results": results}
            (asked.out / "results.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (asked.out / "results.md").write_text(table(results), encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
