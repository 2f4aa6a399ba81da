"""What sides would each choose by themselves, and what is done where they choose differently."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loralift.errors import ComparisonError
from loralift.workflow.compare_inputs import compare_sides, read_sides

STRICT, FLEXIBLE = "strict-match", "flexible-extract"


def log(path: Path, *filters: str | None, rows: int = 12) -> Path:
    """A sample log of lm-evaluation-harness; by the flexible filter every answer is right, by another a third."""
    lines = []
    for name in filters:
        for n in range(rows):
            right = name == FLEXIBLE or n % 3 == 0
            line = {"doc_id": n, "doc": {"question": f"{n}?"}, "target": "yes", "resps": [["…"]]}
            line |= {"filtered_resps": ["yes" if right else "no"], "metrics": ["exact_match"], "exact_match": +right}
            lines.append(line if name is None else line | {"filter": name})
    path.write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("metric", ["exact_match", "f1"])
def test_logs_that_have_no_filter_in_common_are_refused(tmp_path: Path, metric: str) -> None:
    """The same answers to the same questions: only what picks the answer out of the text differs."""
    one, two = log(tmp_path / "one.jsonl", STRICT), log(tmp_path / "two.jsonl", FLEXIBLE)
    said = f"no filter in common.*one.jsonl has {STRICT}; .*two.jsonl has {FLEXIBLE};.*--filter"
    with pytest.raises(ComparisonError, match=said) as error:
        compare_sides(one, two, [metric])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [
        ((STRICT, FLEXIBLE), (FLEXIBLE, STRICT), STRICT),
        ((STRICT, FLEXIBLE), (FLEXIBLE,), FLEXIBLE),
        ((STRICT,), (FLEXIBLE, STRICT), STRICT),
    ],
)
def test_logs_that_list_other_filters_first_are_compared_by_one_that_both_have(
    tmp_path: Path, before: tuple[str, ...], after: tuple[str, ...], taken: str
) -> None:
    one, two = log(tmp_path / "one.jsonl", *before), log(tmp_path / "two.jsonl", *after)
    comparison, _ = compare_sides(one, two)
    (row,) = comparison.rows
    assert row.baseline_value == row.candidate_value == (1.0 if taken == FLEXIBLE else pytest.approx(1 / 3))
    assert f"The filter '{taken}' is taken on every side, the first that all logs have." in row.warnings
    for side in read_sides(one, two, None):
        assert side.metrics["exact_match"].signature == f"tool:lm-evaluation-harness|filter:{taken}"


def test_several_logs_are_compared_by_one_filter(tmp_path: Path) -> None:
    one, two = log(tmp_path / "one.jsonl", STRICT, FLEXIBLE), log(tmp_path / "two.jsonl", STRICT, FLEXIBLE)
    three = log(tmp_path / "three.jsonl", FLEXIBLE)
    sides = read_sides(one, two, None, further=[three])
    assert {side.filters[0] for side in sides} == {FLEXIBLE}
    four = log(tmp_path / "four.jsonl", STRICT)
    with pytest.raises(ComparisonError, match="no filter in common"):
        read_sides(one, three, None, further=[four])


def test_logs_of_the_same_filters_say_nothing_of_them_beyond_their_choice(tmp_path: Path) -> None:
    one, two = log(tmp_path / "one.jsonl", STRICT), log(tmp_path / "two.jsonl", STRICT)
    assert all("filter" not in note for side in read_sides(one, two, None) for note in side.notes)


def test_a_filter_that_one_log_does_not_name_is_told_on_the_metric(tmp_path: Path) -> None:
    comparison, _ = compare_sides(log(tmp_path / "one.jsonl", STRICT), log(tmp_path / "two.jsonl", None))
    (row,) = comparison.rows
    said = f"tool:lm-evaluation-harness|filter:{STRICT}, and tool:lm-evaluation-harness."
    assert f"The two sides made it differently: {said}" in row.warnings
