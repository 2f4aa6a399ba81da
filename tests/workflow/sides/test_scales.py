"""Two sides on two scales are never subtracted; what is declared is believed, and nothing else."""

from __future__ import annotations

from math import inf, nan

import pytest

from loralift.errors import ComparisonError, UsageError
from loralift.records import Score
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.scales import Scaled, on_one_scale, parse_scale
from loralift.workflow.sides.side import Side


def side(name: str, metric: str, values: list[float | None], *, ours: bool = False) -> Side:
    scores = [Score(str(i), {metric: value}) for i, value in enumerate(values)]
    return Side(name, scores, {metric: column_info(metric)}, ours=ours)


def scaled(metric: str, before: list, after: list, declared: dict | None = None, ours: str = "") -> Scaled:
    sides = side("old", metric, before, ours="old" in ours), side("new", metric, after, ours="new" in ours)
    return on_one_scale(*sides, {metric: column_info(metric)}, declared or {})


def values(found: Side) -> list[float | None]:
    return [next(iter(score.values.values())) for score in found.scores]


@pytest.mark.parametrize(
    ("metric", "before", "after"),
    [
        ("rougeL", [0.4, 0.5], [35.5, 38.2]),
        ("f1", [40.0, 50.0], [0.4, 0.5]),
        ("exact_match", [0, 1, 1], [0, 100, 100]),
        ("bleu", [0.3, 0.4], [31.0, 12.0]),
        ("chrf", [51.0, 60.0], [0.5, 0.6]),
        ("accuracy", [0.7, 0.8], [71.0, 69.0]),
        ("pass@1", [0.0, 1.0], [0.0, 100.0]),
        ("wer", [0.2, 0.3], [20.0, 31.0]),
        ("bert_score", [0.85, 0.9], [-0.2, 0.4]),
        ("score", [0.2, 0.3], [2.0, 3.0]),
        ("latency", [0.5, 0.7], [500.0, 700.0]),
        ("mcc", [-0.5, 0.5], [40.0, 50.0]),
    ],
)
def test_one_side_within_0_to_1_beside_one_that_is_not_names_both(metric: str, before: list, after: list) -> None:
    with pytest.raises(ComparisonError, match=rf"^{metric} is .* in old and .* in new, which look like two scales"):
        scaled(metric, before, after)


@pytest.mark.parametrize(
    ("metric", "before", "after"),
    [
        ("rougeL", [0.4, 1.0], [0.0, 0.5]),
        ("bleu", [30.0, 0.2], [12.0, 40.0]),
        ("bleu", [0.0, 0.0], [12.0, 40.0]),  # 0 is 0 on every scale
        ("accuracy", [70.0, 80.0], [71.0, 69.0]),
        ("exact_match", [0, 0], [1, 0]),
        ("eval_loss", [0.8, 0.9], [1.1, 1.4]),
        ("perplexity", [3.0, 9.0], [1.0, 1.2]),
        ("log_likelihood", [-20.0, -0.1], [-10.0, 0.0]),
        ("semantic_similarity", [0.4, 0.5], [-0.1, 0.5]),
        ("f1", [0.4, None], [nan, 0.5]),
        ("f1", [0.4, 1.0 + 1e-12], [0.3, 0.5]),
    ],
)
def test_what_is_on_one_scale_stays_as_it_is(metric: str, before: list, after: list) -> None:
    found = scaled(metric, before, after)
    assert found.before.scores == side("old", metric, before).scores or nan in after
    assert found.notes.get(metric, ()) == ()


@pytest.mark.parametrize(
    ("metric", "before", "after", "beyond"),
    [
        ("f1", [0.4, 1.7], [0.5, 1.6], "0-1"),
        ("rougeL", [35.5, 40.0], [36.0, 39.0], "0-1"),
        ("bleu", [-3.0, 12.0], [12.0, 13.0], "0-100"),
        ("perplexity", [0.4, 0.9], [0.5, 0.8], "1-inf"),
        ("bert_score", [-1.5, 0.2], [-0.2, 0.3], "-1-1"),
        ("accuracy", [-5.0, 70.0], [60.0, 70.0], "0-100"),
        ("ROUGE-L", [35.5, 40.0], [36.0, 39.0], "0-1"),
    ],
)
def test_a_value_beyond_its_metrics_range_is_refused(metric: str, before: list, after: list, beyond: str) -> None:
    with pytest.raises(
        ComparisonError, match=rf"^{metric} is .* in old, beyond its range of {beyond}: .*--scale baseline:{metric}="
    ):
        scaled(metric, before, after)


