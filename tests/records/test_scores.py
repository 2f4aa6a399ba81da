"""Scores by column are the scores by row."""

from __future__ import annotations

import math
import pickle
import random

import numpy as np
import pytest

from loralift.records import ById, Ids, Score, Scores
from loralift.records import scores as scores_module


def made(count: int, seed: int = 0) -> list[Score]:
    """Rows of every kind: unscored with and without a reason, without a metric, with statistics and without."""
    draw, rows = random.Random(seed), []
    for _ in range(count):
        values = {name: draw.choice([None, 0.0, 1.0, draw.random()]) for name in ("f1", "bleu", "words")}
        if draw.random() < 0.2:
            del values["words"]
        statistics = {"bleu": (draw.random(), 2.0)} if values["bleu"] is not None else {}
        unscored = (
            {"f1": draw.choice(["it is blank", "no answer"])} if values["f1"] is None and draw.random() < 0.7 else {}
        )
        rows.append(Score(f"q{draw.random()}", values, statistics, unscored))
    return rows


@pytest.fixture(params=[10_000, 7], ids=["one block", "many blocks, in a file"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows stand together."""
    monkeypatch.setattr(scores_module, "BLOCK", request.param)


def test_they_are_the_rows(block: None) -> None:
    rows = made(50)
    found = Scores.of(rows)
    assert list(found) == rows
    assert found == rows
    assert [found[place] for place in (0, 20, 49, -1)] == [rows[place] for place in (0, 20, 49, -1)]
    assert list(found[10:30:3]) == rows[10:30:3]
    assert list(found.sorted) == sorted(rows, key=lambda row: row.id)
    assert list(found.sorted.take(np.array([3, 1]))) == [
        sorted(rows, key=lambda row: row.id)[place] for place in (3, 1)
    ]
    assert Scores.of(found) is found
    assert list(pickle.loads(pickle.dumps(found))) == rows


def test_columns_are_those_of_the_rows(block: None) -> None:
    rows = made(50)
    found = Scores.of(rows)
    for name in ("f1", "bleu", "words", "unknown"):
        values = [row.values.get(name) for row in rows]
        assert [None if math.isnan(value) else value for value in found.values(name).tolist()] == values
        assert found.absent(name).tolist() == [name not in row.values for row in rows]
        numbers, said = found.reasons(name)
        assert [said[number] for number in numbers] == [row.unscored.get(name, "") for row in rows]
    statistics = found.statistics("bleu")
    assert statistics is not None
    assert [tuple(of) if not math.isnan(of[0]) else None for of in statistics.tolist()] == [
        row.statistics.get("bleu") for row in rows
    ]
    assert found.statistics("f1") is None


def test_no_rows_have_no_columns() -> None:
    found = Scores.of([])
    assert (len(found), list(found), found.metrics, found.values("f1").size) == (0, [], (), 0)


def test_some_rows_are_laid_over_others(block: None) -> None:
    rows = made(40)
    others = [Score(row.id, {"f1": 0.25, "bleu": None}, {}, {"bleu": "cut"}) for row in rows[5:35:3]]
    found = Scores.of(rows).overlaid(Scores.of(others), kept=("words", "unknown"))
    changed = {row.id: row for row in others}
    for row, mixed in zip(rows, found, strict=True):
        wanted = changed.get(row.id, row)
        assert mixed.values.get("f1") == wanted.values["f1"]
        assert mixed.values.get("bleu") == wanted.values["bleu"]
        assert mixed.values.get("words") == row.values.get("words")
        assert mixed.unscored.get("bleu", "") == wanted.unscored.get("bleu", "")
        assert mixed.unscored.get("f1", "") == wanted.unscored.get("f1", "")
        assert mixed.statistics == wanted.statistics
    with pytest.raises(ValueError, match="other rows"):
        Scores.of(rows).overlaid(Scores.of([Score("strange", {})]), kept=())


def test_ids_are_shared_found_and_sorted_as_text() -> None:
    names = ["b", "a", "é", "\ud83d", "a\0", "q10", "q9", ""]
    ids = Ids.of(iter(names))
    assert Ids.of(list(names)) is ids
    assert pickle.loads(pickle.dumps(ids)) is ids
    assert list(ids.sorted) == sorted(names)
    assert [ids.place(name) for name in (*names, "c")] == [*range(len(names)), -1]
    other = Ids.of(["a", "nowhere", "b"])
    assert ids.places_of(other).tolist() == [1, -1, 0]
    assert ids.places_of(ids.sorted).tolist() == ids.order.tolist()
    assert ids.twice == ()
    assert Ids.of(["a", "b", "a", "a"]).twice == (2, 3)
    assert list(pickle.loads(pickle.dumps(ids.sorted))) == sorted(names)


def test_rows_are_found_by_their_ids_in_any_order() -> None:
    names = [f"q{place}" for place in range(20)]
    found = ById(Ids.of(names), list(range(20)))
    order = [3, 4, 5, 19, 0, 0, 7]
    assert [found[f"q{place}"] for place in order] == order
    assert ("q3" in found, "q20" in found, 3 in found) == (True, False, False)
    assert dict(found) == {name: place for place, name in enumerate(names)}
    assert list(found.in_order(Ids.of(["q9", "q2"]))) == [9, 2]
    with pytest.raises(KeyError):
        found["q20"]
