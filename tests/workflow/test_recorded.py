"""A run's files: rows come in any order, and lie in the order of the data."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from loralift.errors import RunDirectoryError
from loralift.records import Answer
from loralift.workflow import files, recorded
from loralift.workflow.recorded import append_answers, put_in_order, read_answers
from loralift.workflow.run_directory import RunDirectory

IDS = [f"q{n}" for n in range(40)]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    files.write_json(directory.run, {"fingerprint": {"base": "sha256:1"}})
    return directory


def answers(ids: list[str]) -> list[Answer]:
    """Lines of many lengths, one with a character at which `str.splitlines` would split."""
    return [Answer(one, f"{one}\u2028{'so ' * (hash(one) % 7)}", seconds=float(len(one))) for one in ids]


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().split(b"\n")[:-1]]


def test_what_came_in_any_order_and_in_two_sessions_is_what_came_in_the_order_of_the_data(run: RunDirectory) -> None:
    append_answers(run, "base", answers(IDS), IDS)
    shuffled = random.Random(0).sample(IDS, len(IDS))
    for name in ("answers", "times"):
        files.write_bytes(getattr(run, name)("a"), getattr(run, name)("base").read_bytes())
        getattr(run, name)("a").unlink()
    append_answers(run, "a", answers(shuffled[:13]), IDS)
    assert ids(run.answers("a")) == sorted(shuffled[:13], key=IDS.index)
    append_answers(run, "a", answers(shuffled[13:]), IDS)
    assert ids(run.answers("a")) == ids(run.times("a")) == IDS
    made = [run.made_with(name).encode() for name in ("base", "a")]
    assert run.answers("a").read_bytes() == run.answers("base").read_bytes().replace(*made)
    assert run.times("a").read_bytes() == run.times("base").read_bytes()


def test_lines_that_are_in_order_are_left_where_they_are(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("a file in order was written")

    monkeypatch.setattr(files, "replace", never)
    append_answers(run, "a", answers(IDS[3:]), IDS)
    assert ids(run.answers("a")) == IDS[3:]


def test_of_two_times_of_one_answer_the_last_stays(run: RunDirectory) -> None:
    path = run.times("a")
    files.write_jsonl(path, [{"id": "q1", "seconds": 1.0}, {"id": "q0", "seconds": 2.0}, {"id": "q1", "seconds": 3.0}])
    put_in_order(path, IDS, last=True)
    assert [*files.read_jsonl(path)] == [{"id": "q0", "seconds": 2.0}, {"id": "q1", "seconds": 3.0}]


@pytest.mark.parametrize("rows", [["q1", "q0", "q1"], ["q1", "strange"]])
def test_a_row_that_cannot_be_the_runs_is_refused_and_the_file_is_as_it_was(run: RunDirectory, rows: list[str]) -> None:
    with pytest.raises(RunDirectoryError, match=r"answers\.jsonl has a row twice, or one that is not asked here"):
        append_answers(run, "a", answers(rows), IDS)
    assert ids(run.answers("a")) == rows


def test_a_process_that_dies_while_it_puts_rows_in_order_loses_none(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(path: Path, bounds: list[tuple[int, int]]) -> Iterator[bytes]:
        yield path.read_bytes()[slice(*bounds[0])]
        raise KeyboardInterrupt

    backwards = IDS[::-1]
    monkeypatch.setattr(recorded, "_lines", dies)
    with pytest.raises(KeyboardInterrupt):
        append_answers(run, "a", answers(backwards), IDS)
    assert ids(run.answers("a")) == backwards
    monkeypatch.undo()
    append_answers(run, "a", [], IDS)  # as a resume, which finds nothing to ask
    assert ids(run.answers("a")) == IDS
    assert set(read_answers(run, "a", signed=True)) == set(IDS)


def test_a_full_disk_names_the_file(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Iterator[bytes]:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(files, "replace", full)
    with pytest.raises(RunDirectoryError, match=r"cannot write .*answers\.jsonl: No space left"):
        append_answers(run, "a", answers(IDS[::-1]), IDS)
    assert ids(run.answers("a")) == IDS[::-1]
