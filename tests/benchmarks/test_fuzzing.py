"""Each target accepts what is good, and a short run breaks none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.fuzzing.__main__ import SHARE, spoil, spoiled
from benchmarks.fuzzing.readers import READERS, refused
from benchmarks.fuzzing.seeds import seeds
from benchmarks.fuzzing.showing import SHOWING
from benchmarks.fuzzing.watching import Watched

RUNS = 100
TARGETS = READERS | SHOWING


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_accepts_good_inputs(name: str, tmp_path: Path) -> None:
    target = TARGETS[name](tmp_path)
    assert not any(refused(target, good) for good in seeds()[name])


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_breaks_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(name, max(5, int(RUNS * SHARE.get(name, 1))), 7, tmp_path / "out", tmp_path)
    assert capsys.readouterr().out == ""


def test_what_breaks_a_target_is_told_once_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watched = Watched("json", tmp_path, tmp_path / "out")

    def breaks(content: bytes) -> None:
        raise KeyError("x")

    watched._target = breaks
    watched(b"one")
    watched(b"two")
    assert capsys.readouterr().out.startswith("FAULT json: KeyError at ?")
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [b"one"]


def test_spoiling_is_the_same_for_the_same_seed() -> None:
    one, other = ([spoiled(b"content", random.Random(seed)) for seed in range(50)] for _ in range(2))
    assert one == other
    assert len(set(one)) > 30
