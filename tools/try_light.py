"""Tries the package that is installed here without its extras: ``make package`` runs it in an empty environment.

It compares two files of 648 rows, as often as FiQA has test questions, and sees that what needs the extra says so.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import loralift as loralift_package

HEAVY = ("torch", "transformers", "peft", "nemo_evaluator", "pandas", "pyarrow", "altair", "vl_convert")

ROWS = 648

SECONDS = 2.0
"""Longest that a comparison may take of one core, from the start of the process."""

MOST_MEGABYTES = 250
"""Of all that is installed; most of it is scipy (111) and numpy (53)."""

PIP_LINE = "pip install 'loralift[run]'"


def main() -> None:
    """Try it.

    Raises:
        AssertionError: Something is not as the documentation says.
    """
    assert metadata.version("loralift") == loralift_package.__version__, "pyproject.toml and version.py differ"
    assert not (there := [name for name in HEAVY if find_spec(name)]), f"the light package brought {there}"
    size = megabytes(Path(sys.prefix))
    assert size < MOST_MEGABYTES, f"{size:.0f} MB are installed"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_scores(place)
        compared = loralift(place, "compare", "before.jsonl", "after.jsonl", "--primary", "rougeL", "-o", "out.json")
        assert compared.returncode == 0, compared.stderr
        assert "after is BETTER than before on ROUGE-L" in compared.stdout, compared.stdout
        assert json.loads((place / "out.json").read_text(encoding="utf-8"))["verdicts"] == {"after": "better"}
        gated = loralift(place, "compare", "after.jsonl", "before.jsonl", "--primary", "rougeL", "--fail-on", "worse")
        assert gated.returncode == 1, gated.stderr
        taken = min(seconds(place) for _ in range(3))
        assert taken < SECONDS, f"comparing takes {taken:.1f} s"
        (place / "texts.jsonl").write_text('{"id": "1", "prediction": "a", "reference": "a"}\n', encoding="utf-8")
        for refused in (["run"], ["check"], ["demo"], ["compare", "texts.jsonl", "texts.jsonl"]):
            done = loralift(place, *refused)
            assert (done.returncode, done.stderr.count("\n"), PIP_LINE in done.stderr) == (2, 1, True), done.stderr
    print(f"light: {size:.0f} MB installed, two files of {ROWS} rows compared in {taken:.2f} s of one core")


def megabytes(folder: Path) -> float:
    """What the files of a folder take, in 10^6 bytes."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def write_scores(place: Path) -> None:
    """Two files of scores, the second one better."""
    draw = random.Random(0)
    rows = [draw.random() for _ in range(ROWS)]
    for name, gain in (("before", 0.0), ("after", 0.1)):
        scored = [
            {"id": str(row), "rougeL": value * 0.9 + gain * draw.random(), "f1": draw.random()}
            for row, value in enumerate(rows)
        ]
        (place / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scored), encoding="utf-8")


def loralift(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does."""
    command = [str(Path(sys.executable).parent / "loralift"), *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "COLUMNS": "160"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=60, check=False)


def seconds(place: Path) -> float:
    """What one comparison takes of the processor: on a busy machine the clock says more."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    loralift(place, "compare", "before.jsonl", "after.jsonl", "--primary", "rougeL")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
