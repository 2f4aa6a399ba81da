"""A run whose rows are kept in files, in many blocks and groups, is the run whose rows are in memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift import kept
from loralift.comparison import analysis, estimate
from loralift.nemo import bundles, scoring
from loralift.records import scores
from loralift.workflow import asking

TIMES = re.compile(
    r'"(elapsed_seconds|tokens_per_second|steps_per_second|p50|p90|p99)": [0-9.e+-]+'
    r"|\d{4}-\d\d-\d\dT[0-9:.]+\+00:00|[0-9.]+ s\b"
)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty rows are as many as a million."""
    for module, name, size in (
        (kept, "FEW", 3),
        (kept, "ROWS_AT_ONCE", 4),
        (scores, "BLOCK", 6),
        (scoring, "AT_ONCE", 7),
        (bundles, "AT_ONCE", 3),
        (analysis, "MOST_BYTES", 1),
        (estimate, "BLOCK", 4),
        (asking, "RENDERED", 5),
    ):
        assert hasattr(module, name)
        monkeypatch.setattr(module, name, size)


@pytest.mark.usefixtures("many", "drawn")
def test_every_file_is_the_same(cli: Callable[..., Any], arguments: list[str], finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "finished"
    assert cli(*arguments, "-o", run).code == 0
    files = {path.relative_to(finished) for path in finished.rglob("*") if path.is_file()}
    assert files == {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    for file in sorted(files - {Path("run.json")}):
        if file.name == "times.jsonl":
            continue
        before, after = ((folder / file).read_bytes() for folder in (finished, run))
        if before != after:
            before, after = (TIMES.sub("", of.decode("utf-8")) for of in (before, after))
        assert before == after, file


@pytest.mark.usefixtures("many")
def test_a_killed_run_goes_on(cli: Callable[..., Any], arguments: list[str], finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert cli(*arguments, "-o", run).code == 0
    whole = {name: (run / name).read_bytes() for name in ("letters/answers.jsonl", "comparison.json")}
    cut = whole["letters/answers.jsonl"].splitlines(keepends=True)
    (run / "letters" / "answers.jsonl").write_bytes(b"".join(cut[:9]) + cut[9][:20])
    (run / "comparison.json").unlink()
    assert cli(*arguments, "-o", run, "--resume").code == 0
    assert sorted((run / "letters" / "answers.jsonl").read_bytes().splitlines()) == sorted(
        whole["letters/answers.jsonl"].splitlines()
    )
    assert (run / "comparison.json").read_bytes() == whole["comparison.json"]