def test_what_is_declared_alike_stays_as_it_is() -> None:
    found = scaled("rougeL", [35.5, 40.0], [36.0, 39.0], {"rougeL": (0, 100)})
    assert (values(found.before), values(found.after)) == ([35.5, 40.0], [36.0, 39.0])
    assert (found.metrics["rougeL"].low, found.metrics["rougeL"].high, found.notes["rougeL"]) == (0.0, 100.0, ())
    found = scaled("latency", [0.5, 0.7], [500.0, 700.0], {"latency": (0, inf)})
    assert (found.metrics["latency"].high, values(found.after)) == (None, [500.0, 700.0])


@pytest.mark.parametrize(
    ("metric", "before", "after", "declared", "expected"),
    [
        ("rougeL", [0.4, 0.5], [35.5, 40.0], {"candidate:rougeL": (0, 100)}, ([0.4, 0.5], [0.355, 0.4])),
        ("rougeL", [40, 50], [0.4, 0.5], {"baseline:rougeL": (0, 100)}, ([0.4, 0.5], [0.4, 0.5])),
        ("bleu", [0.4, 0.5], [30, 40], {"baseline:bleu": (0, 1), "candidate:bleu": (0, 100)}, ([40, 50], [30, 40])),
        ("bleu", [0.4, 0.5], [30, 40], {"baseline:bleu": (0, 1)}, ([40, 50], [30, 40])),
        ("accuracy", [0.7, 0.8], [71, 69], {"candidate:accuracy": (0, 100)}, ([0.7, 0.8], [0.71, 0.69])),
        ("quality", [1, 5], [0, 50], {"baseline:quality": (1, 5), "candidate:quality": (0, 100)}, ([1, 5], [1, 3])),
    ],
)
def test_one_side_is_brought_onto_the_others_scale(
    metric: str, before: list, after: list, declared: dict, expected: tuple
) -> None:
    found = scaled(metric, before, after, declared)
    assert values(found.before) == pytest.approx(expected[0])
    assert values(found.after) == pytest.approx(expected[1])
    assert len(found.notes[metric]) == 1
    assert f"{metric} of " in found.notes[metric][0]


def test_bleu_within_0_to_1_on_both_sides_is_read_so_and_said_to_be() -> None:
    found = scaled("bleu", [0.3, 0.4], [0.1, 0.2])
    assert (found.metrics["bleu"].high, found.metrics["bleu"].decimals, found.assumed) == (1.0, 3, {"bleu"})
    assert "its scale is taken to be 0-1, not 0-100; --scale bleu=0-100 says otherwise" in found.notes["bleu"][0]
    declared = scaled("bleu", [0.3, 0.4], [0.1, 0.2], {"bleu": (0, 100)})
    assert (declared.metrics["bleu"].high, declared.assumed, declared.notes["bleu"]) == (100.0, frozenset(), ())
    assert scaled("bleu", [0.0, 0.0], [0.0, 0.0]).notes["bleu"] == ()


def test_a_typical_value_many_times_the_others_is_doubted() -> None:
    (doubt,) = scaled("latency", [1.5, 1.7], [1500.0, 1700.0]).notes["latency"]
    assert "1e+03 times the other's" in doubt
    assert "are both in one unit?" in doubt


