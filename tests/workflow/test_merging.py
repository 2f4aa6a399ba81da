"""What is not every shard of one finished run, each once, is refused before anything is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.config import RunConfig
from loralift.data import dump_questions, hash_questions
from loralift.errors import LoraLiftError
from loralift.records import Answer, Protocol, Question
from loralift.workflow import files
from loralift.workflow.codec import plain
from loralift.workflow.merging import merge
from loralift.workflow.recorded import line_of, read_answers
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.sharding import Shard, hash_of
from loralift.workflow.uniting import Piece, asked_otherwise

OF = 3
QUESTIONS = tuple(Question(f"q{n}", f"What is {n}?", f"It is {n}.") for n in range(7))
IDS = [question.id for question in QUESTIONS]
CONFIG = RunConfig(adapters={"a": "a"}, metrics=("f1",), primary="f1", noise_rows=2, output_dir=Path("s"))
MACHINE = {"device_name": "a GPU", "threads": 2, "eos_token_ids": [2], "adapters": {}}
SESSION = {"command": "loralift run", "started": "then", "seconds": {}, "hardware": MACHINE}


def document(shard: Shard, **changed: Any) -> dict[str, Any]:
    """A shard's run.json."""
    whole = {
        "command": "loralift run",
        "started": "then",
        "fingerprint": {
            "base": "sha256:1",
            "adapters": {"a": "x"},
            "numerics": {"device": "cuda"},
            "data": {"sha256": hash_questions(QUESTIONS), "rows": len(QUESTIONS)},
            "prompt": {"example": "What?"},
            "generation": {"seed": 0},
        },
        "config": plain(CONFIG.model_dump(mode="json")),
        "protocol": plain(Protocol("training", "plain", "", 0, False, (), 8, 0.0, 1.0)),
        "protocols": ["training"],
        "also": [],
        "variants": ["base", "a"],
        "data": {"source": "here", "selection": "all 7 rows", "sha256": hash_questions(QUESTIONS), "columns": {}},
        "hardware": MACHINE,
        "notes": [],
        "proofs": [],
        "sessions": [SESSION],
        "shard": {
            **{"index": shard.index, "of": shard.of, "perplexity_of": "m", "numbers": {}, "notes": []},
            "training": hash_of([]),
        },
    }
    return {**whole, **changed}


def write_answers(directory: RunDirectory, variant: str, ids: list[str]) -> None:
    """A variant's answers, signed."""
    made = directory.made_with(variant)
    rows = [line_of(Answer(key, "It is.", "stop", 3, 2, 0.5), made) for key in ids]
    files.write_jsonl(directory.answers(variant), rows)


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """All shards of a run, finished."""
    found = []
    for index in range(OF):
        shard, directory = Shard(index, OF), RunDirectory(tmp_path / f"s{index}")
        files.write_json(directory.run, document(shard))
        files.write_text(directory.dataset, dump_questions(QUESTIONS))
        for variant in ("base", "a"):
            write_answers(directory, variant, shard.part(IDS))
        write_answers(directory, "base-again", shard.part([IDS[0], IDS[3]]))
        found.append(directory.root)
    return found


def changed(place: Path, **values: Any) -> None:
    """Change a shard's run.json."""
    directory = RunDirectory(place)
    files.write_json(directory.run, {**directory.read_run(), **values})


def nested(place: Path, name: str, **values: Any) -> None:
    """Change one mapping of it."""
    changed(place, **{name: {**RunDirectory(place).read_run()[name], **values}})


def other_fingerprint(shards: list[Path]) -> None:
    """Let the last shard have another base, with answers that say so."""
    nested(shards[2], "fingerprint", base="sha256:2")
    for variant in ("base", "a"):
        write_answers(RunDirectory(shards[2]), variant, Shard(2, OF).part(IDS))


def a_row_less(shards: list[Path]) -> None:
    """Lose the end of a shard's answers, as a kill does."""
    path = RunDirectory(shards[1]).answers("a")
    path.write_bytes(path.read_bytes()[:-5])


def a_row_more(shards: list[Path]) -> None:
    """Let a shard have answered another's question too."""
    write_answers(RunDirectory(shards[1]), "a", [*Shard(1, OF).part(IDS), "q0"])


def copied(shards: list[Path]) -> None:
    """Put a copy of one shard in the place of another."""
    shutil.rmtree(shards[2])
    shutil.copytree(shards[0], shards[2])


def of_another_number(shards: list[Path]) -> None:
    """Let the last be a shard of two."""
    nested(shards[2], "shard", index=1, of=2)


def whole_run(shards: list[Path]) -> None:
    """Let the last be a run that was never parted."""
    run = RunDirectory(shards[2]).read_run()
    files.write_json(RunDirectory(shards[2]).run, {key: value for key, value in run.items() if key != "shard"})


def swapped(shards: list[Path]) -> None:
    """Let the adapter's answers be the base's."""
    run = RunDirectory(shards[0])
    run.answers("a").write_bytes(run.answers("base").read_bytes())


