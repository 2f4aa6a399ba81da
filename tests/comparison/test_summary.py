"""Many metrics at once: what one summary says does not depend on the others."""

from __future__ import annotations

import numpy as np

from loralift.comparison import summaries, summarise
from loralift.records import MetricInfo, Score

INFOS = {name: MetricInfo(name, name) for name in ("one", "other", "right", "nothing", "corpus")}
AGGREGATES = {"corpus": lambda sums: sums[..., 0] / sums[..., 1]}


def scores(n):
    draw = np.random.default_rng(0)
    return [
        Score(
            f"q{i}",
            {
                "one": float(draw.beta(2, 5)),
                "other": None if i % 9 == 0 else float(draw.gamma(2)),
                "right": float(draw.random() < 0.3),
                "nothing": None,
                "corpus": 1.0,
            },
            {"corpus": (float(draw.gamma(3)), 1.0 + i % 4)},
        )
        for i in range(n)
    ]


def test_each_is_to_the_bit_what_it_is_alone():
    for n in (40, 1200):  # percentiles of a corpus metric, and BCa of all
        rows = scores(n)
        together = summaries(rows, INFOS, AGGREGATES, seed=3, resamples=300)
        for name, info in INFOS.items():
            assert together[name] == summarise(rows, info, AGGREGATES.get(name), seed=3, resamples=300)
        assert together["corpus"].interval is not None
        assert together["nothing"].n == 0


def test_why_rows_are_unscored_is_counted():
    info = MetricInfo("one", "One")
    rows = [Score(f"q{i}", {"one": i / 9}) for i in range(4)]
    rows += [Score(f"q{i}", {"one": None}, unscored={"one": "too little"}) for i in range(4, 6)]
    rows += [Score("q6", {"one": None})]
    found = summarise(rows, info)
    assert (found.n, found.unscored, found.reasons) == (4, 3, {"too little": 2})
    assert summarise(rows[4:], info).reasons == {"too little": 2}
