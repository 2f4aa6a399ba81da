"""How fast answers become a report: scoring, comparing and reporting, beside what people do by hand, in turns.

    python -m benchmarks.scoring [--rows 648 10000 100000] [--rounds 3] [--out FILE.json]

Two variants' recorded answers, of FiQA's lengths, on every metric that needs no model. Each measurement is a process of
its own, whose start is part of it. By hand is rouge_score's scorer, sacrebleu's sentence calls and a bootstrap of each
metric in a Python loop; it takes hours for many rows, so it takes the first few and is told by the row.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

QUESTIONS = Path(__file__).resolve().parents[2] / "shared" / "fiqa" / "test.jsonl"
ROWS = (648, 10_000, 100_000)
FEW = 10_000
"""Rows beyond which one round must do: it takes minutes."""

BY_HAND_ROWS = 648
LOOK_SECONDS = 0.25
RESAMPLES = 10_000

STAGES = ("scoring", "comparison", "report")
Stages = dict[str, float]


def ours(root: Path) -> Stages:
    """Score both variants, compare them, write the report: what ``loralift run`` does once all have answered."""
    from benchmarks.recorded_run import ADAPTER, config_of, part_of
    from loralift.records import BASE
    from loralift.reporting.findings import findings
    from loralift.workflow.comparing import compare_scores, write_comparison
    from loralift.workflow.confounds import confounds_of
    from loralift.workflow.provenance import finish
    from loralift.workflow.reporting import build_report, write_report
    from loralift.workflow.scored import read_summaries
    from loralift.workflow.scoring import scoring_of, settings_of
    from loralift.workflow.scoring_process import Scorer

    def scored_and_compared() -> None:
        with Scorer(scoring, print) as scorer:
            scorer.share(part, (BASE, ADAPTER))
            scores = {variant: scorer.scores(part, variant) for variant in (BASE, ADAPTER)}
        laps.append(time.perf_counter())
        comparison, tests = compare_scores((BASE, scores[BASE]), {ADAPTER: scores[ADAPTER]}, scoring.metrics, settings)
        confounds = confounds_of(part, scoring, scores, settings)
        summaries = {variant: read_summaries(part.directory, variant)[1] for variant in scores}
        write_comparison(part.directory, comparison, tests, confounds, findings(comparison, summaries, confounds))
        laps.append(time.perf_counter())

    laps = [time.perf_counter()]
    part, scoring = part_of(root), scoring_of(config_of(root))
    settings = settings_of(config_of(root), scoring)
    scored_and_compared()
    finish(part.directory, {})
    write_report(part.directory, build_report(part.directory))
    laps.append(time.perf_counter())
    return dict(zip(STAGES, (after - before for before, after in pairwise(laps)), strict=True))


def by_hand(root: Path) -> Stages:
    """ROUGE, BLEU and chrF of both variants by their packages, one row at a time, and a bootstrap in a loop."""
    import numpy as np
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    from benchmarks.recorded_run import SHARES, part_of
    from loralift.records import Answer
    from loralift.workflow.recorded import read_records

    part = part_of(root)
    questions = part.data.questions[:BY_HAND_ROWS]
    answers = {variant: read_records(part.directory.answers(variant), Answer) for variant in SHARES}
    laps = [time.perf_counter()]
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    values: dict[str, list[list[float]]] = {variant: [] for variant in SHARES}
    for variant, rows in values.items():
        for question in questions:
            text = answers[variant][question.id].text
            row = [score.fmeasure for score in scorer.score(question.reference, text).values()]
            row.append(sacrebleu.sentence_bleu(text, [question.reference]).score)
            row.append(sacrebleu.sentence_chrf(text, [question.reference]).score)
            rows.append(row)
    laps.append(time.perf_counter())
    one, other = (np.array(rows) for rows in values.values())
    draw = np.random.default_rng(0)
    for differences in (other - one).T:
        means = [draw.choice(differences, len(differences)).mean() for _ in range(RESAMPLES)]
        np.percentile(means, [2.5, 97.5])
    laps.append(time.perf_counter())
    return {"scoring": laps[1] - laps[0], "comparison": laps[2] - laps[1]}


WAYS: dict[str, Callable[[Path], Stages]] = {"LoraLift": ours, "by hand": by_hand}


def measured(way: str, root: Path) -> dict[str, Any]:
    """A way's stages, and what its processes took of processors: the clock also counts others' work."""
    stages = WAYS[way](root)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"stages": stages, "cpu_seconds": sum(one.ru_utime + one.ru_stime for one in used)}


def in_a_process(function: Callable[..., Any], *arguments: Any) -> tuple[float, float, Any]:
    """What a new process makes of it, the seconds from its start to its answer, and its and its children's most MB."""
    began, peak = time.perf_counter(), 0.0
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answer = pool.apply_async(function, arguments)
        while not answer.ready():
            peak = max(peak, megabytes_of_children())
            answer.wait(LOOK_SECONDS)
        return time.perf_counter() - began, peak, answer.get()


