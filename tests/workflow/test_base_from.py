"""What of another run's base is taken, and what is refused: nothing that was asked otherwise passes for this run's."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loralift.config import RunConfig
from loralift.data import LoadedData, dump_questions, hash_questions
from loralift.errors import RunDirectoryError, UsageError
from loralift.records import Answer, Protocol, Question, ReferenceLikelihood
from loralift.workflow import base_from, files
from loralift.workflow.base_from import ANSWERS, REFERENCES, SECOND, record_of, take, write
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.recorded import line_of, read_answers, read_records
from loralift.workflow.run_directory import RunDirectory

QUESTIONS = tuple(Question(f"q{n}", f"What is {n}?", f"It is {n}.") for n in range(4))
TRAINING = Protocol("training", "plain", "", 0, False, (), 8, 0.0, 1.0)
DATA = LoadedData(QUESTIONS, "here", "all 4 rows", hash_questions(QUESTIONS), {})
MACHINE = {"device_name": "a GPU", "threads": 2, "eos_token_ids": [2], "adapters": {}}
SESSION = {"command": "loralift run", "started": "then", "seconds": {}, "hardware": MACHINE}
DOCUMENT: dict[str, Any] = {
    "fingerprint": {
        "loralift": "1",
        "base": "sha256:1",
        "adapters": {"a": "x"},
        "numerics": {"device": "cpu", "dtype": "float32", "torch": "2", "adapters_act": {"a": "merged"}},
        "data": {"sha256": DATA.sha256, "rows": 4},
        "prompt": {"token_ids_sha256": "p", "example": "What is 0?"},
        "generation": {"max_new_tokens": 8, "seed": 0, "repeats": 1},
    },
    "config": {"batch_size": "auto"},
    "protocol": {"name": "training", "prompt": "plain"},
    "thinking": {"tags": [["<think>", "</think>"]], "opened": "", "keep": False},
    "hardware": MACHINE,
    "sessions": [SESSION],
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The document with one value changed; its last session is on the machine that it says."""
    document = copy.deepcopy(DOCUMENT)
    *folders, name = path.split("/")
    place = document
    for folder in folders:
        place = place[folder]
    place[name] = value
    document["sessions"][-1]["hardware"] = document["hardware"]
    return document


@pytest.fixture
def before(tmp_path: Path) -> RunDirectory:
    """A run whose base has answered everything, two questions twice."""
    directory = RunDirectory(tmp_path / "before")
    files.write_json(directory.run, DOCUMENT)
    files.write_text(directory.dataset, dump_questions(QUESTIONS))
    records = {
        ANSWERS: [Answer(q.id, "So.", "stop", 3, 2, 0.5) for q in QUESTIONS],
        REFERENCES: [ReferenceLikelihood(q.id, -1.5, 3) for q in QUESTIONS],
        SECOND: [Answer(q.id, "So!", "stop", 3, 2, 0.5) for q in QUESTIONS[::2]],
    }
    for name, rows in records.items():
        made = directory.made_with(Path(name).parent.name)
        files.write_jsonl(directory.root / name, (line_of(row, made) for row in rows))
    files.write_jsonl(directory.times("base"), ({"id": q.id, "seconds": 0.5} for q in QUESTIONS))
    return directory


class Run:
    """The run that takes."""

    def __init__(self, before: Path, **config: Any) -> None:
        self.config = RunConfig(adapters={"b": "b"}, base_from=before, **{"noise_rows": 2, **config})
        self.part = DatasetRun("", RunDirectory(before.parent / "now"), DATA, 1, TRAINING)
        self.said: list[str] = []

    def take(
        self, document: dict[str, Any] | None = None, wanted: tuple[str, ...] = (REFERENCES, SECOND, ANSWERS)
    ) -> dict[str, base_from.Taken]:
        """What its deciding part takes, where it is made as `document` says."""
        documents = {self.part.part: document or DOCUMENT}
        return take(self.config, [self.part], documents, {self.part.part: wanted}, self.said.append)


