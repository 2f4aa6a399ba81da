"""What a command does not need, it does not import: torch alone takes seconds."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "sentence_transformers", "peft", "datasets", "pandas")

PROBE = f"""
import sys
from loralift.cli import main
try:
    main(sys.argv[1:])
except SystemExit as done:
    print("CODE", done.code, "IMPORTED", *(name for name in {HEAVY!r} if name in sys.modules))
"""

HELP_SECONDS = 1.5
"""Of a core: 0.4 to 0.55 on one that nothing else uses, half as much again where its twin is at work."""


def last_line(*arguments: object) -> str:
    command = [sys.executable, "-c", PROBE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()[-1]


@pytest.fixture
def predictions(tmp_path: Path) -> tuple[Path, Path]:
    """Two files of predictions, the second one better."""
    paths = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    for path, words in zip(paths, (3, 5), strict=True):
        rows = [
            {
                "id": str(i),
                "prediction": " ".join(f"it is {i} dollars now".split()[:words]),
                "reference": f"it is {i} dollars now",
            }
            for i in range(20)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return paths


def test_compare_of_texts_by_lexical_metrics_imports_no_torch(predictions: tuple[Path, Path]) -> None:
    assert last_line("compare", *predictions, "--metrics", "rouge,bleu,chrf,squad") == "CODE 0 IMPORTED"


def test_compare_and_report_of_a_finished_run_import_no_torch(finished: Path) -> None:
    assert last_line("compare", finished / "base", finished / "letters") == "CODE 0 IMPORTED"
    assert last_line("report", finished) == "CODE 0 IMPORTED"


def test_help_is_there_at_once() -> None:
    assert last_line("--help") == "CODE 0 IMPORTED"
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "loralift", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # the processor's time, not the clock's: on a busy machine the interpreter waits for its turn
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < HELP_SECONDS
