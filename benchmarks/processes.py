"""Whole processes, from the command to the result on the disk, base and adapter: LoraLift beside its rivals, in turns.

What takes too long is measured on a few rows and on twice as many, and extrapolated along the line through both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import Texts, Timing, extrapolate, identical, tells
from benchmarks.workload import KEPT, ROOT, Workload, read_rows

LM_EVAL = KEPT / "lm_eval" / "bin" / "lm-eval"
CACHE = KEPT / "cache"
TASK = ROOT / "benchmarks" / "rivals" / "lm_eval"
LOOP = "the plan's loop"
OURS_ALL = "LoraLift, every metric"
OURS_AGAIN = "LoraLift, every metric, references known from another run"
OURS_ROUGE = "LoraLift, rougeL alone"
LM_EVAL_ROUGE = "lm-evaluation-harness, rougeL"
# `--batch_size auto` runs batches of 64 rows of this many tokens five times before the first answer: 4,096, the model's
# own, would be eight times the work, and prompt and answer need 210.
LM_EVAL_WINDOW = 512
REHEARSAL = 8
VARIANTS = ("base", "adapter")

type Commands = Callable[[int, Path], list[list[str]]]
type Reader = Callable[[Path], dict[str, Texts]]


@dataclass(frozen=True, slots=True)
class Way:
    """How somebody evaluates.

    Attributes:
        commands: Rows and an output folder to the commands, run one after the other.
        read: What the output folder holds: variant to texts.
        few: Rows of the smaller of two measurements; None: all rows are measured.
        once: Whether one round must do.
        remembers: Whether what LoraLift kept of other runs is there.
    """

    commands: Commands
    read: Reader
    few: int | None = None
    once: bool = False
    remembers: bool = False


def ways_of(work: Workload, new_tokens: int, *, large: bool = False) -> dict[str, Way]:
    """Every way by its name, the plan's loop first.

    Args:
        work: What is evaluated.
        new_tokens: Most tokens of an answer.
        large: Whether the model is so large that fewer ways must do, and the loop fewer rows.
    """
    if large:
        return {
            LOOP: Way(_loop(work, new_tokens), _read_loop, few=4, once=True),
            OURS_ALL: Way(_ours(work, new_tokens), _read_ours),
            OURS_ROUGE: Way(_ours(work, new_tokens, "--metrics", "rougeL"), _read_ours),
        } | {
            f"{LM_EVAL_ROUGE}, batch {batch}": Way(_lm_eval(work, new_tokens, batch), _read_lm_eval, once=True)
            for batch in ("128", "32")
        }
    return {
        LOOP: Way(_loop(work, new_tokens), _read_loop, few=16, once=True),
        OURS_ALL: Way(_ours(work, new_tokens), _read_ours),
        OURS_AGAIN: Way(_ours(work, new_tokens), _read_ours, remembers=True),
        OURS_ROUGE: Way(_ours(work, new_tokens, "--metrics", "rougeL"), _read_ours),
        f"{LM_EVAL_ROUGE}, batch 128": Way(_lm_eval(work, new_tokens, "128"), _read_lm_eval),
    } | {
        f"{LM_EVAL_ROUGE}, batch {batch}": Way(_lm_eval(work, new_tokens, batch), _read_lm_eval, few, once=True)
        for batch, few in (("64", None), ("32", None), ("auto", None), ("1", 32))
    }


def measure(ways: Mapping[str, Way], rows: int, rounds: int, say: Callable[[str], None]) -> dict[str, Timing]:
    """Seconds of every way, in turns, after a rehearsal that reads all libraries from the disk once."""
    out = KEPT / "out"
    for name, way in ways.items():
        if way.once:
            continue  # its libraries are those of the others
        say(f"{name}: rehearsal, {run_once(way, min(REHEARSAL, rows), out / 'rehearsal'):.1f} s")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    measured: dict[str, tuple[float, ...]] = {}
    for number in range(rounds):
        for place, (name, way) in enumerate(ways.items()):
            if number and way.once:
                continue
            found = run_few(way, rows, out / str(place))
            if found:
                measured[name] = found
                seconds[name].append(extrapolate(way.few or 0, found[0], 2 * (way.few or 0), found[1], rows))
            else:
                seconds[name].append(run_once(way, rows, out / str(place)))
            say(f"{name}: {seconds[name][-1]:.1f} s" + (" (extrapolated)" if name in measured else ""))
    texts = {name: way.read(out / str(place)) for place, (name, way) in enumerate(ways.items())}
    return {
        name: Timing(
            tuple(seconds[name]),
            (way.few, 2 * way.few) if way.few is not None and name in measured else (rows,),
            measured.get(name, ()),
            identical(texts[name], texts[LOOP]),
        )
        for name, way in ways.items()
    }


def run_few(way: Way, rows: int, out: Path) -> tuple[float, ...]:
    """Seconds of a few rows and of twice as many; nothing where that would not tell what rows cost."""
    if way.few is None or 2 * way.few >= rows:
        return ()
    found = tuple(run_once(way, size, out) for size in (way.few, 2 * way.few))
    return found if tells(*found) else ()


def run_once(way: Way, rows: int, out: Path) -> float:
    """Seconds of all commands of a way.

    Raises:
        RuntimeError: One failed; the message holds the end of what it said.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    if not way.remembers:
        shutil.rmtree(CACHE, ignore_errors=True)
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(KEPT / "datasets")}
    environment["LORALIFT_CACHE"] = str(CACHE)
    began = time.perf_counter()
    for command in way.commands(rows, out):
        with (out / "log").open("a", encoding="utf-8") as log:
            code = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, check=False).returncode
        if code:
            said = (out / "log").read_text(encoding="utf-8")[-2000:]
            raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{said}")
    return time.perf_counter() - began