def megabytes_of_children() -> float:
    """What all processes below this one hold in memory now."""
    total = 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            memory = child.memory_full_info()
            total += getattr(memory, "pss", memory.uss)  # what processes share is counted once
    return total / 2**20


def measure(source: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Both ways in turns on so many rows; medians of each."""
    from benchmarks.recorded_run import record

    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        in_a_process(record, source, rows, Path(folder))
        for _ in range(rounds if rows <= FEW else 1):
            for way, results in found.items():
                seconds, peak, result = in_a_process(measured, way, Path(folder))
                results.append({**result, "seconds": seconds, "peak_mb": peak})
                print(f"{rows} rows, {way}: {seconds:.1f} s, {peak:.0f} MB", flush=True)
    return {way: medians(results, rows) for way, results in found.items()}


def medians(results: Sequence[dict[str, Any]], rows: int) -> dict[str, Any]:
    """The median of every figure of some rounds."""
    median = statistics.median
    return {
        "rows": min(rows, BY_HAND_ROWS) if "report" not in results[0]["stages"] else rows,
        "seconds": median(result["seconds"] for result in results),
        **{stage: median(result["stages"][stage] for result in results) for stage in results[0]["stages"]},
        **{name: median(result[name] for result in results) for name in ("cpu_seconds", "peak_mb")},
        "rounds": len(results),
    }


def machine() -> dict[str, Any]:
    """What it ran on, without names of hosts; and how busy it was, as others' work slows every figure."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").split("\n") if known.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load": os.getloadavg()[0],
    }


def table(sizes: dict[str, Any]) -> str:
    """The figures as Markdown."""
    heads = (
        "rows",
        "whole process",
        "of processors",
        "scoring",
        "comparison",
        "report",
        "most memory",
        "by hand, scoring and bootstrap",
        "ratio",
    )
    lines = ["| " + " | ".join(heads) + " |", "| ---: " * len(heads) + "|"]
    for rows, of in sizes.items():
        ours, rival = of["LoraLift"], of["by hand"]
        by_row = (rival["scoring"] + rival["comparison"]) / rival["rows"]
        own = (ours["scoring"] + ours["comparison"]) / ours["rows"]
        stages = " | ".join(f"{ours[name]:.1f} s" for name in ("seconds", "cpu_seconds", *STAGES))
        hand = f"{1000 * by_row:.1f} ms a row, of {rival['rows']}"
        lines.append(f"| {int(rows):,} | {stages} | {ours['peak_mb']:,.0f} MB | {hand} | {by_row / own:.1f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, default=QUESTIONS, help="lines of question and ground_truths")
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    if not options.questions.is_file():
        print(f"scoring: skipped, the real FiQA answers are not there ({options.questions})")
        return
    from loralift.workflow.provenance import versions

    sizes = {str(rows): measure(options.questions, rows, options.rounds) for rows in options.rows}
    print(table(sizes))
    if options.out:
        document = {"machine": machine(), "versions": versions(), "resamples": RESAMPLES, "rows": sizes}
        options.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(f"# Scoring\n\n{table(sizes)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