def test_beside_what_we_scored_another_tools_scores_must_be_on_our_scale() -> None:
    for ours in ("old", "new"):
        with pytest.raises(ComparisonError, match="beyond its range of 0-1"):
            scaled(
                "rougeL", [0.4, 35.5] if ours == "new" else [0.4], [0.4, 35.5] if ours == "old" else [0.4], ours=ours
            )
    with pytest.raises(ComparisonError, match="two scales"):
        scaled("bleu", [0.4, 0.9], [0.3, 0.5], ours="old")  # a bad model's BLEU, or a good one's on another scale?
    assert scaled("bleu", [0.4, 0.9], [0.3, 5.0], ours="old").notes["bleu"] == ()
    assert values(scaled("bleu", [40.0], [0.3], {"candidate:bleu": (0, 1)}, ours="old").after) == [30.0]
    assert scaled("bleu", [0.4, 0.9], [0.3, 0.5], ours="old new").notes == {}
    with pytest.raises(UsageError, match="must be 0-1 in old, which LoraLift scored, got 0-100; candidate:rougeL=… is"):
        scaled("rougeL", [0.4], [40.0], {"rougeL": (0, 100)}, ours="old")


def test_scores_with_our_statistics_are_on_our_scale() -> None:
    sides = [side(name, "bleu", [0.3, 0.4]) for name in ("old", "new")]
    for one in sides:
        one.scores[:] = [Score(score.id, score.values, {"bleu": (1.0,)}) for score in one.scores]
    found = on_one_scale(*sides, {"bleu": column_info("bleu")}, {})
    assert (found.metrics["bleu"].high, found.notes["bleu"]) == (100.0, ())


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"rouge": (0, 1)}, r"`--scale` must be of a metric that both sides have \(rougeL\), got 'rouge'"),
        ({"rougeL": (0, 0.3)}, "`--scale` of rougeL must hold all its values, 0.4 to 0.4 in old, got 0-0.3"),
        ({"rougeL": (1, 0)}, "`--scale` must be METRIC=LOW-HIGH"),
        ({"candidate:rougeL": (0, inf)}, "must have two ends on both sides"),
    ],
)
def test_scales_that_cannot_be_are_refused(declared: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        scaled("rougeL", [0.4], [0.5], declared)


def test_a_foreign_metric_needs_both_scales_where_one_cannot_be_told() -> None:
    with pytest.raises(
        ComparisonError, match="beside a declared scale of new, give --scale baseline:accuracy=LOW-HIGH"
    ):
        scaled("accuracy", [70.0], [0.5], {"candidate:accuracy": (0, 1)})


def test_a_metric_without_a_direction_is_not_judged_and_its_scale_not_looked_at() -> None:
    assert scaled("quality", [0.5, 0.6], [50.0, 60.0]).notes == {}


def test_several_metrics_are_told_in_one_line() -> None:
    before, after = (
        Side(name, [Score("1", {"f1": value, "rougeL": value})], {}) for name, value in (("old", 0.4), ("new", 40.0))
    )
    with pytest.raises(ComparisonError, match=r"^f1 is .*\(likewise rougeL\)$"):
        on_one_scale(before, after, {name: column_info(name) for name in ("f1", "rougeL")}, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rougeL=0-100", ("rougeL", (0.0, 100.0))),
        ("baseline:rougeL=0-1", ("baseline:rougeL", (0.0, 1.0))),
        ("cosine=-1-1", ("cosine", (-1.0, 1.0))),
        ("loss=-2.5..0", ("loss", (-2.5, 0.0))),
        ("latency=0-inf", ("latency", (0.0, inf))),
    ],
)
def test_scales_as_they_are_written(text: str, expected: tuple) -> None:
    assert parse_scale(text) == expected


@pytest.mark.parametrize(
    "text", ["rougeL", "rougeL=100", "=0-1", "rougeL=1-0", "rougeL=a-b", "rougeL=0-1-2", "rougeL="]
)
def test_no_scale_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="`--scale` must be METRIC=LOW-HIGH"):
        parse_scale(text)


def test_a_tools_minus_one_for_no_value_is_no_latency() -> None:
    with pytest.raises(
        ComparisonError, match=r"-1 to 120 in new, beyond its range of 0-inf.* write null where there is"
    ):
        scaled("latency_ms", [100.0, 110.0, 130.0], [120.0, -1, -1])
    assert scaled("val_loss", [2.0, 3.0], [-1.0, 3.0]).notes["val_loss"] == ()
