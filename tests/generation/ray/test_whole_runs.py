"""Whole runs of the command line with real Ray workers: the files of one process to the byte, also if one is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from benchmarks.chaos.runs import differences
from tests.models import SUBJECTS

pytest.importorskip("ray", reason="Ray is not installed: pip install 'loralift[ray]'")

ROWS = 400
"""More than three batches of references, so that each worker gets some."""

VARIANTS = ("base", "letters")


@pytest.fixture(scope="module")
def arguments(tiny_base: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run whose prompts begin alike and end at many lengths, as do its references."""
    data = tmp_path_factory.mktemp("data") / "money.jsonl"
    rows = [
        {
            "id": f"q{n}",
            "question": f"What are {SUBJECTS[n % 10]}{' or gold' * (n % 7)}?",
            "reference": f"{SUBJECTS[n % 9]} are {n} letters{', rather' * (n % 11)}.",
        }
        for n in range(ROWS)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [
        *("run", "--model", str(tiny_base), "--adapter", f"letters={tiny_adapter}", "--dataset", str(data)),
        *("--system-prompt", "Some say stocks are like bonds.", "--max-new-tokens", "40", "--device", "cpu"),
        *("--metrics", "rouge,f1,perplexity", "--resamples", "200"),
    ]


def start(arguments: Sequence[str], folder: Path, threads: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "loralift", *arguments, "-o", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "COLUMNS": "500"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def ended(run: subprocess.Popen[str]) -> str:
    """What it said, once it has ended well."""
    _, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def plain(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, on as many threads as both workers have together."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    ended(start(arguments, folder, 2))
    return folder


def lines(run: Path, variant: str) -> int:
    path = run / variant / "answers.jsonl"
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def refuse_doubles(run: Path) -> None:
    for variant in VARIANTS:
        for name in ("answers.jsonl", "references.jsonl"):
            text = (run / variant / name).read_text(encoding="utf-8")
            ids = [json.loads(line)["id"] for line in text.splitlines()]
            assert sorted(ids) == sorted(f"q{n}" for n in range(ROWS))


def test_a_run_with_workers_is_the_plain_run_to_the_byte(plain: Path, arguments: list[str], tmp_path: Path) -> None:
    spread = tmp_path / "run"
    said = ended(start([*arguments, "--workers", "2"], spread, 1))
    assert "2 Ray workers" in said
    assert "died" not in said
    refuse_doubles(spread)
    assert differences(spread, plain) == []
    scored = (spread / "letters" / "references.jsonl").read_text(encoding="utf-8").splitlines()
    assert len({json.loads(line)["log_likelihood"] for line in scored}) > ROWS / 2


def test_a_worker_killed_in_mid_run_loses_and_repeats_nothing(
    plain: Path, arguments: list[str], tmp_path: Path
) -> None:
    spread = tmp_path / "run"
    run = start([*arguments, "--workers", "2"], spread, 1)
    while run.poll() is None and not any(0 < lines(spread, variant) < ROWS for variant in VARIANTS):
        time.sleep(0.002)
    workers = [one for one in psutil.Process(run.pid).children(recursive=True) if "ray::Worker" in one.name()]
    for one in workers:  # so that it is known how far they were
        one.send_signal(signal.SIGSTOP)
    time.sleep(0.5)  # for what was under way
    answered = [lines(spread, variant) for variant in VARIANTS]
    assert len(workers) == 2
    workers[0].kill()
    workers[1].send_signal(signal.SIGCONT)
    said = ended(run)
    assert any(0 < count < ROWS for count in answered), answered
    assert re.search(r"worker \d died with \d+ rows, which are done again \(.*\); it is started again", said), said
    refuse_doubles(spread)
    assert differences(spread, plain) == []


def test_shards_with_workers_are_merged_to_the_plain_run(plain: Path, arguments: list[str], tmp_path: Path) -> None:
    for number in range(2):
        shard = tmp_path / f"s{number}"
        ended(start([*arguments, "--shard", f"{number}/2", "--workers", "2"], shard, 1))
    merged = [sys.executable, "-m", "loralift", "merge", tmp_path / "s0", tmp_path / "s1", "-o", tmp_path / "run"]
    subprocess.run(merged, check=True, capture_output=True)
    refuse_doubles(tmp_path / "run")
    assert differences(tmp_path / "run", plain) == []
