"""Task files of lm-evaluation-harness with data of our own, in a folder of the test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.models import SUBJECTS

CHOICES = [f"{one} are {len(one)} letters." for one in SUBJECTS]
BEGINNING = "Some say stocks are like bonds. " * 40
"""More than the tiny model's window, so that lm_eval cuts it."""

WRITTEN = r"""
task: letters_written
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_text: "Question: {{asked}}\nAnswer:"
doc_to_target: "{{right}}"
generation_kwargs: {until: ["\n"], max_gen_toks: 12}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
  - {metric: bleu, aggregation: bleu, higher_is_better: true}
filter_list:
  - {name: strict, filter: [{function: remove_whitespace}, {function: take_first}]}
  - {name: digit, filter: [{function: regex, regex_pattern: "([0-9])"}, {function: take_first}]}
"""
CHOSEN = r"""
task: letters_chosen
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
fewshot_split: test
num_fewshot: 1
output_type: multiple_choice
doc_to_text: "Question: {{asked}}\nAnswer:"
doc_to_choice: CHOICES
doc_to_target: "{{right}}"
"""
GROUP = "group: letters_both\ntask: [letters_chosen, letters_long]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """written.yaml, chosen.yaml, long.yaml (whose prompts do not fit) and both.yaml, a group of the last two."""
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    import datasets

    place = tmp_path_factory.mktemp("tasks")
    rows = [{"asked": f"What are {one}?", "right": right} for one, right in zip(SUBJECTS, CHOICES, strict=True)]
    data = place / "letters.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    long = CHOSEN.replace("letters_chosen", "letters_long") + f'description: "{BEGINNING}"\n'
    for name, text in {"written": WRITTEN, "chosen": CHOSEN, "long": long, "both": GROUP}.items():
        write(place / f"{name}.yaml", text, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", place / "cache")
        yield place


def write(path: Path, text: str, data: Path) -> Path:
    """A task file over these data."""
    path.write_text(text.replace("DATA", json.dumps(str(data))).replace("CHOICES", json.dumps(CHOICES)), "utf-8")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
