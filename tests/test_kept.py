"""Rows that are kept in a file are the rows, wherever they are read, and no killed process leaves any."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loralift import kept
from loralift.errors import RunDirectoryError
from loralift.kept import Kept, chosen, joined, keep
from loralift.records import Question

ROWS = [Question(f"q{place}", "Why?" * (place % 7), f"Since {place}.") for place in range(1000)]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than ten rows are many."""
    monkeypatch.setattr(kept, "FEW", 10)


def test_few_rows_are_a_tuple_and_many_a_file(few: None) -> None:
    assert keep(iter(ROWS[:10])) == tuple(ROWS[:10])
    assert isinstance(keep(iter(ROWS[:10])), tuple)
    assert isinstance(keep(iter(ROWS[:11])), Kept)


def test_a_file_is_read_as_a_tuple_is(few: None) -> None:
    rows = keep(iter(ROWS))
    assert len(rows) == 1000
    assert list(rows) == ROWS
    assert (rows[0], rows[-1], rows[417]) == (ROWS[0], ROWS[-1], ROWS[417])
    assert list(rows[::300]) == ROWS[::300]
    assert list(rows[990:]) == list(rows[-10:]) == ROWS[990:]
    assert list(rows[::-1]) == ROWS[::-1]
    assert list(chosen(rows, np.array([5, 3, 999]))) == [ROWS[5], ROWS[3], ROWS[999]]
    assert rows == tuple(ROWS)
    assert rows != tuple(ROWS[:-1])
    assert keep(rows) is rows
    with pytest.raises(IndexError):
        rows[1000]


def test_parts_are_joined(few: None) -> None:
    one = keep(iter(ROWS))
    assert joined([one]) is one
    assert list(joined([one, ROWS[:3]])) == [*ROWS, *ROWS[:3]]


def test_another_process_reads_the_rows_by_the_way_to_them(few: None, tmp_path: Path) -> None:
    rows = keep(iter(ROWS))[10:20]
    content = pickle.dumps(rows)
    assert len(content) < 2_000
    (tmp_path / "rows").write_bytes(content)
    code = f"import pickle; print([row.id for row in pickle.load(open({str(tmp_path / 'rows')!r}, 'rb'))])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str([row.id for row in ROWS[10:20]])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the file has a name while it is needed")
def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    code = "from loralift.kept import Kept; rows = Kept.of(range(10 ** 5)); print(rows[99], flush=True); input()"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "99\n"
        process.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_gone_once_nobody_needs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(kept.tempfile, "tempdir", None)
    monkeypatch.setattr(kept.sys, "platform", "darwin")  # where the file has a name
    rows = Kept.of(ROWS)
    assert len(list(tmp_path.iterdir())) == 1
    part = rows[3:5]
    del rows
    gc.collect()
    assert list(part) == ROWS[3:5]
    del part
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_with_the_folder_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.os, "write", full)
    with pytest.raises(RunDirectoryError, match=r"cannot keep rows in .*: No space left on device; make room there"):
        Kept.of(ROWS)


def test_a_folder_that_may_not_be_written_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kept, "scratch", lambda: tmp_path / "nowhere")
    with pytest.raises(RunDirectoryError, match=r"nowhere: No such file or directory; .* set TMPDIR"):
        Kept.of(ROWS)


def test_a_file_that_was_cut_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Kept.of(ROWS)
    os.ftruncate(rows._store._handle, 100)
    with pytest.raises(RunDirectoryError, match="are gone: start again"):
        list(rows)
