"""What a task must be, so that rows can be paired by it; refused or said before a model is loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralift.errors import DataError, LoraLiftError, MissingExtraError, UsageError
from loralift.harness import load_task
from loralift.harness.rows import scored
from loralift.harness.spec import parse_task
from tests.harness.asked import CHOICES, CHOSEN, WRITTEN, folder, write

__all__ = ["folder"]


@pytest.mark.parametrize(
    "text", ["", "?num_fewshot=1", "mmlu?", "mmlu?shots=1", "mmlu?num_fewshot=1&num_fewshot=2", "mmlu?num_fewshot=-1"]
)
def test_a_task_is_a_name_or_a_file_and_perhaps_a_number_of_examples(text: str) -> None:
    with pytest.raises(UsageError, match=r"--also|num_fewshot"):
        parse_task(text)


def test_the_options_of_a_task() -> None:
    assert parse_task("mmlu?num_fewshot=5").num_fewshot == 5
    assert parse_task("gsm8k").path is None
    with pytest.raises(UsageError, match="there is no such file"):
        parse_task("./no/such.yaml")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'loralift\[lm-eval\]'"):
        load_task("gsm8k", None)


def test_a_task_is_its_rows_its_metrics_and_what_was_left_out(folder: Path) -> None:
    task = load_task(str(folder / "written.yaml"), 4)
    assert [question.id for question in task.questions] == ["0", "1", "2", "3"]
    assert task.questions[1].question == "Question: What are bonds?\nAnswer:"
    assert task.questions[1].reference == CHOICES[1]
    assert [metric.name for metric in task.metrics] == ["exact_match,strict", "exact_match,digit"]
    assert any("bleu (strict), bleu (digit) left out, which is no mean over rows" in note for note in task.notes)
    assert task.requests == 4


def test_a_group_is_one_data_set_of_the_rows_of_its_tasks(folder: Path) -> None:
    task = load_task(str(folder / "both.yaml"), 3)
    assert [question.id for question in task.questions[::3]] == ["letters_chosen/0", "letters_long/0"]
    assert {question.fields["task"] for question in task.questions} == {"letters_chosen", "letters_long"}
    assert any("2 tasks in one" in note for note in task.notes)


def test_the_identity_holds_what_a_task_is_made_of_and_not_where_it_lies(folder: Path, tmp_path: Path) -> None:
    one = load_task(str(folder / "chosen.yaml"), 4).identity
    assert load_task(str(folder / "chosen.yaml"), 4).identity == one
    other = load_task(f"{folder}/chosen.yaml?num_fewshot=2", 4).identity
    assert {name for name in one if one[name] != other[name]} == {"num_fewshot", "config_sha256", "requests_sha256"}
    moved = write(tmp_path / "chosen.yaml", CHOSEN, folder / "letters.jsonl")
    assert {**load_task(str(moved), 4).identity, "files_sha256": ""} == {**one, "files_sha256": ""}
    (tmp_path / "helper.py").write_text("x = 1\n")
    before = load_task(str(moved), 4).identity
    (tmp_path / "helper.py").write_text("x = 2\n")
    assert load_task(str(moved), 4).identity["files_sha256"] != before["files_sha256"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text + "unsafe_code: true\n", "runs code that the model writes"),
        (lambda text: text.replace("exact_match, aggregation: mean", "exact_match, aggregation: median"), "judge by"),
        (lambda text: text.replace("higher_is_better: true", "higher_is_better: null"), "judge by"),
        (lambda text: text.replace("test_split: test", "test_split: nowhere"), "cannot be loaded"),
        (lambda text: text.replace("{{asked}}", "{{asked"), "cannot be loaded"),
        (
            lambda text: text.split("metric_list")[0].replace("generate_until", "loglikelihood_rolling"),
            "word_perplexity",
        ),
        (lambda text: "- a list\n", "cannot be loaded"),
        (lambda text: text.replace("doc_to_target", "process_docs: !function no_such.f\ndoc_to_target"), "no_such"),
    ],
)
def test_a_task_that_cannot_be_compared_row_by_row_is_refused(
    folder: Path, tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    place = write(tmp_path / "spoiled.yaml", change(WRITTEN), folder / "letters.jsonl")
    with pytest.raises(DataError, match=said) as raised:
        load_task(str(place), None)
    assert "lm-eval:" in str(raised.value)


def test_a_task_without_rows_is_refused(folder: Path, tmp_path: Path) -> None:
    none = "def none(rows):\n    return rows.select([])\n"
    (tmp_path / "empty.py").write_text(none)
    text = WRITTEN + "process_docs: !function empty.none\n"
    with pytest.raises(DataError, match="it has no rows to evaluate"):
        load_task(str(write(tmp_path / "empty.yaml", text, folder / "letters.jsonl")), None)


def test_a_number_of_examples_that_lm_eval_would_pass_over_is_refused(folder: Path, tmp_path: Path) -> None:
    text = CHOSEN.replace("num_fewshot: 1", "num_fewshot: 0")
    place = write(tmp_path / "fixed.yaml", text, folder / "letters.jsonl")
    with pytest.raises(UsageError, match="sets it to 0 itself"):
        load_task(f"{place}?num_fewshot=3", None)


def test_targets_that_are_no_choice_are_told(folder: Path, tmp_path: Path) -> None:
    text = CHOSEN.replace("CHOICES", '["stocks are 6 letters.", "no"]')
    task = load_task(str(write(tmp_path / "few.yaml", text, folder / "letters.jsonl")), None)
    assert any("9 of 10 rows have a target that is none of their choices" in note for note in task.notes)


def test_samples_that_lack_a_row_or_have_one_twice_are_refused(folder: Path) -> None:
    task = load_task(str(folder / "chosen.yaml"), 2)

    def line(document: int) -> dict[str, Any]:
        pairs = [[[str(-float(choice)), "False"]] for choice in range(len(CHOICES))]
        return {"doc_id": document, "filter": "none", "resps": pairs, "acc": 1.0, "acc_norm": float("nan")}

    answers, scores = scored(task, {"letters_chosen": [line(0), line(1)]})
    assert [answer.text for answer in answers] == [CHOICES[0], CHOICES[0]]
    assert scores[0].values == {"acc,none": 1.0, "acc_norm,none": None}
    assert scores[0].unscored == {"acc_norm,none": "lm_eval's value is no finite number"}
    for wrong in ([line(0)], [line(0), line(1), line(1)], [line(0), line(1), line(2)]):
        with pytest.raises(LoraLiftError, match="lm_eval's samples of letters_chosen"):
            scored(task, {"letters_chosen": wrong})