def _loop(work: Workload, new_tokens: int) -> Commands:
    def commands(rows: int, out: Path) -> list[list[str]]:
        files = [str(path) for path in (work.model, work.adapter, work.prompts, out / "results.json")]
        sizes = ["--rows", str(rows), "--max-new-tokens", str(new_tokens)]
        return [[sys.executable, "-m", "benchmarks.rivals.plans_loop", *files, *sizes]]

    return commands


def _read_loop(out: Path) -> dict[str, Texts]:
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return {variant: results[variant]["texts"] for variant in VARIANTS}


def _ours(work: Workload, new_tokens: int, *more: str) -> Commands:
    def commands(rows: int, out: Path) -> list[list[str]]:
        what = ["--model", str(work.model), "--adapter", f"adapter={work.adapter}", "--dataset", str(work.questions)]
        sizes = ["--limit", str(rows), "--max-new-tokens", str(new_tokens)]
        return [[sys.executable, "-m", "loralift", "run", *what, *sizes, *more, "-o", str(out / "run")]]

    return commands


def _read_ours(out: Path) -> dict[str, Texts]:
    found = {variant: read_rows(out / "run" / variant / "answers.jsonl") for variant in VARIANTS}
    return {variant: {row["id"]: row["text"] for row in rows} for variant, rows in found.items()}


def _lm_eval(work: Workload, new_tokens: int, batch: str) -> Commands:
    """Two runs, since one run knows one model; the BOS that the tokenizer adds elsewhere must be asked for."""

    def commands(rows: int, out: Path) -> list[list[str]]:
        folder = _task(work, out / "task")
        model = f"pretrained={work.model},dtype=float32,add_bos_token=True,max_length={LM_EVAL_WINDOW}"
        sizes = ["--batch_size", batch, "--limit", str(rows), "--gen_kwargs", f"max_gen_toks={new_tokens}"]
        task = ["--tasks", "loralift_fiqa", "--include_path", str(folder), "--device", "cpu", "--log_samples"]
        runs = zip(VARIANTS, (model, f"{model},peft={work.adapter}"), strict=True)
        return [
            [
                str(LM_EVAL),
                "run",
                "--model",
                "hf",
                "--model_args",
                args,
                *sizes,
                *task,
                "--output_path",
                str(out / name),
            ]
            for name, args in runs
        ]

    return commands


def _task(work: Workload, folder: Path) -> Path:
    """The task's folder, with the place of its data, which only this machine knows, filled in."""
    shutil.copytree(TASK, folder, dirs_exist_ok=True)
    with (folder / "fiqa.yaml").open("a", encoding="utf-8") as file:
        file.write(f"dataset_kwargs:\n  data_files:\n    test: {work.prompts}\n")
    return folder


def _read_lm_eval(out: Path) -> dict[str, Texts]:
    found: dict[str, Texts] = {}
    for variant in VARIANTS:
        (samples,) = (out / variant).rglob("samples_*.jsonl")
        rows: Sequence[dict[str, object]] = [json.loads(line) for line in _lines(samples)]
        found[variant] = {row["doc"]["id"]: row["resps"][0][0].strip() for row in rows}  # type: ignore[index]
    return found


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]
