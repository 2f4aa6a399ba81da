"""Where an adapter lies: a folder whatever its name, a subfolder, a revision and subfolder of the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import huggingface_hub
import pytest

from loralift.errors import AdapterError
from loralift.generation.adapter.place import checkpoints_in, find_adapter
from loralift.generation.model import hub

FILES = ("adapter_config.json",)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hub whose every repository holds `sub/checkpoint-5`."""
    snapshot = tmp_path / "snapshots" / "abc123"
    (snapshot / "sub" / "checkpoint-5").mkdir(parents=True)
    download = create_autospec(huggingface_hub.snapshot_download, return_value=str(snapshot))
    monkeypatch.setattr(hub, "snapshot_download", download)
    return download


def found(place: str, revision: str | None = None) -> tuple[Path, str | None]:
    return find_adapter(f"--adapter x={place}", place, revision, FILES)


def refusal(place: str, revision: str | None = None) -> str:
    with pytest.raises(AdapterError) as caught:
        found(place, revision)
    return str(caught.value)


@pytest.mark.parametrize("name", ["plain", "a:b", "a@b", "a@b:c", "checkpoint-*"])
def test_a_folder_of_that_very_name_comes_first(here: Path, name: str) -> None:
    (here / name).mkdir()
    assert found(name) == (Path(name), None)


def test_a_subfolder_behind_a_colon(here: Path) -> None:
    (here / "run" / "checkpoint-5").mkdir(parents=True)
    (here / "a:b" / "c").mkdir(parents=True)
    assert found("run:checkpoint-5") == (Path("run/checkpoint-5"), None)
    assert found("./run:checkpoint-5/")[0] == Path("run/checkpoint-5")
    assert found("a:b:c") == (Path("a:b/c"), None)
    (here / "a" / "b:c").mkdir(parents=True)
    assert "read in two ways, a/b:c and a:b/c" in refusal("a:b:c")
    assert "there is no run/checkpoint-6" in refusal("run:checkpoint-6")
    for outside in ("run:../a", "run:/etc", "run:checkpoint-5/../.."):
        assert "inside the first one" in refusal(outside)
    assert "a folder on this machine, which has none" in refusal("run@main")


def test_revision_and_subfolder_of_the_hub(here: Path, fetched: Any) -> None:
    root = here / "snapshots" / "abc123"
    for place, revision, patterns, folder in (
        ("org/name", None, ["adapter_config.json"], root),
        ("org/name@refs/pr/1", "refs/pr/1", ["adapter_config.json"], root),
        ("org/name:sub/checkpoint-5", None, ["sub/checkpoint-5/adapter_config.json"], root / "sub" / "checkpoint-5"),
        ("org/name@v2:sub", "v2", ["sub/adapter_config.json"], root / "sub"),
    ):
        assert found(place) == (folder, "abc123")
        fetched.assert_called_with("org/name", revision=revision, allow_patterns=patterns)
    assert "it has no other/adapter_config.json at abc123" in refusal("org/name:other")
    assert "in this order" in refusal("org/name:sub@v2")
    assert "in this order" in refusal("org/name@")
    assert "is not listed" in refusal("org/name:check*")
    assert "'v1' was asked for too" in refusal("org/name@v2", "v1")
    assert "inside the first one" in refusal("org/name:../other")


def test_checkpoints_in_the_order_of_their_steps(here: Path) -> None:
    for step in (1000, 90):
        (here / f"checkpoint-{step}").mkdir()
        (here / f"checkpoint-{step}" / "adapter_config.json").touch()
    (here / "checkpoint-5").mkdir()
    assert checkpoints_in(here) == ["checkpoint-90", "checkpoint-1000"]
