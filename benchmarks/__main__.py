"""`python -m benchmarks`: LoraLift beside its rivals on this machine's processor; writes results/cpu.json and cpu.png.

Whole processes first, then generation alone in a process of its own. About half an hour on two idle cores. With
``--real`` the real demo's model, 96 questions x 96 tokens: results/cpu-135m.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import chart, machine, processes, workload
from benchmarks.timing import ratios

RESULTS = Path(__file__).parent / "results"
LM_EVAL_PYTHON = processes.LM_EVAL.parent / "python"

LORALIFT_ALSO = (
    "the proof that the adapter acts",
    "64 questions answered twice (the noise floor)",
    "a 95 % interval, a paired test and a verdict for each metric, adjusted for how many there are",
    "bundles for NeMo Evaluator",
    "a report with charts and every row",
    "a run that can be resumed",
)
EVERY_METRIC_ALSO = (
    "the likelihood of every reference under both models (perplexity)",
    "semantic similarity without truncation: long references are embedded window by window",
)
PARTS = ("whole_process", "generation")
DID_NOT = {
    processes.LOOP: (*LORALIFT_ALSO, *EVERY_METRIC_ALSO),
    processes.OURS_AGAIN: ("the embeddings of the references: they were on the disk",),
    processes.OURS_ROUGE: EVERY_METRIC_ALSO,
    "lm-evaluation-harness": (
        *LORALIFT_ALSO,
        *EVERY_METRIC_ALSO,
        "any metric but rougeL",
        "base and adapter in one run",
    ),
}
NOT_RUN = {
    "lighteval 0.13.0": "does not start offline: loading its own tasks downloads tinyBenchmarks.pkl; with an empty "
    "file in its place it ends with `HfApi.list_models() got an unexpected keyword argument 'model_name'`, which the "
    "huggingface_hub of transformers 5.23 does not know",
}


def main() -> None:
    """Measure, write the results, draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="of the fast ways; what is extrapolated has one")
    parser.add_argument("--rows", type=int, help="only the first rows")
    parser.add_argument("--max-new-tokens", type=int)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--real", action="store_true", help="SmolLM2-135M-Instruct and a real adapter")
    parser.add_argument("--only", choices=PARTS, help="this part; the other stays as it is in the results")
    given = parser.parse_args()
    given.out = given.out or RESULTS / ("cpu-135m.json" if given.real else "cpu.json")
    given.rows = given.rows or (96 if given.real else None)
    given.max_new_tokens = given.max_new_tokens or (96 if given.real else 128)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a processor's benchmark, whatever else the machine has
    work = workload.make_real() if given.real else workload.make()
    rows = len(workload.read_rows(work.questions)[: given.rows])
    idle = machine.load()
    parts = [part for part in PARTS if given.only in (None, part)]
    before = json.loads(given.out.read_text(encoding="utf-8")) if given.only and given.out.exists() else {}
    measured = {part: MEASURE[part](work, given, rows) for part in parts}
    results = before | {
        "machine": {**machine.describe(), "load_before": idle},
        "versions": machine.versions() | machine.versions_in(LM_EVAL_PYTHON, ["lm_eval"]),
        "workload": {
            "model": work.models,
            "rows": before.get("workload", {}).get("rows", {}) | dict.fromkeys(parts, rows),
            **{"data": work.data, "new_tokens": given.max_new_tokens, "decoding": "greedy"},
        },
        **measured,
        "not_run": NOT_RUN,
    }
    given.out.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    chart.write(results, given.out.with_suffix(".png"))
    print(f"written: {given.out}, {given.out.with_suffix('.png')}")


def _whole(work: workload.Workload, given: argparse.Namespace, rows: int) -> dict[str, Any]:
    ways = processes.ways_of(work, given.max_new_tokens, large=given.real)
    timings = processes.measure(ways, rows, given.rounds, lambda line: print(line, flush=True))
    rates = ratios(timings, list(timings))
    return {
        name: {
            **timing.plain(),
            "times_as_fast_as": rates[name],
            "did_not_do": list(DID_NOT.get(name.partition(", rougeL, batch")[0], ())),
        }
        for name, timing in timings.items()
    }


def _generation(work: workload.Workload, given: argparse.Namespace, rows: int) -> Any:
    out = workload.KEPT / "out" / "generation.json"
    files = [str(path) for path in (work.model, work.adapter, work.prompts, out)]
    sizes = ["--max-new-tokens", str(given.max_new_tokens), "--rounds", str(given.rounds)]
    if given.rows:
        sizes += ["--rows", str(rows)]
    subprocess.run([sys.executable, "-m", "benchmarks.generation", *files, *sizes], cwd=workload.ROOT, check=True)
    return json.loads(out.read_text(encoding="utf-8"))


MEASURE: dict[str, Callable[[workload.Workload, argparse.Namespace, int], Any]] = {
    "whole_process": _whole,
    "generation": _generation,
}


if __name__ == "__main__":
    main()
