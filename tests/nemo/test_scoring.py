from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from loralift.errors import LoraLiftError, ModelError, UsageError
from loralift.metrics import METRICS, MetricSettings, score_examples
from loralift.nemo.bundles import write_bundles
from loralift.nemo.paired_tests import sdk_paired_tests
from loralift.nemo.scoring import score_recorded
from loralift.nemo.summaries import summarise_all
from loralift.records import Answer, Example, Question, ReferenceLikelihood, Score

SETTINGS = MetricSettings()
NAMES = ("f1", "rouge1", "bleu", "perplexity", "answer_words")


def examples(n: int = 40) -> list[Example]:
    words = ["the", "bank", "pays", "interest", "on", "every", "deposit", "that", "is", "held", "for", "a", "year"]
    return [
        Example(
            Question(f"q{i}", "What does it pay?", " ".join(words[: 3 + i % 9])),
            Answer(f"q{i}", " ".join(words[i % 5 :]) if i % 7 else "", "stop", 10, 5, 0.1),
            ReferenceLikelihood(f"q{i}", -2.0 * i if i % 5 else None, 4),
        )
        for i in range(n)
    ]


def test_the_sdk_gives_the_scores_that_the_metrics_give() -> None:
    rows = examples()
    scores, bundle = score_recorded(rows, NAMES, SETTINGS, primary="f1", benchmark="bank")
    assert scores == score_examples(NAMES, rows, SETTINGS)
    assert bundle["benchmark"]["name"] == "bank"
    assert bundle["n_results"] == 40
    mean = sum(score.values["f1"] or 0.0 for score in scores) / 40
    assert bundle["benchmark"]["scores"]["mean_reward"]["value"] == pytest.approx(mean, abs=1e-4)


def test_it_runs_where_an_event_loop_runs_already() -> None:
    async def notebook() -> list[Score]:
        return score_recorded(examples(3), NAMES, SETTINGS, primary="f1")[0]

    assert asyncio.run(notebook()) == score_examples(NAMES, examples(3), SETTINGS)


def test_what_a_metric_raises_comes_as_it_was_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(names: object, rows: object, settings: object) -> list[Score]:
        raise ModelError("no such embedding model")

    monkeypatch.setattr("loralift.nemo.scoring.score_examples", broken)
    with pytest.raises(LoraLiftError, match=r"^no such embedding model$"):
        score_recorded(examples(3), NAMES, SETTINGS, primary="f1")


def test_each_judged_metric_has_a_bundle_without_the_rows_that_could_not_be_scored(tmp_path: Path) -> None:
    scores, bundle = score_recorded(examples(), NAMES, SETTINGS, primary="f1", benchmark="my bank")
    infos = {name: METRICS[name].info(SETTINGS) for name in NAMES}
    summaries = summarise_all(scores, infos, seed=0)
    for _ in range(2):  # a second time takes the place of the first
        paths = write_bundles(tmp_path / "base", bundle, scores, summaries, infos)
    assert [path.parent.name for path in paths] == [f"my_bank.{name}" for name in NAMES[:-1]]
    assert all(len(list(path.parent.glob("eval-*.json"))) == 1 for path in paths)
    perplexity = json.loads(paths[-1].read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (paths[-1].parent / "results.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == perplexity["benchmark"]["samples"] == 32
    by_row = {row["problem_idx"]: row["reward"] for row in rows}
    assert by_row == {i: s.values["perplexity"] for i, s in enumerate(scores) if s.values["perplexity"] is not None}
    assert perplexity["benchmark"]["scores"]["mean_reward"]["value"] == summaries["perplexity"].value


def test_the_sdks_tests_see_a_drop_that_its_verdict_passes() -> None:
    infos = {"f1": METRICS["f1"].info(SETTINGS), "perplexity": METRICS["perplexity"].info(SETTINGS)}
    base = [Score(str(i), {"f1": 0.70 + 0.001 * (i % 7), "perplexity": 8.0 + i % 5}) for i in range(60)]
    worse = [Score(str(i), {"f1": 0.49 + 0.001 * (i % 5), "perplexity": 6.0 + i % 5}) for i in range(60)]
    f1, perplexity = sdk_paired_tests(base, {"bad": worse}, infos)
    assert f1.test == "permutation"
    assert f1.p_degradation is not None
    assert f1.p_degradation < 0.001
    assert f1.p_improvement is not None
    assert f1.p_improvement > 0.9
    assert perplexity.p_improvement is not None
    assert perplexity.p_improvement < 0.001  # lower is better


def test_the_sdks_test_of_a_binary_metric_is_mcnemars_at_any_median() -> None:
    info = {"exact_match": METRICS["exact_match"].info(SETTINGS)}
    base = [Score(str(i), {"exact_match": 1.0}) for i in range(40)]
    worse = [Score(str(i), {"exact_match": float(i >= 15)}) for i in range(40)]
    (test,) = sdk_paired_tests(base, {"bad": worse}, info)
    assert test.test == "mcnemar"
    assert test.p_degradation == pytest.approx(0.5**15, abs=1e-6)
    assert test.p_improvement == 1.0


def test_values_that_are_no_numbers_are_left_out_as_in_our_own_comparison() -> None:
    info = {"f1": METRICS["f1"].info(SETTINGS)}
    base = [Score(str(i), {"f1": 0.01 * i}) for i in range(40)]
    strange = [float("nan"), float("inf"), 1e200]
    worse = [Score(str(i), {"f1": 0.005 * i}) for i in range(40)]
    (right,) = sdk_paired_tests(base[3:], {"bad": worse[3:]}, info)
    damaged = [Score(str(i), {"f1": value}) for i, value in enumerate(strange)] + worse[3:]
    assert sdk_paired_tests(base, {"bad": damaged}, info) == (right,)


def test_too_few_pairs_are_said_to_be_too_few() -> None:
    info = {"f1": METRICS["f1"].info(SETTINGS)}
    few = [Score(str(i), {"f1": 0.1 * i}) for i in range(5)]
    (test,) = sdk_paired_tests(few, {"few": few}, info)
    assert test.p_degradation is None
    assert "5 pairs" in test.note


def test_a_reward_that_cannot_see_the_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK would take "not scored" for 0."""
    from loralift.nemo.benchmark import LoraLiftBenchmark

    data = tmp_path / "data.jsonl"
    data.write_text('{"id": "1", "question": "为什么？", "reference": "先还清贷款。"}\n', encoding="utf-8")
    monkeypatch.setenv("LORALIFT_DATASET", str(data))
    monkeypatch.setenv("LORALIFT_METRICS", "rougeL,chrf")
    with pytest.raises(UsageError, match=r"`LORALIFT_PRIMARY` must be a metric that sees the data.*got 'rougeL'"):
        LoraLiftBenchmark()
    monkeypatch.setenv("LORALIFT_PRIMARY", "chrf")
    assert LoraLiftBenchmark().primary == "chrf"
