"""What was said of a data set is said once, however often its run is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralift.config import parse
from loralift.data import dump_questions, load_questions
from loralift.errors import UsageError
from loralift.workflow import datasets, files
from loralift.workflow.datasets import asked_for, load_datasets, notes_of
from loralift.workflow.run_directory import RunDirectory


def test_a_resume_without_the_hub_keeps_the_notes_and_doubles_none(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"question": "Why?", "answer": "So.", "context": "c"}\n{"question": "How?", "answer": null}\n',
        encoding="utf-8",
    )
    data, config = load_questions(str(rows)), parse({"dataset": "hf://o/n"})
    before = notes_of(data)
    assert [note.split()[0] for note in before] == ["1", "column"]
    directory = RunDirectory(tmp_path / "run")
    facts = {"source": "o/n", "selection": "all 2 rows", "columns": {}, "asked": asked_for(config)}
    directory.root.mkdir()
    files.write_text(directory.dataset, dump_questions(data.questions))
    made_of = {"data": {"sha256": data.sha256, "rows": 1}}
    files.write_json(directory.run, {"fingerprint": made_of, "data": facts, "notes": before})
    (part,) = load_datasets(config, directory, resume=True)
    assert part.data.questions == data.questions
    assert notes_of(part.data) == before


def test_more_answers_than_a_memory_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "Why?", "answer": "So."}\n{"question": "How?", "answer": "So."}\n', encoding="utf-8")
    monkeypatch.setattr(datasets, "MOST_ANSWERS", 19)
    config = parse({"dataset": str(rows), "repeats": 10, "temperature": 1.0})
    with pytest.raises(UsageError, match="`--repeats` 10 of 2 questions are 20 answers, more than 19"):
        load_datasets(config, RunDirectory(tmp_path / "run"), resume=False)
