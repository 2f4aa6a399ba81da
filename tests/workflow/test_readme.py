"""A README.md of the hub: ours is replaced, all else stays to the byte, and what could not stay is refused."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from loralift.errors import UsageError
from loralift.workflow.readme import BEGIN, END, merged, new_readme

RESULTS = [
    {
        "task": {"type": "text-generation"},
        "dataset": {"type": "a/b", "name": "no: #1", "args": {"loralift": "1", "rows": 3}},
        "metrics": [{"type": "f1", "value": 0.5, "name": "1e-5", "args": {"interval": [-0.1, 0.2]}}],
    }
]

THEIRS = """---
# my card
license: mit   # really
language: no
version: 010
tags: [lora, 'x']
model-index:
- name: theirs
  results:
  - task: {type: text-generation}
    dataset: {type: x/y, name: Y}
    metrics:
    - type: acc
      value: 1e-5
date: 2024-01-01
---
# Title

Words.
"""


def put(readme: str, section: str = "ours") -> str:
    return merged(readme, "mine", section, RESULTS, "loralift")


def results_of(readme: str) -> list[tuple[str, object]]:
    return [(one.dataset_type, one.metric_value) for one in ModelCard(readme).data.eval_results]


def test_a_new_readme_is_what_the_hub_reads() -> None:
    card = ModelCard(new_readme("mine", "ours", RESULTS))
    (result,) = card.data.eval_results
    assert (card.data.model_name, result.dataset_name, result.metric_name) == ("mine", "no: #1", "1e-5")
    assert (result.metric_value, result.metric_args, result.dataset_args) == (
        0.5,
        {"interval": [-0.1, 0.2]},
        {"loralift": "1", "rows": 3},
    )
    assert card.text.strip() == f"{BEGIN}\nours\n{END}"
    assert put(" \n") == new_readme("mine", "ours", RESULTS)


def test_every_line_of_another_s_readme_stays_as_it_is() -> None:
    after = put(THEIRS)
    lines = after.splitlines()
    for line in (*THEIRS.splitlines()[:6], "      value: 1e-5", "date: 2024-01-01", "# Title", "Words."):
        assert line in lines
    assert results_of(after) == [("x/y", "1e-5"), ("a/b", 0.5)]
    assert after.endswith(f"Words.\n\n{BEGIN}\nours\n{END}\n")
    assert lines.index("date: 2024-01-01") > lines.index('    - type: "f1"')


def test_a_second_time_only_ours_is_replaced() -> None:
    once = put(THEIRS)
    assert put(once) == once
    behind = once + "\nMore words.\n"
    assert put(behind, "new") == behind.replace("\nours\n", "\nnew\n")
    assert len(results_of(put(behind, "new"))) == 2


@pytest.mark.parametrize(
    "readme",
    [
        "# Only words\n",
        "# Only words",
        "---\nlicense: mit\n---\n",
        "---\nlicense: mit\n---",
        "---\n# nothing but this\n---\nwords\n",
        "---\r\nlicense: mit\r\ntags:\r\n- a\r\n---\r\nwords\r\n",
        "---\nmodel-index:\n- name: x\n  results: []\nlicense: mit\n---\nwords\n",
        "---\nmodel-index:\n- {name: x, results: []}\nnext: |\n  a\n\n---\nwords\n",
        "---\ntext: |\n  # no comment\nmodel-index:\n- name: 'a # b'\n  results: []\n\n# of next\nnext: 1\n---\n",
        "---\nlicense: mit\ntext: |\n  # no comment\n  a\n---\nwords\n",
        "---\nmodel-index:\n- name: x\n  results: []\ntext: |+\n  a\n\n---\nwords\n",
        "---\nmodel-index:\n- results: []\n  name: |-\n    a\nnext: 1\n---\n",
        "---\na: &here [1]\nmodel-index:\n- name: x\n  results: []\nb: *here\n---\n",
    ],
)
def test_of_any_readme_the_hub_reads_ours_and_the_rest_stays(readme: str) -> None:
    after = put(readme)
    assert results_of(after) == [("a/b", 0.5)]
    there = [line for line in readme.splitlines(keepends=True) if line.strip() not in ("---", "")]
    kept = [line for line in there if "model-index" not in line and "name:" not in line and "results:" not in line]
    assert all(line.rstrip("\r\n") in after for line in kept)
    assert ("\r\n" in readme) == ("\r\n" in after)
    assert after.count("\n") == after.count("\r\n") or "\r\n" not in readme
    assert put(after) == after


@pytest.mark.parametrize(
    ("readme", "culprit"),
    [
        ("---\n---\nwords\n", "front matter is empty or has no end"),
        ("---\nlicense: mit\nwords\n", "front matter is empty or has no end"),
        ("---\nlicense: [mit\n---\n", "is no YAML"),
        ("---\n{license: mit}\n---\n", "a key at the beginning of each line"),
        ("---\n  license: mit\n---\n", "a key at the beginning of each line"),
        ("---\n- license\n---\n", "a key at the beginning of each line"),
        ("---\nmodel-index: []\nmodel-index: []\n---\n", "'model-index' twice"),
        ("---\nmodel-index:\nlicense: mit\n---\n", "model-index is empty"),
        ("---\nmodel-index: []\n---\n", "must be a list of models"),
        ("---\nmodel-index: {name: x}\n---\n", "must be a list of models"),
        ("---\nmodel-index:\n- name: x\n---\n", "must be a list of models"),
        ("---\nmodel-index:\n- name:\n  results: []\n---\n", "must be a list of models with a name"),
        ("---\nmodel-index:\n- results: []\n---\n", "must be a list of models with a name"),
        ("---\nmodel-index:\n- name: x\n  results: [{task: {type: a}}]\n---\n", "a result that the hub cannot read"),
        ("---\nmodel-index:\n- name: x\n  results: [a]\n---\n", "a result that the hub cannot read"),
        ("---\n1: a\n---\n", "a key that is no text"),
        ("---\na: 1\n<<: 2\n---\n", "is no YAML"),
        ("---\r\n---\r\nwords\r\n", "front matter is empty or has no end"),
        ("# Old\rMac\r", "a carriage return alone"),
        ("---\nmodel-index:\n- name: x  # mine\n  results: []\n---\n", "has a comment"),
        ("---\nmodel-index:\n# mine\n- name: x\n  results: []\n---\n", "has a comment"),
        ("---\nmodel-index:\n- name: x\n  results: [] # mine\n---\n", "has a comment"),
        ("---\nmodel-index:\n- name: &n x\n  results: []\nb: *n\n---\n", "refer to each other"),
        (f"---\na: 1\n---\n{BEGIN}\n", "once each"),
        (f"{END}\n{BEGIN}\n", "once each"),
        (f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n", "once each"),
    ],
)
def test_what_could_not_be_kept_is_refused(readme: str, culprit: str) -> None:
    with pytest.raises(UsageError, match=culprit):
        put(readme)
