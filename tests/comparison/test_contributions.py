"""A difference parted by which answers of a pair are sound."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from loralift.comparison import Settings, compare, contributions, question_of
from loralift.records import PAIR_KINDS, MetricInfo, Score

INFO = MetricInfo("f1", "F1", margin=0.01)
FLAGS = ("empty", "repeating")
SETTINGS = Settings("f1", resamples=200)


def rows(seed: int, failing: float, count: int = 60, repeats: int = 1) -> list[Score]:
    chosen = random.Random(seed)
    found = []
    for n in range(count):
        for k in range(repeats):
            flags = {"empty": float(chosen.random() < failing), "repeating": float(chosen.random() < failing)}
            name = f"q{n}" if repeats == 1 else f"q{n}#{k}"
            found.append(Score(name, {"f1": chosen.random(), **flags}))
    return found


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("unscored", [0, 5])
def test_the_parts_sum_to_the_difference(repeats: int, unscored: int) -> None:
    base, mine = rows(1, 0.3, repeats=repeats), rows(2, 0.1, repeats=repeats)
    mine = [replace(row, values={**row.values, "f1": None}) if n < unscored else row for n, row in enumerate(mine)]
    clusters = question_of if repeats > 1 else None
    parts = contributions(base, {"mine": mine}, INFO, FLAGS, SETTINGS, clusters=clusters)
    whole = compare("base", base, {"mine": mine}, {"f1": INFO}, SETTINGS, clusters=clusters).rows[0]
    assert [part.kind for part in parts] == list(PAIR_KINDS)
    assert sum(part.contribution for part in parts) == pytest.approx(whole.difference, abs=1e-12)
    assert sum(part.rows for part in parts) == whole.answers == 60 * repeats - unscored
    assert sum(part.share for part in parts) == pytest.approx(1)


def test_each_pair_counts_where_its_answers_say() -> None:
    flags = [(0, 0), (0, 0), (1, 0), (0, 1), (1, 1)]
    base = [Score(str(n), {"f1": 0.5, "empty": float(one)}) for n, (one, _) in enumerate(flags)]
    gains = (0.1, -0.2, 0.4, -0.5, 0.0)
    mine = [Score(str(n), {"f1": 0.5 + gains[n], "empty": float(other)}) for n, (_, other) in enumerate(flags)]
    found = {
        p.kind: (p.rows, round(p.contribution, 9)) for p in contributions(base, {"m": mine}, INFO, FLAGS, SETTINGS)
    }
    assert found == {
        "both sound": (2, -0.02),
        "only baseline unsound": (1, 0.08),
        "only candidate unsound": (1, -0.1),
        "neither sound": (1, 0.0),
    }


def test_what_has_no_difference_of_single_pairs_or_no_flags_is_not_parted() -> None:
    base, mine = rows(1, 0.3), rows(2, 0.1)
    assert contributions(base, {"m": mine}, replace(INFO, corpus=True), FLAGS, SETTINGS) == ()
    assert contributions(base, {"m": mine}, INFO, ("copied",), SETTINGS) == ()


def test_an_interval_of_a_part_is_that_of_its_mean_over_all_rows() -> None:
    base, mine = rows(3, 0.3), rows(4, 0.1)
    part = contributions(base, {"m": mine}, INFO, FLAGS, SETTINGS)[0]
    sound = [all(row.values[name] == 0 for name in FLAGS for row in both) for both in zip(base, mine, strict=True)]
    alone = [Score(row.id, {"f1": row.values["f1"] * fine}) for row, fine in zip(base, sound, strict=True)]
    other = [Score(row.id, {"f1": row.values["f1"] * fine}) for row, fine in zip(mine, sound, strict=True)]
    wanted = compare("base", alone, {"m": other}, {"f1": INFO}, SETTINGS).rows[0]
    assert (part.contribution, part.interval) == (wanted.difference, wanted.interval)