def test_what_is_taken_is_written_as_this_runs_own(before: RunDirectory) -> None:
    run = Run(before.root)
    now = changed("fingerprint/adapters", {"b": "y"})
    now["fingerprint"]["numerics"]["adapters_act"] = {"b": "merged"}
    now["thinking"]["keep"] = True
    taken = run.take(now)[""]
    place = run.part.directory
    files.write_json(place.run, {**now, **record_of({}, place, taken)})
    write(place, taken)
    assert read_answers(place, "base", signed=True) == read_answers(before, "base")
    assert read_answers(place, "base-again", signed=True) == read_answers(before, "base-again")
    paths = [each.references("base") for each in (place, before)]
    assert read_records(paths[0], ReferenceLikelihood, signed=True) == read_records(paths[1], ReferenceLikelihood)
    assert place.made_with("base") != before.made_with("base")
    assert run.said == [f"base: answers and likelihoods of the references and second answers taken from {before.root}"]
    assert run.take(now) == {}  # which has them
    assert record_of(place.read_run(), place, None)["base_from"] == taken.sources
    place.answers("base").unlink()
    assert set(record_of(place.read_run(), place, None)["base_from"]) == {REFERENCES, SECOND}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("fingerprint/loralift", "2", "loralift: was '1', is '2'"),
        ("fingerprint/base", "sha256:2", "base: was 'sha256:1', is 'sha256:2'"),
        ("fingerprint/numerics/dtype", "bfloat16", "numerics.dtype: was 'float32', is 'bfloat16'"),
        ("fingerprint/numerics/torch", "3", "numerics.torch: was '2', is '3'"),
        ("fingerprint/numerics/quantization", "nf4", "numerics.quantization: was nothing, is 'nf4'"),
        ("fingerprint/numerics/adapters_act", "LoRARequest", "numerics.adapters_act: was nothing, is 'LoRARequest'"),
        ("fingerprint/data/sha256", "d", f"data.sha256: was '{DATA.sha256[:20]}"),
        ("fingerprint/prompt/token_ids_sha256", "o", "prompt.token_ids_sha256: was 'p', is 'o'"),
        ("fingerprint/generation/max_new_tokens", 9, "generation.max_new_tokens: was 8, is 9"),
        ("fingerprint/generation/seed", 1, "generation.seed: was 0, is 1"),
        ("fingerprint/generation/repeats", 2, "generation.repeats: was 1, is 2"),
        ("protocol/prompt", "chat", "protocol.prompt: was 'plain', is 'chat'"),
        ("thinking/opened", "<think>", "thinking.opened: was '', is '<think>'"),
        ("config/batch_size", 4, "batch_size: was 'auto', is 4"),
        ("hardware/device_name", "another", "device_name: was 'a GPU', is 'another'"),
        ("hardware/cuda_graphs", [1, 8], "cuda_graphs: was nothing, is [1, 8]"),
        ("hardware/threads", 8, "threads: was 2, is 8"),
        ("hardware/eos_token_ids", [2, 7], "eos_token_ids: was [2], is [2, 7]"),
    ],
)
def test_whatever_differs_is_named_with_both_values(before: RunDirectory, path: str, value: object, said: str) -> None:
    with pytest.raises(RunDirectoryError) as refused:
        Run(before.root).take(changed(path, value))
    assert said in str(refused.value)
    assert str(refused.value).endswith("leave out --base-from, and the base is asked here")


def test_a_session_on_another_machine_is_refused(before: RunDirectory) -> None:
    other = {**SESSION, "hardware": {**MACHINE, "device_name": "another"}}
    files.write_json(before.run, {**DOCUMENT, "sessions": [other, SESSION]})
    with pytest.raises(RunDirectoryError, match="device_name: was 'another', is 'a GPU'"):
        Run(before.root).take()


def a_row_short(before: RunDirectory) -> None:
    """Lose the last answer's end, as a kill does."""
    before.answers("base").write_bytes(before.answers("base").read_bytes()[:-9])


def unsigned(before: RunDirectory) -> None:
    """Leave out what a likelihood was made with."""
    rows = list(files.read_jsonl(before.references("base")))
    files.write_jsonl(before.references("base"), ({**row, "made_with": None} for row in rows))


def of_another(before: RunDirectory) -> None:
    """Put the second answers in the place of the first."""
    before.answers("base").write_bytes((before.root / SECOND).read_bytes())


