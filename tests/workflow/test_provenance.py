from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from loralift.workflow.provenance import git_revision


def git(*arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=n@localhost"]
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "-q")
    (folder / "a.txt").write_text("a")
    git("add", "a.txt")
    git("commit", "-q", "-m", "a")
    return folder


def test_the_commit_says_whether_there_are_changes(repository: Path) -> None:
    commit = git_revision()
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{12}", commit)
    (repository / "a.txt").write_text("b")
    assert git_revision() == f"{commit}-dirty"


def test_no_program_of_the_repository_runs(repository: Path) -> None:
    ran = repository.parent / "ran"
    commit = git_revision()
    git("config", "core.fsmonitor", f"touch {ran}; false")
    hooks = repository / ".git" / "hooks"
    for name in ("post-index-change", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (hooks / name).chmod(0o755)
    (repository / "a.txt").write_text("b")
    assert git_revision() == f"{commit}-dirty"
    (repository / ".gitattributes").write_text("*.txt filter=theirs\n")
    (repository / "more").write_text(f'[filter "theirs"]\n\tclean = "touch {ran}; cat"\n')
    git("config", "include.path", "../more")
    assert git_revision() == commit
    assert not ran.exists()


def test_there_is_none_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision() is None
