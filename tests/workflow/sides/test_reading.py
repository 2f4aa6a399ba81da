"""What is read of a side, and what a reader is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics import BLEU

from loralift.errors import ComparisonError, LoraLiftError, UsageError
from loralift.workflow.compare_inputs import compare_sides, read_sides
from loralift.workflow.sides.reading import read_side

PARTED = "2 answers of t hold thinking (<think> or the like), which is parted: the answer alone is scored."
UNFINISHED = (
    "2 answers of t ended before their thinking did, and are no answers: they have no score. Raise --max-new-tokens, "
    "ask without thinking, or score all that is there with --thinking keep."
)
INSIDE = (
    "2 answers of t hold tags of thinking that part nothing (further on, or of another model), scored as a part of "
    "the answer."
)


def write(path: Path, rows: list[dict[str, Any]], mark: str = "") -> Path:
    path.write_text(mark + "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def texts(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": str(i), "prediction": f"it is {i}", "reference": f"it is {i}"} | changes for i in range(12)]


def bare(prefix: str = "q", rows: int = 12, **changes: Any) -> list[dict[str, Any]]:
    """As LLaMA-Factory writes its predictions."""
    return [{"prompt": f"{prefix}{i}", "predict": f"it {i}", "label": f"it is {i}"} | changes for i in range(rows)]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    side = read_side(write(tmp_path / "bom.jsonl", texts(), "\ufeff"), ["f1"])
    assert [score.values for score in side.scores] == [{"f1": 1.0}] * 12


@pytest.mark.parametrize(
    ("answer", "said", "value"),
    [
        ("<think>\nlet me see\n</think>\nit is 3", (PARTED,), 1.0),
        ("[THINK]hm[/THINK] it is 3", (PARTED,), 1.0),
        ("<think>it is 3", (PARTED, UNFINISHED), None),
        ("hm</think>it is 3", (INSIDE,), 0.5),
        ("<reasoning>hm</reasoning>it is 3", (INSIDE,), 0.5),
        ("I think it is 3", (), 0.75),
    ],
)
def test_thinking_is_parted_from_answers_and_counted(
    tmp_path: Path, answer: str, said: tuple[str, ...], value: float | None
) -> None:
    rows = texts()
    rows[3]["prediction"] = rows[4]["prediction"] = answer
    side = read_side(write(tmp_path / "t.jsonl", rows), ["f1"])
    assert side.notes == said
    assert side.scores[3].values["f1"] == (value if value is None else pytest.approx(value, abs=0.2))
    if value is not None:
        assert (side.scores[3].values["f1"] == 1.0) == (value == 1.0)


def test_scores_beside_answers_that_are_scored_here_are_named(tmp_path: Path) -> None:
    said = (
        "{}: {} of {} are not compared, for its answers are scored here; a file of ids and scores alone compares those."
    )
    rows = texts(exact_match=0.0, f1=0.9, temperature=0.0, question_id=3, source="web")
    rows[0]["regret"] = 0.5
    side = read_side(write(tmp_path / "t.jsonl", rows), ["f1"])
    assert side.notes == (said.format("t", "exact_match, f1, regret", "its lines"),)
    assert side.scores[0].values == {"f1": 1.0}
    assert read_side(write(tmp_path / "bare.jsonl", bare(loss=1.5)), ["f1"]).notes == (
        said.format("bare", "loss", "its lines"),
    )
    of_log = {"metrics": ["f1", "acc"], "f1": 0.5, "acc": 1.0, "doc": {}, "filter": "none", "target": "it is 1"}
    lines = [of_log | {"doc_id": n, "resps": [["it is 1"]], "filtered_resps": ["it is 1"]} for n in range(12)]
    path = write(tmp_path / "log.jsonl", lines)
    assert read_side(path, ["f1", "rougeL"]).notes == (said.format(tmp_path.name, "f1", "the log"),)
    assert read_side(path, ["f1"]).notes == ()


def test_thinking_of_files_can_be_kept(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", texts(prediction="<think>hm</think>it is 3"))
    kept, _ = read_sides(one, write(tmp_path / "two.jsonl", texts()), ["f1"], thinking="keep")
    assert kept.notes == ("12 answers of one hold thinking (<think> or the like), scored as a part of the answer.",)
    assert kept.metrics["f1"].signature.startswith("thinking:kept|")
    with pytest.raises(UsageError, match="`--thinking` must be part or keep, got 'drop'"):
        read_sides(one, one, ["f1"], thinking="drop")
    scores = write(tmp_path / "scores.jsonl", [{"id": str(i), "f1": 1.0} for i in range(12)])
    with pytest.raises(UsageError, match="`--thinking` is for answers that are scored here"):
        read_sides(scores, scores, None, thinking="keep")


def test_several_references_are_used_and_that_is_said(tmp_path: Path) -> None:
    rows = [*texts()[:5], *texts(reference=["it is 1", "it was"])[5:]]
    side = read_side(write(tmp_path / "several.jsonl", rows), ["f1"])
    assert side.notes == ("7 rows of several have several references; an answer may be like any of them.",)
    assert "refs:best" in side.metrics["f1"].signature
    assert read_side(write(tmp_path / "one.jsonl", texts(reference=["it is 1"])), ["f1"]).notes == ()


def test_sides_that_are_scored_against_other_references_are_refused(tmp_path: Path) -> None:
    """Answers scored against more references score higher, and the first one is the same on both sides."""
    one = write(tmp_path / "one.jsonl", texts(reference="it is 1"))
    two = write(tmp_path / "two.jsonl", texts(reference=["it is 1", "it is 2"]))
    with pytest.raises(ComparisonError, match="for 12 of 12 ids, the same id stands for another question or reference"):
        compare_sides(one, two, ["f1"])


def test_blank_and_equal_references_are_none_and_a_number_among_them_is_refused(tmp_path: Path) -> None:
    plain = read_side(write(tmp_path / "plain.jsonl", texts(reference="it is 1")), ["f1"])
    listed = texts(reference=["", "it is 1", None, "it is 1", " "])
    side = read_side(write(tmp_path / "listed.jsonl", listed), ["f1"])
    assert (side.notes, side.scores, side.documents) == ((), plain.scores, plain.documents)
    rows = [*texts()[:3], *texts(reference=["it is 1", 1])[3:]]
    with pytest.raises(ComparisonError, match=r"row 4: must have texts .* write a number as text"):
        read_side(write(tmp_path / "number.jsonl", rows), ["f1"])


def test_answers_in_chinese_and_arabic_have_scores_or_a_reason_and_no_silent_zero(tmp_path: Path) -> None:
    rows = [
        {"id": f"{script}{n}", "prediction": text[: 9 + n % 9], "reference": f"{text} {n}"}
        for script, text in (
            ("zh", "先还清利率最高的贷款，然后再储蓄。"),
            ("ar", "سدد القرض الأغلى أولاً ثم ادخر المال"),
        )
        for n in range(50)
    ]
    path, metrics = write(tmp_path / "rows.jsonl", rows), ["rouge", "bleu", "f1"]
    side = read_side(path, metrics)
    assert side.notes[0].startswith("100 of 100 references are not in Latin script, and ROUGE, BLEU and token F1")
    values = [(score.values[name], score.unscored.get(name)) for score in side.scores for name in score.values]
    assert all((value is None) == bool(why) and value != 0 for value, why in values)
    assert {name for score in side.scores[50:] for name in score.unscored} == {"rouge1", "rouge2", "rougeL"}
    side = read_side(path, metrics, tokenizer="unicode")
    assert (side.notes, {why for score in side.scores for why in score.unscored}) == ((), set())
    assert all(value for score in side.scores for value in score.values.values())
    golden = BLEU(tokenize="zh", effective_order=True)
    for row, score in zip(rows, read_side(path, ["bleu"], tokenizer="zh").scores, strict=True):
        expected = golden.sentence_score(row["prediction"], [row["reference"]]).score
        assert score.values["bleu"] == pytest.approx(expected, abs=1e-9)


def test_a_tokenizer_is_refused_where_nothing_is_scored(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", [{"id": str(i), "f1": 0.5} for i in range(12)])
    with pytest.raises(UsageError, match="`--tokenizer` is for answers that are scored here"):
        read_sides(path, path, None, tokenizer="zh")
    with pytest.raises(UsageError, match="`--tokenizer` must be one of 13a, intl"):
        read_sides(path, path, None, tokenizer="jieba")


def test_numbers_that_are_written_as_texts_are_named(tmp_path: Path) -> None:
    rows = [{"id": i, "f1": 0.5, "acc": "0.53", "kind": "tax"} for i in range(9)]
    side = read_side(write(tmp_path / "s.jsonl", rows), None)
    assert list(side.metrics) == ["f1"]
    assert side.notes == ("s.jsonl: acc left out, for its values are texts, not numbers: '0.53'.",)
    texts_alone = write(tmp_path / "t.jsonl", [{"id": i, "f1": "0.5"} for i in range(9)])
    with pytest.raises(ComparisonError, match=r"t has no metric; .*f1 left out, for its values are texts, not numbers"):
        compare_sides(texts_alone, texts_alone)


def test_rows_without_ids_are_paired_by_position_where_the_references_are_the_same(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.jsonl", bare()), write(tmp_path / "b.jsonl", bare())
    before, after = read_sides(one, other, ["f1"])
    assert [score.id for score in before.scores] == [score.id for score in after.scores] == [*map(str, range(1, 13))]
    note = "Neither side has ids: 12 rows are paired by their position, at which both have the same reference."
    assert after.notes[0] == note


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (bare(rows=11), "there are 12 and 11"),
        (bare(label="another"), "in row 1 the reference differs"),
        (bare(prefix="p"), "in row 1 the question differs"),
        (bare()[::-1], "in row 1 the question differs"),
        ([{"f1": 0.5}] * 12, "only where both have references"),
        (texts(), "must have lines of JSON with an id"),
    ],
)
def test_rows_without_ids_whose_order_may_be_another_are_refused(tmp_path: Path, other: list, why: str) -> None:
    sides = write(tmp_path / "a.jsonl", bare()), write(tmp_path / "b.jsonl", other)
    for one, two in (sides, sides[::-1]):
        with pytest.raises(ComparisonError, match=r"must have lines of JSON with an id") as error:
            read_sides(one, two, None if "f1" in other[0] else ["f1"])
        assert why.replace("12 and 11", "1") in str(error.value)


SCORE = {"id": "1", "f1": 0.5}
LOG = {"doc_id": 1, "doc": {}, "target": "t", "resps": [["r"]], "filter": "none", "metrics": ["acc"], "acc": 1.0}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**SCORE, "id": ["a"]}], "row 1: the id (id) must be text or an integer, got ['a']"),
        ([{**SCORE, "id": True}], "row 1: the id (id) must be text or an integer, got True"),
        ([SCORE, {**SCORE, "id": " "}], "row 2: the id (id) must be text or an integer, got ' '"),
        ([SCORE, {**SCORE, "id": 1}], "row 2: the id 1 is there more than once"),
        ([SCORE, {**SCORE, "id": "2", "f1": True}], "row 2: f1 must be a number, as in other rows, got a truth value"),
        ([{**SCORE, "f1": 10**400}], "row 1: f1 is larger than a number may be"),
        ([{**SCORE, "statistics": {"bleu": [1.0, 2.0]}}], "statistics of bleu"),
        ([{**SCORE, "statistics": {"bleu": [float("nan")] * 10}}], "row 1: the statistics of bleu must be 10 finite"),
        ([{**LOG, "metrics": 3}], "row 1: metrics must be a list of names, got 3"),
        ([{**LOG, "metrics": [3]}], "row 1: metrics must be a list of names, got [3]"),
        ([{**LOG, "doc_id": None}], "row 1: must have a doc_id"),
        ([{"id": 1, "prediction": 3, "reference": "x"}], "got 3 and 'x': write a number as text"),
        ([{"id": 1, "prediction": None, "reference": "x"}], "got None and 'x': write a number as text, and no answer"),
    ],
)
def test_lines_that_may_be_meant_otherwise_are_refused(tmp_path: Path, rows: list, said: str) -> None:
    with pytest.raises(ComparisonError) as error:
        read_side(write(tmp_path / "s.jsonl", rows), None)
    assert said in str(error.value)


def test_truth_values_alone_are_0_and_1(tmp_path: Path) -> None:
    rows = [{"id": n, "acc": value} for n, value in enumerate((True, False, 1, 0.0))]
    assert [score.values["acc"] for score in read_side(write(tmp_path / "s.jsonl", rows), None).scores] == [1, 0, 1, 0]


def test_numbers_nested_in_an_object_are_named_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", [{"id": n, "scores": {"f1": 1}} for n in range(3)])
    with pytest.raises(ComparisonError, match="scores left out, for its numbers are nested: write each as a column"):
        compare_sides(path, path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"id": 1, "f1": 1}]', "a list or a table must be converted to such lines"),
        (b"id,f1\n1,0.5\n", "a list or a table must be converted to such lines"),
        (b'{"id": 1, "f1": 0.5}\n{"id": 2, "f1"', "line 2"),
        (b"\xff\xfe{\x00", "UTF-16"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"[" * 100_000, "line 1: it is nested too deeply"),
        (b'{"id": 1, "id": 2}', "line 1: the key 'id' is there twice"),
        (b"\n \n", "an empty file"),
    ],
)
def test_a_file_of_anything_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(content)
    with pytest.raises(LoraLiftError, match=r"s\.jsonl") as error:
        read_side(path, None)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "row",
    [{"scoring_details": None}, {"metadata": 3}, {"scoring_details": {"f1": []}}, {"repeat": "x"}, {"repeat": {}}],
)
def test_results_of_nel_that_are_none_are_one_line(tmp_path: Path, row: dict) -> None:
    fine = {"problem_idx": 1, "repeat": 0, "scoring_details": {"f1": 0.5}, "metadata": {"id": "a"}}
    write(tmp_path / "results.jsonl", [fine, {**fine, "problem_idx": 2, **row}])
    with pytest.raises(LoraLiftError):
        compare_sides(tmp_path, tmp_path)
