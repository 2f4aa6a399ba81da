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
from loralift.workflow import asking, generating

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
        (asking, "AT_ONCE", 5),
    ):
        assert hasattr(module, name)
        monkeypatch.setattr(module, name, size)


@pytest.mark.usefixtures("drawn")
def test_every_file_is_the_same(
    cli: Callable[..., Any], arguments: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # not the shared run: where another of pytest's processes made it, it names another place of the data
    finished, run = tmp_path / "memory" / "run", tmp_path / "files" / "run"
    assert cli(*arguments, "-o", finished).code == 0
    request.getfixturevalue("many")
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
def test_a_killed_run_goes_on(
    cli: Callable[..., Any], arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generating, "AT_ONCE", 6)  # of which the second part is cut in its middle
    run, kinds = tmp_path / "run", ("answers", "references")
    assert cli(*arguments, "-o", run).code == 0
    comparison = (run / "comparison.json").read_bytes()
    whole = {kind: (run / "letters" / f"{kind}.jsonl").read_bytes().splitlines(keepends=True) for kind in kinds}
    for kind, lines in whole.items():
        (run / "letters" / f"{kind}.jsonl").write_bytes(b"".join(lines[:9]) + lines[9][:20])
    (run / "comparison.json").unlink()
    assert cli(*arguments, "-o", run, "--resume").code == 0
    for kind, lines in whole.items():
        found = (run / "letters" / f"{kind}.jsonl").read_bytes().splitlines(keepends=True)
        assert found[:9] == lines[:9]
        assert sorted(found) == sorted(lines)
    assert (run / "comparison.json").read_bytes() == comparison