SPOILED: dict[str, tuple[Callable[[list[Path]], object], str]] = {
    "one missing": (lambda shards: shards.pop(1), r"1 of 3 shards are missing \(1/3\): give their folders too, or run"),
    "one twice": (lambda shards: shards.append(shards[0]), "is given twice .*: give each shard once"),
    "a copy": (copied, "are both shard 0/3: leave one out"),
    "another number": (of_another_number, "is shard 1/2 and .* shard 0/3: all must be of one N"),
    "a whole run": (whole_run, "is no shard, but a whole run, which has its verdict: leave it out"),
    "no run": (lambda shards: RunDirectory(shards[0]).run.unlink(), "is not a run directory: it has no run.json"),
    "a part of one": (
        lambda shards: changed(shards[0], part="also/x"),
        "is the also/x of a shard: give the",
    ),
    "another base": (other_fingerprint, "shard 2/3 .*fingerprint.base: was 'sha256:1', is 'sha256:2': run it again"),
    "another seed of the bootstrap": (
        lambda shards: nested(shards[1], "config", resamples=500),
        "config.resamples: was 10000, is 500",
    ),
    "other ends": (
        lambda shards: nested(shards[1], "hardware", eos_token_ids=[2, 7]),
        r"eos_token_ids: was \[2\], is \[2, 7\]",
    ),
    "other training data": (lambda shards: nested(shards[1], "shard", training="x"), "kept.training: was"),
    "one refused an adapter": (lambda shards: changed(shards[1], variants=["base"]), "variants: was"),
    "not finished": (a_row_less, r"shard 1/3 in .* is not finished: .* lacks 1 of 2 rows \(q4\): run it again with"),
    "not begun": (lambda shards: RunDirectory(shards[1]).answers("a").unlink(), "is not finished: .* lacks 2 of 2"),
    "no second answers": (lambda shards: RunDirectory(shards[1]).answers("base-again").unlink(), "lacks 1 of 1 rows"),
    "overlapping": (a_row_more, r"has rows that shard 1/3 does not ask \(q0\)"),
    "another variant's answers": (swapped, "line 1 was not written by this run for a"),
    "other questions": (lambda shards: RunDirectory(shards[0]).dataset.write_text(""), "dataset.jsonl"),
    "an index that is none": (lambda shards: nested(shards[0], "shard", index=3), "shard must say which of how many"),
    "nothing kept of the model": (
        lambda shards: changed(shards[0], shard={"index": 0, "of": OF}),
        "s0/run.json",
    ),
    "no machine": (
        lambda shards: changed(shards[1], hardware={}, sessions=[{**SESSION, "hardware": None}]),
        r"is of another run than .*: eos_token_ids: was \[2\], is nothing",
    ),
    "kept of another tool": (lambda shards: nested(shards[0], "config", adapters=3), "--adapter"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_is_not_all_of_a_run_is_refused_and_nothing_written(shards: list[Path], tmp_path: Path, case: str) -> None:
    spoil, said = SPOILED[case]
    spoil(shards)
    if case == "kept of another tool":
        for place in shards[1:]:
            nested(place, "config", adapters=3)
    with pytest.raises(LoraLiftError, match=said):
        merge(shards, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_shard_at_work_is_refused(shards: list[Path], tmp_path: Path) -> None:
    with RunDirectory(shards[1]).locked(), pytest.raises(LoraLiftError, match="is in use by another loralift"):
        merge(shards, tmp_path / "run")


def test_a_folder_with_something_in_it_is_left_as_it_is(shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(LoraLiftError, match=r"new or an empty folder, and .* has notes.txt: give another"):
        merge(shards, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name != ".lock"] == ["notes.txt"]


def test_shards_on_several_machines_are_told(shards: list[Path]) -> None:
    pieces = [
        Piece(RunDirectory(place), Shard(n, OF), RunDirectory(place).read_run()) for n, place in enumerate(shards)
    ]
    assert asked_otherwise(pieces) == []
    other = {**MACHINE, "device_name": "another", "threads": 9}
    changed(shards[1], sessions=[SESSION, {**SESSION, "hardware": other}])
    nested(shards[2], "config", batch_size=4)
    pieces = [Piece(one.directory, one.shard, one.directory.read_run()) for one in pieces]
    (said,) = asked_otherwise(pieces)
    assert "device_name a GPU in 0/3, 1/3, 2/3, another in 1/3; batch_size auto in 0/3, 1/3, 4 in 2/3" in said
    assert "threads" not in said  # which move nothing on a GPU


def test_answers_come_in_the_order_of_the_data_with_their_times(shards: list[Path], tmp_path: Path) -> None:
    for place in shards:
        for variant in ("base", "a", "base-again"):
            ids = [row["id"] for row in files.read_jsonl(RunDirectory(place).answers(variant))]
            files.write_jsonl(RunDirectory(place).times(variant), ({"id": key, "seconds": 0.5} for key in ids))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loralift.workflow.merging.compare_all", lambda *given: None)
        patch.setattr("loralift.workflow.merging.report_all", lambda *given: None)
        merge(shards[::-1], tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    assert list(read_answers(run, "a", signed=True)) == IDS
    assert list(read_answers(run, "base-again", signed=True)) == ["q0", "q3"]
    assert {answer.seconds for answer in read_answers(run, "base").values()} == {0.5}
    made = run.read_run()
    assert "shard" not in made
    assert [session.get("merged") for session in made["sessions"]] == [None] * OF + [[str(p) for p in shards]]
