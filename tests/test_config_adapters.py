"""Which adapters flags, YAML and Python name: places, patterns, and the names that they get."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralift.cli import main
from loralift.cli.options import given
from loralift.config import parse
from loralift.config.adapters import natural
from loralift.errors import UsageError


def adapter(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    return folder


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a training left its output: `run` with three checkpoints."""
    monkeypatch.chdir(tmp_path)
    for step in (90, 1000, 100):
        adapter(tmp_path / "run" / f"checkpoint-{step}")
    return tmp_path


def flags(*texts: str) -> dict[str, str]:
    return parse(given({"adapters": texts})).adapters


def refusal(*texts: str) -> str:
    with pytest.raises(UsageError) as caught:
        flags(*texts)
    return str(caught.value)


def test_a_pattern_is_every_checkpoint_in_the_order_of_their_steps(training: Path) -> None:
    found = flags("run/checkpoint-*")
    assert list(found) == ["checkpoint-90", "checkpoint-100", "checkpoint-1000"]
    assert found["checkpoint-90"] == "run/checkpoint-90"
    assert flags("run:checkpoint-*") == found
    assert flags("run/checkpoint-*/") == found
    assert flags(f"{training}/run/checkpoint-1*") == {
        name: f"{training}/run/{name}" for name in ("checkpoint-100", "checkpoint-1000")
    }
    assert parse({"adapters": {"lr3": "run/checkpoint-*"}}).adapters == {
        f"lr3-{name}": place for name, place in found.items()
    }
    assert parse({"adapters": ["run/checkpoint-*", "other=x/y"]}).adapters == {**found, "other": "x/y"}
    assert flags("lr3=run/checkpoint-9?") == {"lr3-checkpoint-90": "run/checkpoint-90"}


def test_names_are_the_folders_in_which_matches_differ(training: Path) -> None:
    for name in ("a", "b c"):
        adapter(training / "grid" / name / "checkpoint-5")
    assert list(flags("grid/*/checkpoint-5")) == ["a", "b-c"]
    adapter(training / "grid" / "a" / "checkpoint-6")
    assert list(flags("grid/*/checkpoint-*")) == ["a-checkpoint-5", "a-checkpoint-6", "b-c-checkpoint-5"]
    adapter(training / "grid" / "b-c" / "checkpoint-5")
    assert "names 'b-c-checkpoint-5' twice" in refusal("grid/*/checkpoint-*")


def test_what_a_pattern_must_not_match_is_refused_with_what_to_do(training: Path) -> None:
    (training / "run" / "optimizer").mkdir()
    assert "what is no adapter (run/optimizer): let it match" in refusal("run/*")
    (training / "run" / "checkpoint-2000").mkdir()
    assert "run/checkpoint-2000" in refusal("run/checkpoint-*")
    assert "matches no folder here with 'nowhere/*'" in refusal("nowhere/*")
    assert "hub repository" in refusal("org/name:checkpoint-*")
    assert "**" in refusal("**/checkpoint-100")
    assert "matches no folder" in refusal("a\0*")
    assert "names 'checkpoint-90' twice" in refusal("run/checkpoint-9*", "run/checkpoint-90")


def test_a_folder_of_that_very_name_is_no_pattern(training: Path) -> None:
    adapter(training / "run[1]")
    assert flags("mine=run[1]") == {"mine": "run[1]"}
    adapter(training / "a*b" / "checkpoint-1")
    assert flags("x=a*b/checkpoint-*") == {"x-checkpoint-1": "a*b/checkpoint-1"}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("org/name", "name"),
        ("org/name@main", "name"),
        ("org/name@refs/pr/1", "name"),
        ("org/name@main:sub/checkpoint-5", "checkpoint-5"),
        ("org/name:checkpoint-5", "checkpoint-5"),
        ("run:checkpoint-100", "checkpoint-100"),
        ("run/checkpoint-100/", "checkpoint-100"),
    ],
)
def test_a_bare_place_is_called_after_its_last_folder(training: Path, place: str, name: str) -> None:
    assert flags(place) == {name: place}


def test_a_folder_with_a_colon_in_its_name_wants_a_name(training: Path) -> None:
    adapter(training / "my:lora")
    assert flags("mine=my:lora") == {"mine": "my:lora"}
    assert "NAME=PATH" in refusal("my:lora")


def test_what_a_shell_made_of_a_pattern_without_quotes_says_to_quote_it(
    training: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("run", "check"):
        with pytest.raises(SystemExit) as ended:
            main([verb, "--adapter", *(f"run/checkpoint-{step}" for step in (90, 100, 1000))])
        assert ended.value.code == 2
        assert "in quotes, as in --adapter 'RUN/checkpoint-*'" in capsys.readouterr().err


def test_the_natural_order_takes_any_digits() -> None:
    assert sorted(["b", "a10", "a9", "", "a" + "9" * 5_000], key=natural)[:3] == ["", "a9", "a10"]
