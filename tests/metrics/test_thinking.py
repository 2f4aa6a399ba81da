"""Metrics see the answer without its thinking; what never finished thinking has no value, and says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loralift.metrics import METRICS, MetricSettings, score_examples
from loralift.metrics.own import own_metric
from loralift.records import KEPT, UNFINISHED, Answer, Example, Question, ReferenceLikelihood, Thinking

OF_TEXT = ("f1", "bleu", "answer_words", "empty", "repeating", "run_on", "copied_prompt")
OTHERS = ("perplexity", "output_tokens", "thinking_tokens", "truncated", "unfinished")


def examples(*texts: str) -> list[Example]:
    return [
        Example(
            Question(str(n), "Why?", "It is so."),
            Answer(str(n), text, "length", 3, 9, thinking_tokens=4),
            ReferenceLikelihood(str(n), -2.0, 2),
        )
        for n, text in enumerate(texts)
    ]


def test_an_answer_behind_thinking_is_worth_what_it_is_worth_alone() -> None:
    thought, alone = score_examples([*OF_TEXT, *OTHERS], examples("<think>\nloops\n</think>\nIt is so.", "It is so."))
    assert replace(thought, id="1") == alone
    assert thought.values["f1"] == 1.0


@pytest.mark.parametrize("opened", ["", "<think>"])
def test_thinking_before_a_reference_is_parted_too(opened: str) -> None:
    [row] = examples("</think>It is so." if opened else "<think>hm</think>It is so.")
    question = Question("0", "Is it?", "<think>loops\n</think>\n\nIt is so.", others=("No.", "<think>only</think>"))
    settings = MetricSettings(thinking=Thinking(opened=opened))
    (parted,) = score_examples([*OF_TEXT, "perplexity"], [replace(row, question=question)], settings)
    plain = replace(question, reference="It is so.")
    (alone,) = score_examples([*OF_TEXT, "perplexity"], [replace(row, question=plain)], settings)
    assert parted == alone
    assert parted.values["f1"] == 1.0
    (kept,) = score_examples(["exact_match"], [replace(row, question=question)], MetricSettings(thinking=KEPT))
    assert kept.values["exact_match"] == 0.0


def test_what_never_finished_thinking_is_unscored_and_never_0() -> None:
    rows = examples("<think>It is so.", "It is.", "<think>")
    first, answered, last = score_examples([*OF_TEXT, *OTHERS], rows)
    for score in (first, last):
        assert [score.values[name] for name in OF_TEXT] == [None] * len(OF_TEXT)
        assert dict(score.unscored) == dict.fromkeys(OF_TEXT, UNFINISHED)
        assert score.statistics.keys() == {"perplexity"}
        assert [score.values[name] for name in OTHERS] == [2.718281828459045, 9.0, 4.0, 1.0, 1.0]
    assert (answered.values["unfinished"], answered.values["answer_words"]) == (0.0, 2.0)
    assert not answered.unscored


def test_an_empty_answer_behind_thinking_is_an_answer() -> None:
    (score,) = score_examples(["f1", "empty", "unfinished"], examples("<think>It is so.</think>"))
    assert score.values == {"f1": 0.0, "empty": 1.0, "unfinished": 0.0}


def test_kept_thinking_is_scored_and_the_signature_says_so() -> None:
    settings = MetricSettings(thinking=KEPT)
    (score,) = score_examples(["answer_words", "unfinished"], examples("<think>It is so."), settings)
    assert score.values == {"answer_words": 3.0, "unfinished": None}
    assert METRICS["f1"].info(settings).signature == "thinking:kept|" + METRICS["f1"].info(MetricSettings()).signature
    assert "thinking" not in METRICS["perplexity"].info(settings).signature


def test_where_the_prompt_opens_thinking_an_answer_without_a_closing_tag_is_none() -> None:
    settings = MetricSettings(thinking=Thinking(opened="<think>"))
    scores = score_examples(["f1"], examples("It is so.", "hm</think>It is so."), settings)
    assert [score.values["f1"] for score in scores] == [None, 1.0]


def test_a_metric_of_ones_own_sees_answers_alone_and_only_those() -> None:
    seen: list[str] = []

    def said(prediction: str, references: list[str], question: str) -> float:
        """Remember what is asked."""
        seen.append(prediction)
        return 1.0

    metric = own_metric("--metric", said)
    rows = examples("<think>hm</think> Yes.", "<think>hm", "No.")
    scores = score_examples(["said"], rows, MetricSettings(own=(metric,)))
    assert [score.values["said"] for score in scores] == [1.0, None, 1.0]
    assert set(seen) == {"Yes.", "No."}