DAMAGED: dict[str, tuple[Callable[[RunDirectory], object], str]] = {
    "a row short": (a_row_short, r"answers.jsonl lacks 1 of 4 rows \(q3\)"),
    "no answers": (lambda run: run.answers("base").unlink(), "answers.jsonl is missing: leave out --base-from"),
    "unsigned": (unsigned, "references.jsonl, line 1 was not written by this run for base"),
    "of another variant": (of_another, "answers.jsonl, line 1 was not written by this run for base"),
    "no questions": (lambda run: run.dataset.write_text(""), "dataset.jsonl"),
    "another fingerprint": (
        lambda run: files.write_json(run.run, changed("fingerprint/adapters", {})),
        "line 1 was not written by this run for base",
    ),
    "no sessions' machine": (
        lambda run: files.write_json(run.run, {**DOCUMENT, "sessions": [{**SESSION, "hardware": None}]}),
        "run.json",
    ),
    "no session": (lambda run: files.write_json(run.run, {**DOCUMENT, "sessions": []}), "run.json has no sessions"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_run_is_refused(before: RunDirectory, damage: str) -> None:
    change, said = DAMAGED[damage]
    change(before)
    with pytest.raises(RunDirectoryError, match=said):
        Run(before.root).take()


def test_a_run_at_work_is_refused(before: RunDirectory) -> None:
    with before.locked(), pytest.raises(RunDirectoryError, match="is in use by another loralift: wait for it to end"):
        Run(before.root).take()
    assert ANSWERS in Run(before.root).take()[""].rows


def test_what_the_other_run_does_not_have_is_asked_and_said(before: RunDirectory) -> None:
    before.references("base").unlink()
    run = Run(before.root, noise_rows=3)
    assert set(run.take()[""].rows) == {ANSWERS}
    assert run.said[1:] == [
        f"base: {before.root} has no such likelihoods of the references, second answers: asked here"
    ]


def test_a_part_that_the_other_run_did_not_ask_is_asked_and_said(before: RunDirectory) -> None:
    run = Run(before.root)
    run.part = replace(run.part, protocol=replace(TRAINING, name="chat"), further=True)
    assert run.take() == {}
    assert run.said == [f"base: chat: {before.root} did not ask it, so it is asked here"]


def test_a_copy_that_is_killed_leaves_whole_files_and_the_rest_is_taken_later(
    before: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(before.root)
    place, whole = run.part.directory, files.write_jsonl
    taken = run.take()[""]
    files.write_json(place.run, {**DOCUMENT, **record_of({}, place, taken)})

    def killed(path: Path, rows: Any) -> None:
        if path == place.answers("base"):
            raise KeyboardInterrupt
        whole(path, rows)

    monkeypatch.setattr(files, "write_jsonl", killed)
    with pytest.raises(KeyboardInterrupt):
        write(place, taken)
    assert not place.answers("base").exists()
    monkeypatch.undo()
    rest = run.take()[""]
    assert set(rest.rows) == {ANSWERS}
    assert record_of(place.read_run(), place, rest)["base_from"] == taken.sources
    write(place, rest)
    assert len(read_answers(place, "base", signed=True)) == 4


def test_a_resume_asks_what_is_missing_where_the_other_run_is_gone(before: RunDirectory) -> None:
    run = Run(before.root / "gone")
    assert run.take() == {}
    assert run.said == [f"base: {before.root / 'gone'} is not there any more, so what is missing is asked here"]
    base_from.refuse_no_run(run.config, run.part.directory, resume=True)
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        base_from.refuse_no_run(run.config, run.part.directory, resume=False)


def test_the_run_itself_by_any_name_is_refused(before: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(before.root)
    with pytest.raises(UsageError, match="must be another run"):
        base_from.refuse_no_run(Run(tmp_path / "link").config, before, resume=True)


def test_what_is_said_of_the_other_run_is_json(before: RunDirectory) -> None:
    sources = Run(before.root).take()[""].sources
    assert json.loads(json.dumps(sources))[ANSWERS]["run"] == str(before.root)
    assert {len(source["sha256"]) for source in sources.values()} == {64}
