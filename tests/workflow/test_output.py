from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loralift.errors import LoraLiftError, UsageError
from loralift.workflow import output

VALUE = {"ä": [1, "\ud800"]}


def test_a_regular_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "made" / "c.json"
    output.write_json(path, VALUE)
    assert json.loads(path.read_text("utf-8")) == VALUE
    path.chmod(0o600)
    before = path.stat().st_ino
    output.write_json(path, 2)
    assert (path.read_text("utf-8"), stat.S_IMODE(path.stat().st_mode)) == ("2\n", 0o600)
    assert path.stat().st_ino != before
    assert list(path.parent.iterdir()) == [path]


def test_a_name_as_long_as_the_system_admits(tmp_path: Path) -> None:
    output.write_json(tmp_path / ("x" * 255), 1)
    with pytest.raises(LoraLiftError, match="File name too long"):
        output.write_json(tmp_path / ("x" * 256), 1)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_is_behind_it_is_written(tmp_path: Path, there: bool) -> None:
    behind, link = tmp_path / "behind" / "c.json", tmp_path / "link"
    if there:
        output.write_json(behind, 1)
    link.symlink_to(behind)
    output.write_json(link, 2)
    assert link.is_symlink()
    assert behind.read_text("utf-8") == "2\n"


def test_a_device_and_a_pipe_are_written_to(tmp_path: Path) -> None:
    output.write_json(Path(os.devnull), 1)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    (tmp_path / "null").symlink_to(os.devnull)
    output.write_json(tmp_path / "null", 1)
    assert (tmp_path / "null").is_symlink()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(LoraLiftError, match="cannot write"):  # nobody reads it: no waiting for ever
        output.write_json(pipe, 1)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    output.write_json(pipe, 1)
    assert os.read(reader, 9) == b"1\n"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_more_than_a_pipe_holds_is_written(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read, ThreadPoolExecutor() as pool:
        found = pool.submit(read.read)
        output.write_json(Path(f"/dev/fd/{writer}"), "x" * 3_000_000)
        os.close(writer)
        assert len(found.result()) == 3_000_003


@pytest.mark.parametrize("kind", ["folder", "in a file", "loop", "null"])
def test_what_cannot_be_written_is_one_line(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    path = {"folder": tmp_path, "in a file": tmp_path / "file" / "c.json", "null": tmp_path / "a\0b"}
    with pytest.raises(LoraLiftError, match="cannot write"):
        output.write_json(path.get(kind, tmp_path / kind), 1)


def test_what_is_not_there_is_a_folder_unless_it_ends_as_json(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    folders = {name: output.is_folder(tmp_path / name) for name in ("", "new", "new.json", "file", "link")}
    assert folders == {"": True, "new": True, "new.json": False, "file": False, "link": False}
    assert output.place(f"{tmp_path}/new/") == tmp_path / "new"
    with pytest.raises(UsageError, match=r"ends in \.json alone"):
        output.place(f"{tmp_path}/new.json/")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({}, ""),
        ({"comparison.json": '{"compared": {}}', "report.html": "", ".lock": ""}, ""),
        ({".lock": ""}, ""),
        ({"comparison.json": "{}"}, "and it holds comparison.json"),
        ({"comparison.json": '{"compared": {}}', "notes.txt": ""}, "and it holds notes.txt"),
        ({"report.html": ""}, "and it holds report.html"),
        ({"run.json": "{}"}, "outside of a run"),
    ],
)
def test_a_folder_of_anything_but_an_earlier_comparison_is_refused(
    tmp_path: Path, there: dict[str, str], said: str
) -> None:
    for name, text in there.items():
        (tmp_path / name).write_text(text, "utf-8")
    if not said:
        output.check(tmp_path)
        return
    with pytest.raises(UsageError, match=said):
        output.check(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(there)


def test_a_folder_in_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    with pytest.raises(UsageError, match="outside of a run"):
        output.check(tmp_path / "base" / "compared")


def test_an_input_that_is_a_folder_keeps_its_files(tmp_path: Path) -> None:
    (tmp_path / "side").mkdir()
    (tmp_path / "side" / "scores.jsonl").touch()
    with pytest.raises(UsageError, match="another file than what is compared"):
        output.check(tmp_path / "side" / "scores.jsonl", [tmp_path / "side"])
    output.check(tmp_path / "side" / "new.json", [tmp_path / "side", tmp_path / "nothing"])


def test_standard_output_is_printed_to_and_not_replaced(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from loralift.workflow import output; print('before');"
        "output.check(Path('/dev/stdout')); output.write_json(Path('/dev/stdout'), 1); print('after')"
    )
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\n1\nafter\n"
