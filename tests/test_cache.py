"""Where caches lie."""

from __future__ import annotations

from pathlib import Path

from loralift.cache import cache_folder


def test_the_folder_is_the_users_or_what_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("LORALIFT_CACHE", "")
    assert cache_folder() is None
    monkeypatch.setenv("LORALIFT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("LORALIFT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "loralift"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("~/.cache/loralift").expanduser()
