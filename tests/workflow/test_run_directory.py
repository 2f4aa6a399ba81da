from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from loralift.errors import RunDirectoryError
from loralift.workflow import files
from loralift.workflow.run_directory import LOCK, RunDirectory

FINGERPRINT = {"base": "sha256:1", "adapters": {"a": "x"}, "generation": {"max_new_tokens": 8}}


def test_a_second_run_is_kept_out_while_the_first_one_runs(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with directory.locked():
        files.write_json(directory.run, {"fingerprint": FINGERPRINT})
        with pytest.raises(RunDirectoryError, match="is in use by another loralift"), directory.locked():
            pytest.fail("two runs in one folder")
    with directory.locked():
        assert directory.read_run()["fingerprint"] == FINGERPRINT


def test_a_run_that_wrote_nothing_leaves_nothing(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with pytest.raises(ValueError, match="wrong"), directory.locked():
        raise ValueError("wrong")
    assert not directory.root.exists()


@pytest.mark.filterwarnings("ignore:.*soft")
def test_where_nothing_can_be_locked_the_error_says_who_holds_the_folder(tmp_path: Path, monkeypatch) -> None:
    filelock = pytest.importorskip("filelock._unix")

    def missing(descriptor: int) -> bool:
        raise OSError(errno.ENOSYS, "no flock")

    monkeypatch.setattr(filelock, "lock_fd_nonblocking", missing)
    directory = RunDirectory(tmp_path / "run")
    with directory.locked():
        files.write_json(directory.run, {"fingerprint": FINGERPRINT})
    lock = directory.root / LOCK
    lock.write_text("41\nanother-node\n")  # as of a process that was killed there
    said = f"process 41 on another-node; if that has ended, remove {lock}"
    with pytest.raises(RunDirectoryError, match=re.escape(said)), directory.locked():
        pytest.fail("two runs in one folder")
    with pytest.raises(RunDirectoryError, match=re.escape(said)), directory.at_rest():
        pytest.fail("read while it is written")
    lock.unlink()
    with directory.locked():
        assert directory.began()


def test_a_folder_in_which_another_run_begins_meanwhile_is_left_to_it(tmp_path: Path, monkeypatch) -> None:
    directory = RunDirectory(tmp_path / "run")
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, **how: (unlink(path, **how), path.write_text("another's")))
    with pytest.raises(ValueError, match="wrong"), directory.locked():
        raise ValueError("wrong")
    assert (directory.root / LOCK).read_text() == "another's"


def test_only_a_folder_with_nothing_but_the_lock_may_be_begun_in(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    (tmp_path / LOCK).touch()
    directory.refuse_to_overwrite()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RunDirectoryError, match="is not empty: it holds no run; give another --output-dir"):
        directory.refuse_to_overwrite()
    files.write_text(directory.run, "{}")
    with pytest.raises(RunDirectoryError, match="is not empty: add --resume"):
        directory.refuse_to_overwrite()


def test_a_folder_of_runs_is_no_run(tmp_path: Path) -> None:
    with files.appending(RunDirectory(tmp_path / "demo-1").answers("base")):
        pass
    directory = RunDirectory(tmp_path)
    assert not directory.began()
    with pytest.raises(RunDirectoryError, match="holds no run"), directory.locked():
        directory.refuse_to_overwrite()
    assert [path.name for path in tmp_path.iterdir()] == ["demo-1"]


def test_a_run_began_with_its_run_json(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    files.write_text(directory.dataset, "")
    assert not directory.began()
    files.write_json(directory.run, {"fingerprint": FINGERPRINT})
    assert directory.began()


@pytest.mark.parametrize("name", ["answers.jsonl", "references.jsonl"])
def test_answers_without_anything_that_says_what_they_were_made_with_are_not_resumed(tmp_path: Path, name: str) -> None:
    with files.appending(tmp_path / "base" / name):
        pass
    with pytest.raises(RunDirectoryError, match=r"run\.json is missing, which says what .* was made with"):
        RunDirectory(tmp_path).began()


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({**FINGERPRINT, "base": "sha256:2"}, "base: was 'sha256:1', is 'sha256:2'"),
        ({**FINGERPRINT, "adapters": {"b": "x"}}, "adapters.a: was 'x', is nothing; adapters.b: was nothing, is 'x'"),
        ({**FINGERPRINT, "generation": {"max_new_tokens": 9}}, "generation.max_new_tokens: was 8, is 9"),
    ],
)
def test_what_differs_is_named_with_both_values(tmp_path: Path, now: dict, said: str) -> None:
    directory = RunDirectory(tmp_path)
    files.write_json(directory.run, {"fingerprint": FINGERPRINT})
    directory.refuse_another_run(FINGERPRINT)
    with pytest.raises(RunDirectoryError) as error:
        directory.refuse_another_run(now)
    assert said in str(error.value)
