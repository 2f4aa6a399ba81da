"""Tables that pandas 3.1 wrote, and what a cell says."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralift.errors import ComparisonError, LoraLiftError, MissingExtraError
from loralift.workflow.compare_inputs import compare_sides
from loralift.workflow.sides.contents import read_content
from loralift.workflow.sides.reading import read_side

HERE = Path(__file__).parent / "logs" / "pandas"


def written(tmp_path: Path, text: str, name: str = "a.csv") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_scores_goes_to_a_verdict(suffix: str) -> None:
    base, mine = (read_side(HERE / f"{who}.{suffix}", None) for who in ("base", "mine"))
    # of the index that pandas writes nothing is a metric, and 07 in a column of words is no number either
    assert list(base.metrics) == ["exact_match", "f1"]
    assert sum(score.values["exact_match"] or 0 for score in base.scores) / 12 == 0.25
    assert [score.values["f1"] for score in mine.scores] == [0.5] * 4 + [None] + [0.5] * 6 + [0.0]
    comparison, _ = compare_sides(HERE / f"base.{suffix}", HERE / f"mine.{suffix}")
    (row, other) = comparison.rows
    assert (row.metric, row.n, row.wins, row.losses, other.n) == ("exact_match", 12, 8, 0, 11)
    assert list(comparison.verdicts.values()) == ["better"]


def test_both_formats_are_the_same_side() -> None:
    one, other = (read_side(HERE / f"mine.{suffix}", None) for suffix in ("csv", "parquet"))
    assert (one.scores, one.metrics, one.documents) == (other.scores, other.metrics, other.documents)


def test_answers_of_a_table_are_texts_though_they_look_like_numbers() -> None:
    side = read_side(HERE / "base_answers.csv", ["exact_match"])
    assert side.examples is not None
    assert [(one.question.reference, one.answer.text) for one in side.examples()][4:6] == [
        ("cold", "cold"),
        ("6", "I do not know"),
    ]
    assert sum(score.values["exact_match"] or 0 for score in side.scores) == 3
    comparison, _ = compare_sides(HERE / "base_answers.csv", HERE / "mine_answers.csv", ["exact_match"])
    assert (comparison.rows[0].n, list(comparison.verdicts.values())) == (12, ["better"])


def test_an_empty_answer_is_said_since_a_table_has_no_null(tmp_path: Path) -> None:
    path = written(tmp_path, "id\tprediction\treference\n1\t07\t07\n2\t\t7\n", "a.tsv")
    side = read_side(path, ["exact_match"])
    assert [score.values["exact_match"] for score in side.scores] == [1.0, 0.0]
    assert side.notes == ("a.tsv: 1 cells of prediction are empty, and read as empty answers.",)


def test_cells_of_scores(tmp_path: Path) -> None:
    path = written(tmp_path, "id,a,b,c,d\n01,1,True,-.5e-1,x\n02,,false,nan,7x\n")
    assert dict(read_content(path).rows[0]) == {"id": "01", "a": 1.0, "b": True, "c": -0.05, "d": "x"}
    side = read_side(path, None)
    assert [score.id for score in side.scores] == ["01", "02"]
    assert [score.values["a"] for score in side.scores] == [1.0, None]
    assert list(side.metrics) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,f1\n1,0.5\n2,high\n", "a.csv, row 2: f1 must be a number or null, as in other rows, got 'high'"),
        ("id,f1\n1,0.5\n2,0.5,0.5\n", "line 3: 3 cells under a header of 2"),
        ("id,f1\n1,0.5\n1,0.5\n", "the id 1 is there more than once"),
        ("id,f1\n1,0.5\n,0.5\n", "must have lines"),
        ("id,f1,f1\n1,0.5,0.5\n", "the column 'f1' is there twice"),
        ("id,f1\n", "an empty file"),
        ("", "an empty file"),
        ('id,f1\n1,"0.5\n', "line"),
        ("id;f1\n1;0.5\n", "a.csv has one column, 'id;f1': separate cells by commas"),
    ],
)
def test_a_spoiled_table_is_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(LoraLiftError, match=said) as error:
        read_side(written(tmp_path, text), None)
    assert "\n" not in str(error.value)


def test_a_torn_parquet_is_refused_and_one_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn = tmp_path / "torn.parquet"
    torn.write_bytes((HERE / "base.parquet").read_bytes()[:900])
    with pytest.raises(LoraLiftError, match=r"cannot read .*torn.parquet"):
        read_side(torn, None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"base.parquet, a parquet, needs .* 'loralift\[run\]'"):
        read_side(HERE / "base.parquet", None)


def test_one_object_that_is_no_log_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, '{\n "f1": 0.5\n}\n', "a.json")
    with pytest.raises(ComparisonError, match=r"a.json holds f1, and is no log of a tool that is known"):
        read_side(path, None)
    with pytest.raises(LoraLiftError, match=r"a.json: not JSON: .* at line 2, column 9: it must be JSON lines, or"):
        read_side(written(tmp_path, '{\n "f1": 0.', "a.json"), None)
