"""Whatever is wrong with a stranger's file is one line of ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loralift import reading
from loralift.errors import MOST_CHARACTERS, DataError, LoraLiftError


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5_000, "more than 4,300 digits"),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b"\xff\xfe{\x00}\x00", "UTF-16"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b'{"a":\n "\xff"}', "line 2: not UTF-8"),
        (b"{'a': 1}", "not JSON: Expecting property name enclosed in double quotes at column 2"),
    ],
)
def test_a_json_that_cannot_be_read_is_one_line_with_its_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.json") as caught:
        reading.read_json(path, DataError)
    assert said in str(caught.value)


def test_folders_links_to_nothing_and_pipes_where_a_file_must_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("dangling", "no such file"), ("pipe", "no regular file"), (".", "a folder")):
        with pytest.raises(DataError, match=said):
            reading.read_bytes(tmp_path / name, DataError)


def test_a_device_without_an_end_is_not_read_into_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_PIPED", 1 << 16)
    with pytest.raises(DataError, match="gives more than"):
        reading.read_bytes(Path("/dev/zero"), DataError, piped=True)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert reading.read_json(tmp_path / "x.json", DataError) == [1]


def test_a_message_is_one_short_line_in_which_nothing_acts_on_a_terminal() -> None:
    message = str(LoraLiftError("a\nb \x1b[2J \u202e \x07 " + "x" * 10_000_000))
    assert message.startswith(r"a b \x1b[2J \u202e \x07 xxx")
    assert len(message) < MOST_CHARACTERS + 100
