"""A gate judges by most of the rows or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def half(ids: range, value: float = 0.5) -> list[dict[str, Any]]:
    return [{"id": i, "accuracy": value + i % 7 / 100} for i in ids]


@pytest.fixture
def both(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    def made(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> tuple[Path, Path]:
        return write(tmp_path / "before.jsonl", before), write(tmp_path / "after.jsonl", after)

    return made


UNSCORED = [{"id": i, "accuracy": None} for i in range(1, 30)]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (half(range(1), 0.1), "only 1 of 30 rows (3.3 %) have a value of accuracy on both sides: 29 only in the base"),
        (half(range(26), 0.1), "only 26 of 30 rows (87 %) have a value of accuracy on both sides: 4 only in the base"),
        (half(range(34), 0.1), "only 30 of 34 rows (88 %) have a value of accuracy on both sides: 4 only in the cand"),
        (half(range(5), 0.1) + UNSCORED[4:], "only 5 of 30 rows (17 %)"),
        (half(range(20), 0.1) + UNSCORED[19:24] + half(range(50, 60)), "only 20 of 40 rows (50 %)"),
    ],
    ids=["one pair", "lost rows", "more rows", "unscored", "all of these"],
)
@pytest.mark.parametrize("gate", ["worse", "not-better"])
def test_a_gate_on_few_rows_is_no_verdict(
    cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]], gate: str, after: list[dict[str, Any]], said: str
) -> None:
    sides = both(half(range(30)), after)
    outcome = cli("compare", *sides, "--fail-on", gate)
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert said in outcome.err
    assert "at least 90 % must: give both sides the same rows, or allow fewer with --min-paired" in outcome.err
    assert cli("compare", *sides).code == 0


def test_the_least_share_is_what_is_said(cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]]) -> None:
    sides = both(half(range(30)), half(range(27), 0.1))
    assert cli("compare", *sides, "--fail-on", "worse").code == 1  # 27 of 30 are 90 %
    assert cli("compare", *sides, "--fail-on", "worse", "--min-paired", "0.91").code == 2
    assert cli("compare", *sides, "--fail-on", "worse", "--min-paired", "0.5").code == 1
    assert cli("compare", *sides, "--min-paired", "1").code == 2  # without a gate too
    said = cli("compare", *sides)
    note = "note: after: 27 of 30 rows (90 %) have a value of accuracy on both sides: 3 only in the baseline"
    assert (said.code, note in said.out.splitlines()) == (0, True)


@pytest.mark.parametrize("share", ["0", "-1", "1.1", "90", "90%", "nan", "inf", "", "most"])
def test_the_least_share_is_a_share(
    cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]], share: str
) -> None:
    outcome = cli("compare", *both(half(range(9)), half(range(9))), "--min-paired", share)
    assert outcome.code == 2
    assert f"`--min-paired` must be a share above 0 and up to 1, such as 0.9, got {share!r}" in outcome.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--margin", "accuracy=0.1", "--margin", "accuracy=0.2"],
            "`--margin` names 'accuracy' twice: '0.1' and '0.2'",
        ),
        (["--scale", "accuracy=0-1", "--scale", "accuracy=0-100"], "`--scale` names 'accuracy' twice"),
        (["--seed", "9" * 5000], "`--seed` must be an integer from 0 to"),
    ],
)
def test_flags_that_contradict_themselves(
    cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]], flags: list[str], said: str
) -> None:
    outcome = cli("compare", *both(half(range(9)), half(range(9))), *flags)
    assert (outcome.code, said in outcome.err) == (2, True)


def test_the_output_is_none_of_the_inputs(
    cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    sides = both(half(range(9)), half(range(9)))
    (tmp_path / "link").symlink_to(sides[1])
    os.link(sides[0], tmp_path / "hard")
    for path in (*sides, tmp_path / "link", tmp_path / "hard", tmp_path / "." / "before.jsonl"):
        before = path.read_bytes()
        outcome = cli("compare", *sides, "-o", path)
        assert (outcome.code, "`-o` must be another file than what is compared" in outcome.err) == (2, True)
        assert outcome.out == ""
        assert path.read_bytes() == before


def test_the_output_is_no_file_of_a_run(cli: Callable[..., Any], finished: Path) -> None:
    others = (".lock", "base-again/answers.jsonl", "base-again/times.jsonl", "nemo/letters")
    bundle = next((finished / "nemo" / "letters").rglob("*.json")).relative_to(finished)
    results = ("run.json", "comparison.json", "letters_results.json")
    for name in (*results, *others, bundle, "base/scores.jsonl", "base"):
        outcome = cli("compare", finished / "base", finished / "letters", "-o", finished / name)
        assert (outcome.code, "`-o` must be a" in outcome.err) == (2, True)
        assert (finished / name).exists()
    for _ in range(2):
        assert cli("compare", finished / "base", finished / "letters", "-o", finished / "gate.json").code == 0
    (finished / "gate.json").unlink()


def test_the_verdict_is_there_where_the_output_cannot_be_written(
    cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]]
) -> None:
    outcome = cli("compare", *both(half(range(9)), half(range(9), 0.1)), "-o", "/dev/full", "--fail-on", "worse")
    assert outcome.code == 2
    assert "after is WORSE than before" in outcome.out
    assert outcome.err == "loralift: cannot write /dev/full: No space left on device; give another -o FILE\n"


@pytest.mark.parametrize("gate", ["worse", "not-better"])
def test_a_gate_that_nothing_could_fail_is_none(
    cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]], gate: str
) -> None:
    for rows in (1, 2, 5):
        sides = both(half(range(rows)), half(range(rows), 0.1))
        outcome = cli("compare", *sides, "--fail-on", gate)
        assert (outcome.code, f"{rows} pairs are too few for any difference to be found" in outcome.err) == (2, True)
        assert cli("compare", *sides).code == 0
    assert cli("compare", *both(half(range(6)), half(range(6), 0.1)), "--fail-on", gate).code == 1


def test_a_gate_that_nothing_could_fail_among_so_many_candidates_is_none(
    cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]]
) -> None:
    before, after = both(half(range(6)), half(range(6), 0.1))
    other = shutil.copy(after, after.with_name("other.jsonl"))
    assert cli("compare", before, after, "--fail-on", "worse").code == 1
    outcome = cli("compare", before, after, other, "--fail-on", "worse")
    said = "6 pairs are too few for any difference to be found among 2 comparisons (p is at least 0.062); give both"
    assert (outcome.code, said in outcome.err) == (2, True)
    before, after = both(half(range(7)), half(range(7), 0.1))
    assert cli("compare", before, after, shutil.copy(after, other), "--fail-on", "worse").code == 1


def test_a_gate_on_answers_without_references_is_none(
    cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]]
) -> None:
    sides = both(*([{"id": i, "prediction": text, "reference": " "} for i in range(9)] for text in ("yes", "")))
    outcome = cli("compare", *sides, "--metrics", "f1", "--fail-on", "worse")
    assert (outcome.code, "before has only empty references" in outcome.err) == (2, True)


@pytest.mark.parametrize("name", ["", " ", "new.json/", "a\tb", "x" * 5000])
def test_the_output_is_named_as_a_folder_or_a_file(
    cli: Callable[..., Any], both: Callable[..., tuple[Path, Path]], tmp_path: Path, name: str
) -> None:
    outcome = cli("compare", *both(half(range(9)), half(range(9))), "-o", name)
    assert (outcome.code, "`-o` must be a folder" in outcome.err, outcome.out) == (2, True, "")
    assert not (tmp_path / "new.json").exists()
