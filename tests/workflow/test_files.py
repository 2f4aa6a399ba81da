from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from loralift.errors import RunDirectoryError
from loralift.workflow import files


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "a.json"
    files.write_json(path, {"ä": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunDirectoryError, match=r"cannot write .*a\.json: No space left on device.*--resume"):
        files.write_json(path, {"b": 2})
    assert files.read_json(path) == {"ä": 1}
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("torn", ['{"id": "b', '{"id": "b"}', '{"id": "ä'])
def test_a_torn_last_line_is_cut_off_before_more_is_appended(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "answers.jsonl"
    # the last bytes are lost in the middle of a character, too
    path.write_bytes(b'{"id": "a"}\n' + torn.encode()[: len(torn.encode()) - (torn[-1] == "ä")])
    assert list(files.read_jsonl(path, torn=True)) == [{"id": "a"}]
    with files.appending(path) as file:
        files.append_line(file, {"id": "c"}, sync=True)
    assert list(files.read_jsonl(path)) == [{"id": "a"}, {"id": "c"}]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text('{"id": "a"}\nnot json\n', encoding="utf-8")
    with pytest.raises(RunDirectoryError, match=r"scores\.jsonl, line 2: not JSON"):
        list(files.read_jsonl(path))
    path.write_text("[1]\n", encoding="utf-8")
    with pytest.raises(RunDirectoryError, match=r"line 1: must be a JSON object"):
        list(files.read_jsonl(path))


def test_line_separators_inside_a_text_do_not_tear_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"id": "a", "text": "one\u2028two\u0085three\x1cfour\nfive"}]
    files.write_jsonl(path, rows)
    assert list(files.read_jsonl(path)) == rows


def test_a_full_disk_while_appending_is_one_line(tmp_path: Path) -> None:
    with files.appending(tmp_path / "a.jsonl") as file:
        files.append_line(file, {"id": "a"}, sync=True)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    file = full.open("w", encoding="utf-8")
    with pytest.raises(RunDirectoryError, match="No space left"):
        files.append_line(file, {"id": "b"}, sync=False)
    with contextlib.suppress(OSError):
        file.close()
    assert list(files.read_jsonl(tmp_path / "a.jsonl")) == [{"id": "a"}]
