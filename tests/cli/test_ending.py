"""No command ends in a traceback or, unless a gate says so, with 1; what cannot be printed does not matter."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from loralift.cli.commands import commands
from loralift.errors import DataError

VERBS = {
    "run": ["run"],
    "check": ["check"],
    "compare": ["compare", "a", "b"],
    "report": ["report", "a"],
    "doctor": ["doctor"],
    "demo": ["demo"],
}

UNEXPECTED = [
    ValueError("a\nb\x1b[31m"),
    KeyError("x"),
    RecursionError("too deep"),
    MemoryError(),
    ImportError("libtorch.so: cannot open shared object file"),
    EOFError(),
    SystemExit(1),
    SystemExit("a library's own end"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    OSError(errno.EPIPE, "Broken pipe"),
    OSError(errno.EIO, "Input/output error"),
    GeneratorExit(),
    BaseException("a panic of Rust"),
    ExceptionGroup("several", [ValueError("one")]),
    UnicodeEncodeError("ascii", "–", 0, 1, "ordinal not in range(128)"),
]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, BaseException], None]:
    """Let a verb raise something; tracebacks are written into the test's folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def let(verb: str, error: BaseException) -> None:
        def fail(*given: Any, **options: Any) -> None:
            raise error

        monkeypatch.setattr(commands.commands[verb], "callback", fail)

    return let


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_whatever_is_raised_is_a_line_and_never_1(
    cli: Callable[..., Any], failing: Callable[[str, BaseException], None], tmp_path: Path, error: BaseException
) -> None:
    for verb, arguments in VERBS.items():
        failing(verb, error)
        outcome = cli(*arguments)
        assert (outcome.code, outcome.out) == (3, "")
        (line,) = outcome.err.splitlines()
        assert type(error).__name__ in line
        assert "\x1b" not in line
        assert ("--resume" in line) == (verb == "run")
        (saved,) = tmp_path.glob("loralift-*.txt")
        assert str(saved) in line
        assert "in fail" in saved.read_text("utf-8")
        saved.unlink()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("wrong\x1b"), 2, "loralift: wrong\\x1b\n"),
        (click.ClickException("wrong"), 2, "loralift: wrong\n"),
        (click.FileError("x", "no"), 2, "loralift: Could not open file 'x': no\n"),
        (click.Abort(), 130, "loralift: interrupted\n"),
        (KeyboardInterrupt(), 130, "loralift: interrupted\n"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "loralift: cannot write what is printed: No space left on device; make room\n",
        ),
    ],
)
def test_what_is_no_bug(
    cli: Callable[..., Any],
    failing: Callable[[str, BaseException], None],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    failing("doctor", error)
    assert (cli("doctor").code, cli("doctor").err) == (code, said)


def test_where_no_traceback_can_be_kept_its_end_is_printed(
    cli: Callable[..., Any], failing: Callable[[str, BaseException], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing("doctor", ValueError("odd"))
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    outcome = cli("doctor")
    assert outcome.code == 3
    assert "in fail" in outcome.err
    assert outcome.err.splitlines()[-1].endswith("the lines above, for no file could be written")


def shell(line: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which $L is loralift, whose output Python buffers, as it does for most people."""
    script = f'L() {{ "{sys.executable}" -m loralift "$@"; }}; {line}'
    known = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=False, env=known | more)


def test_a_reader_that_leaves_is_no_verdict() -> None:
    for line in ("L compare --help", "L doctor"):
        # the reader is gone for certain before anything is written
        done = shell(f"exec 3>&1; {{ sleep 0.3; {line}; echo $? >&3; }} | true")
        assert done.stdout.split()[-1] == b"141"
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str) -> None:
    assert shell(f"L --version {closed}").returncode == 0
    assert shell(f"L nothing {closed}").returncode == 2


def test_a_full_disk_while_printing() -> None:
    done = shell("L doctor >/dev/full")
    assert done.returncode == 2
    assert done.stderr == b"loralift: cannot write what is printed: No space left on device; make room\n"
    assert shell("L nothing 2>/dev/full").returncode == 2


def test_ascii_and_dumb_and_narrow() -> None:
    done = shell("L doctor", PYTHONIOENCODING="ascii", TERM="dumb", COLUMNS="20", NO_COLOR="1", PYTHONUTF8="0")
    assert done.returncode == 0
    assert rb"\u2013" in done.stdout


def test_a_broken_package_is_one_line(tmp_path: Path) -> None:
    for package in ("click", "pydantic"):
        folder = tmp_path / package
        folder.mkdir()
        (folder / f"{package}.py").write_text("raise OSError('broken')", encoding="utf-8")
        done = shell("L doctor", PYTHONPATH=f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, b"", 1)
        assert b"OSError: broken" in done.stderr


def test_doctor_names_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so: no such file')", encoding="utf-8")
    done = shell("L doctor", PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", COLUMNS="200")
    assert done.returncode == 0
    assert b"broken: OSError: libcudart.so" in done.stdout
