"""What sides would each choose by themselves, and what is done where they choose differently."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loralift.errors import ComparisonError
from loralift.workflow.compare_inputs import compare_sides, read_sides
from loralift.workflow.sides.agreeing import same_ids

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


def scores(path: Path, rows: int = 20, first: int = 0, **columns: Callable[[int], object]) -> Path:
    """A file of scores: F1 grows with n, and each column says something of n."""
    lines = [{name: of(n) for name, of in columns.items()} | {"f1": n / 40} for n in range(first, first + rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    return path


def itself(n: int) -> int:
    return n


def shuffled(n: int) -> int:
    return (7 * n + 3) % 20


def test_rows_are_paired_by_the_id_that_both_files_have(tmp_path: Path) -> None:
    """The one file counts its rows beside the questions' ids: row 0 is of question 3."""
    one = scores(tmp_path / "one.jsonl", id=itself, question_id=shuffled)
    two = scores(tmp_path / "two.jsonl", question_id=shuffled)
    for pair in ((one, two), (two, one)):
        comparison, _ = compare_sides(*pair)
        (row,) = comparison.rows
        assert (row.metric, row.n, row.wins, row.losses) == ("f1", 20, 0, 0)
        assert "Rows are known by question_id, the first id that all sides have, and not by id." in row.warnings


def test_a_further_id_is_no_metric(tmp_path: Path) -> None:
    one = scores(tmp_path / "one.jsonl", id=itself, question_id=shuffled)
    comparison, _ = compare_sides(one, one)
    assert [row.metric for row in comparison.rows] == ["f1"]
    assert not any("known by" in warning for row in comparison.rows for warning in row.warnings)


def test_ids_of_two_columns_with_the_same_values_are_paired_and_named(tmp_path: Path) -> None:
    one, two = scores(tmp_path / "one.jsonl", id=itself), scores(tmp_path / "two.jsonl", question_id=itself)
    said = "Rows are paired by the id of one and the question_id of two, whose values agree."
    assert said in compare_sides(one, two)[0].rows[0].warnings
    fewer = scores(tmp_path / "two.jsonl", 18, question_id=itself)
    assert said in compare_sides(one, fewer)[0].rows[0].warnings


def test_ids_of_two_columns_whose_values_merely_overlap_are_refused(tmp_path: Path) -> None:
    """The one counts from 0, the other from 1: 19 rows would be paired with their neighbours."""
    one, two = scores(tmp_path / "one.jsonl", id=itself), scores(tmp_path / "two.jsonl", first=1, question_id=itself)
    said = r"one.jsonl are known by id and those of .*two.jsonl by question_id, .*\(0; 20\).*give both columns the same"
    with pytest.raises(ComparisonError, match=said) as error:
        compare_sides(one, two)
    assert "\n" not in str(error.value)


def test_where_questions_show_what_rows_are_the_names_of_ids_do_not_count(tmp_path: Path) -> None:
    one = scores(tmp_path / "one.jsonl", id=itself, question="{}?".format)
    two = scores(tmp_path / "two.jsonl", first=1, qid=itself, question="{}?".format)
    comparison, _ = compare_sides(one, two)
    assert comparison.rows[0].n == 19
    assert not any("whose values" in warning for warning in comparison.rows[0].warnings)


def test_two_columns_of_ids_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    one = scores(tmp_path / "one.jsonl", id=itself, question_id=shuffled)
    two = scores(tmp_path / "two.jsonl", id=itself, question_id=itself)
    said = r"rows have the id of .*one.jsonl and another question_id \(0: '3' and '0'\).*leave one of the two"
    with pytest.raises(ComparisonError, match=said):
        compare_sides(one, two)
    # made anew for each file, such an id is of no question
    three = scores(tmp_path / "three.jsonl", id=itself, _id="one-{}".format)
    comparison, _ = compare_sides(three, scores(tmp_path / "four.jsonl", id=itself, _id="two-{}".format))
    assert comparison.rows[0].n == 20


def test_a_column_that_is_no_id_in_every_file_is_none(tmp_path: Path) -> None:
    one = scores(tmp_path / "one.jsonl", id="q{}".format, task_id=lambda n: n % 2)
    comparison, _ = compare_sides(one, scores(tmp_path / "two.jsonl", task_id="q{}".format))
    said = "Rows are paired by the id of one and the task_id of two, whose values agree."
    assert (comparison.rows[0].n, said in comparison.rows[0].warnings) == (20, True)


def test_of_three_files_two_may_have_an_id_that_the_third_lacks(tmp_path: Path) -> None:
    one = scores(tmp_path / "one.jsonl", id=itself, question_id=shuffled)
    two, three = scores(tmp_path / "two.jsonl", id=itself), scores(tmp_path / "three.jsonl", question_id=itself)
    with pytest.raises(ComparisonError, match=r"one.jsonl and .*three.jsonl both have question_id.*compare the two al"):
        read_sides(one, two, None, further=[three])
    assert len(read_sides(one, two, None)) == 2


def test_beside_a_log_the_column_is_named(tmp_path: Path) -> None:
    lines = log(tmp_path / "log.jsonl", "none")
    two = scores(tmp_path / "two.jsonl", 12, id=itself, exact_match=lambda n: n % 2)
    comparison, _ = compare_sides(lines, two, ["exact_match"])
    assert any("by the doc_id of" in warning and "the id of two" in warning for warning in comparison.rows[0].warnings)


def test_beside_a_side_of_another_kind_the_column_that_was_chosen_is_named(tmp_path: Path) -> None:
    """Of a run it is not known what its ids were called."""
    before, after = read_sides(*[scores(tmp_path / "one.jsonl", id=itself, question_id=shuffled)] * 2, None)
    said = "Rows of one are known by id, and not by question_id, which it has too."
    assert same_ids(before, replace(after, id_columns=())).notes[0] == said
