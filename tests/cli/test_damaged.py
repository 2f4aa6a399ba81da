"""`loralift report` on a run whose files were changed, cut or mixed: one line that names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import RunDirectoryError
from loralift.workflow import files


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def lines(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("".join(change(path.read_text("utf-8").splitlines(keepends=True))), encoding="utf-8")


JSON = ("run.json", "comparison.json", "letters_results.json")
LINES = ("base/answers.jsonl", "letters/scores.jsonl", "dataset.jsonl")
WHOLE = {"empty": b"", "null": b"null", "list": b"[]", "object": b"{}", "bytes": b"\xff\xfe\x00", "deep": b"[" * 99_999}


@pytest.mark.parametrize("name", [*JSON, *LINES])
def test_files_of_another_shape(cli: Callable[..., Any], run: Path, name: str) -> None:
    path = run / name
    for content in WHOLE.values():
        path.write_bytes(content)
        _refused(cli("report", run), path)
    path.unlink()
    assert cli("report", run).code == 2
    path.mkdir()
    assert cli("report", run).code == 2


@pytest.mark.parametrize("name", LINES)
def test_rows_that_are_missing_twice_or_strange(cli: Callable[..., Any], run: Path, name: str) -> None:
    path = run / name
    before = path.read_bytes()
    strange = json.dumps({**json.loads(before.splitlines()[0]), "id": "strange"}) + "\n"
    for change in (lambda of: of[1:], lambda of: [*of, strange], lambda of: [*of[:-1], strange]):
        lines(path, change)
        _refused(cli("report", run), path)
        path.write_bytes(before)


CHANGES: list[tuple[str, tuple[str | int, ...], Any]] = [
    ("run.json", ("config",), None),
    ("run.json", ("config", "repeats"), "many"),
    ("run.json", ("variants",), []),
    ("run.json", ("variants",), ["base", "other"]),
    ("run.json", ("hardware", "adapters"), {}),
    ("run.json", ("seconds",), {"data": "long"}),
    ("run.json", ("command",), ["loralift"]),
    ("run.json", ("proofs",), [{"adapter": "letters"}]),
    ("run.json", ("fingerprint", "data"), 1),
    ("comparison.json", ("primary",), "nothing"),
    ("comparison.json", ("candidates",), []),
    ("comparison.json", ("candidates",), ["letters", "other"]),
    ("comparison.json", ("verdicts",), {}),
    ("comparison.json", ("verdicts", "letters"), "inconclusive"),
    ("comparison.json", ("rows", 0, "metric"), "nothing"),
    ("comparison.json", ("rows",), []),
    ("comparison.json", ("metrics", "f1", "decimals"), -1),
    ("comparison.json", ("confounds",), 1),
    ("letters_results.json", ("metrics",), 1),
    ("baseline_results.json", ("metrics", "f1", "info", "decimals"), 10**9),
]


@pytest.mark.parametrize(("name", "at", "value"), CHANGES, ids=lambda part: str(part)[:40])
def test_documents_that_do_not_fit(
    cli: Callable[..., Any], run: Path, name: str, at: tuple[str | int, ...], value: Any
) -> None:
    document = json.loads((run / name).read_text("utf-8"))
    inner = document
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    (run / name).write_text(json.dumps(document), encoding="utf-8")
    for fmt in ([], ["-f", "md"], ["-f", "json"]):
        outcome = cli("report", run, *fmt)
        assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
        assert name in outcome.err or "other_results.json" in outcome.err


def test_paths_that_no_system_has(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in ("x" * 5_000, tmp_path / "loop", "", "/dev/null"):
        outcome = cli("report", path)
        assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
        outcome = cli("compare", path, path)
        assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)


def _refused(outcome: Any, path: Path) -> None:
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    assert path.name in outcome.err


def test_what_cannot_be_written_is_named_and_the_verdict_is_there(
    cli: Callable[..., Any], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        if path.suffix in (".html", ".json"):
            raise RunDirectoryError(f"cannot write {path}: No space left on device")
        write(path, content)

    write = files.write_bytes
    monkeypatch.setattr(files, "write_bytes", full)
    (run / "report.md").unlink()
    outcome = cli("report", run)
    assert outcome.code == 2
    assert "letters is " in outcome.out
    assert [line.partition(": ")[2] for line in outcome.err.splitlines()][:2] == [
        f"cannot write {run / name}: No space left on device" for name in ("report.html", "report.json")
    ]
    assert "but 2 files could not be written" in outcome.err.splitlines()[-1]
    assert (run / "report.md").is_file()


def test_a_run_whose_disk_is_full_at_the_end_shows_its_verdict(
    cli: Callable[..., Any], arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        if path.name.startswith("report.") or (path.name == "run.json" and path.with_name("comparison.json").exists()):
            raise RunDirectoryError(f"cannot write {path}: No space left on device")
        write(path, content)

    write = files.write_bytes
    monkeypatch.setattr(files, "write_bytes", full)
    outcome = cli(*arguments, "-o", tmp_path / "run")
    assert outcome.code == 2
    assert "letters is " in outcome.out
    for name in ("run.json", "report.html", "report.md", "report.json"):
        assert f"loralift: cannot write {tmp_path / 'run' / name}: No space left on device\n" in outcome.err
    monkeypatch.undo()
    assert cli("report", tmp_path / "run", "-f", "md").code == 0


def test_charts_that_cannot_be_drawn_are_a_note(
    cli: Callable[..., Any], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loralift.reporting.charts import apart
    from loralift.workflow import reporting

    monkeypatch.setattr(reporting, "draw_apart", lambda report: apart.Drawing(missing=("The charts are left out: x.",)))
    outcome = cli("report", run)
    assert (outcome.code, "note: The charts are left out: x." in outcome.out) == (0, True)
    for name in ("report.html", "report.md"):
        assert "The charts are left out: x." in (run / name).read_text("utf-8")
    assert not list((run / "charts").glob("*.png"))
