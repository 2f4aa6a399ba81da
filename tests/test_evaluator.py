from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

import loralift
from loralift import Evaluator
from loralift.errors import ComparisonError, LoraLiftError, UsageError
from loralift.metrics import MetricSettings
from loralift.records import OF_MODELS, Thinking

REFERENCES = ["The bank pays you interest.", "A bond is a loan.", "Diversify your savings."] * 4
GOOD = ["The bank pays interest to you.", "A bond is a kind of loan.", "You should diversify savings."] * 4
BAD = ["I like cats.", "What is a bond?", "Buy lottery tickets."] * 4


def test_two_lists_of_strings_are_all_it_needs() -> None:
    evaluator = Evaluator(
        metrics=["semantic_similarity", "rouge", "bleu", "f1"],
        semantic_similarity_model="sbert",
        rouge_types=["rouge1", "rougeL"],
        device="cpu",
    )
    result = evaluator.evaluate(predictions=GOOD, references=REFERENCES)
    assert list(result) == ["semantic_similarity", "rouge1", "rougeL", "bleu", "f1"]
    scorer = RougeScorer(["rougeL"])
    rouge = [scorer.score(r, p)["rougeL"].fmeasure for r, p in zip(REFERENCES, GOOD, strict=True)]
    assert result["rougeL"] == pytest.approx(sum(rouge) / len(rouge), abs=1e-9)
    assert result["bleu"] == pytest.approx(sacrebleu.corpus_bleu(GOOD, [REFERENCES]).score, abs=1e-9)
    assert 0.7 < result["semantic_similarity"] < 1.0
    assert result.summaries["f1"].n == 12


def test_texts_in_an_order_are_read_from_anything_and_a_set_has_none() -> None:
    evaluator = Evaluator(metrics=["f1"])
    right = dict(evaluator.evaluate(GOOD, REFERENCES))
    assert dict(evaluator.evaluate((text for text in GOOD), (text for text in REFERENCES))) == right
    for unordered in (set(REFERENCES), dict.fromkeys(REFERENCES), None):
        with pytest.raises(UsageError, match="`references` must be a list of texts, in order"):
            evaluator.evaluate(GOOD[:3], unordered)
    found = evaluator.evaluate(GOOD, REFERENCES)
    with pytest.raises(UsageError, match=r"`margins\[f1\]` must be a positive number, got '0.1'"):
        evaluator.compare(found, found, margins={"f1": "0.1"})


def test_compare_says_which_is_better_whichever_side_it_stands_on() -> None:
    evaluator = Evaluator(metrics=["rouge", "f1"])
    bad = evaluator.evaluate(BAD, REFERENCES, name="bad")
    good = evaluator.evaluate(GOOD, REFERENCES, name="good")
    assert evaluator.compare(bad, good).verdicts == {"good": "better"}
    assert evaluator.compare(good, bad, primary="f1").verdicts == {"bad": "worse"}


def test_evaluations_of_one_name_can_be_compared() -> None:
    evaluator = Evaluator(metrics=["f1"])
    comparison = evaluator.compare(evaluator.evaluate(BAD, REFERENCES), evaluator.evaluate(GOOD, REFERENCES))
    assert comparison.baseline != comparison.candidates[0]


@pytest.mark.parametrize(
    ("mark", "references", "n", "said"),
    [
        ("#{}", ["a b c d"] * 40, 8, "Ids such as q0#0 are taken for several answers to q0, which are averaged"),
        ("#turn{}", list("abcdefgh") * 5, 8, "Ids such as q0#turn0 are taken for turns of the conversation q0, which"),
        ("#{}", list("abcdefgh") * 5, 40, ""),  # of other documents, so no answers to one question
        ("-{}", ["a b c d"] * 40, 40, ""),
    ],
)
def test_answers_to_one_question_are_one_observation(mark: str, references: list[str], n: int, said: str) -> None:
    evaluator = Evaluator(metrics=["f1"])
    ids = [f"q{question}{mark.format(number)}" for question in range(8) for number in range(5)]
    before, after = (
        evaluator.evaluate([text] * 20 + [other] * 20, references, ids=ids, name=text)
        for text, other in (("a b x y", "b a c z"), ("b a c z", "a b x y"))
    )
    row = evaluator.compare(before, after).rows[0]
    assert (row.n, row.answers) == (n, 40)
    assert before.summaries["f1"].n == n
    found = [warning for warning in row.warnings if warning.startswith("Ids such")]
    assert [warning[: len(said)] for warning in found] == ([said] if said else [])


def test_evaluations_of_different_data_are_not_compared() -> None:
    evaluator = Evaluator(metrics=["f1"])
    other = evaluator.evaluate(GOOD, ["Something else."] * 12, name="other")
    with pytest.raises(ComparisonError, match="stand for another reference"):
        evaluator.compare(evaluator.evaluate(GOOD, REFERENCES), other)


def test_rows_are_paired_by_id_not_by_position() -> None:
    evaluator = Evaluator(metrics=["f1"])
    ids = [str(i) for i in range(12)]
    base = evaluator.evaluate(BAD, REFERENCES, ids=ids, name="base")
    straight = evaluator.evaluate(GOOD, REFERENCES, ids=ids, name="mine")
    turned = evaluator.evaluate(GOOD[::-1], REFERENCES[::-1], ids=ids[::-1], name="mine")
    assert evaluator.compare(base, straight).rows == evaluator.compare(base, turned).rows


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "`predictions` must be at least one text"),
        (["a"], ["a", "b"], "of one length, got predictions 1, references 2"),
        (["a", None], ["a", "b"], "`predictions` must be a list of texts, got 'None at position 1'"),
        ("text", ["t", "e", "x", "t"], "`predictions` must be a list of texts"),
    ],
)
def test_wrong_lists_are_refused(predictions: object, references: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Evaluator(metrics=["f1"]).evaluate(predictions, references)  # type: ignore[arg-type]


def test_a_row_may_have_several_references() -> None:
    evaluator = Evaluator(metrics=["em", "bleu"])
    right = [["no", "the cat"], "a dog", ["a bird", " ", "a bird"]]
    found = evaluator.evaluate(["the cat", "a dog", "bird"], right)
    assert [score.values["exact_match"] for score in found.scores] == [1.0, 1.0, 1.0]
    assert found.references == {"0": ("no", "the cat"), "1": ("a dog",), "2": ("a bird",)}
    assert found.metrics["bleu"].signature.startswith("nrefs:var|refs:all|")
    fewer = evaluator.evaluate(["the cat", "a dog", "bird"], ["no", "a dog", "a bird"])
    with pytest.raises(ComparisonError, match="1 ids stand for another reference on the other"):
        evaluator.compare(fewer, found)
    for wrong in ([], ["a", 1], {"a", "b"}, b"ab"):
        with pytest.raises(UsageError, match="`references` must be"):
            evaluator.evaluate(["a"], [wrong])  # type: ignore[list-item]


def test_a_tokenizer_for_all_languages_is_chosen_and_an_unknown_one_refused() -> None:
    evaluator = Evaluator(metrics=["rouge", "bleu", "f1"], tokenizer="unicode")
    found = evaluator.evaluate(["先还清利率最高的贷款"], ["先还清利率最高的贷款"])
    assert dict(found) == pytest.approx({"rouge1": 1, "rouge2": 1, "rougeL": 1, "bleu": 100, "f1": 1})
    with pytest.raises(UsageError, match="`--tokenizer` must be one of"):
        Evaluator(metrics=["rouge"], tokenizer="jieba")


def test_an_unknown_metric_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="did you mean 'rougeL'"):
        Evaluator(metrics=["rogueL"])


def test_the_public_api_is_what_all_names() -> None:
    assert loralift.__all__ == ["Evaluator", "__version__", "compare", "evaluate"]
    assert all(hasattr(loralift, name) for name in loralift.__all__)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        loralift.nothing_like_it  # noqa: B018


NONSENSE = [True, 3, 1.5, b"x", object(), {1: 2}, [None], [["f1"]], "", "a\0b", float("nan")]


@pytest.mark.parametrize("value", NONSENSE)
def test_an_argument_of_any_type_is_refused_in_our_words(value: object, tmp_path: Path) -> None:
    evaluator = Evaluator(metrics=["f1"])
    fine = evaluator.evaluate(GOOD, REFERENCES)
    rows = tmp_path / "s.jsonl"
    rows.write_text("".join(f'{{"id": {n}, "f1": {n / 9}}}\n' for n in range(9)), "utf-8")
    calls = [
        lambda: evaluator.compare(value, fine),
        lambda: evaluator.compare(fine, value),
        lambda: evaluator.compare(fine, fine, primary=value),
        lambda: evaluator.compare(fine, fine, margins={"f1": value}),
        lambda: evaluator.evaluate(GOOD, REFERENCES, name=value),
        lambda: evaluator.evaluate(value, REFERENCES),
        lambda: Evaluator(metrics=value),
        lambda: Evaluator(semantic_similarity_model=value),
        lambda: loralift.compare(value, rows),
        lambda: loralift.compare(rows, value),
        lambda: loralift.compare(rows, rows, metrics=value),
        lambda: loralift.compare(rows, rows, primary=value),
        lambda: loralift.compare(rows, rows, margins=value or 0),
        lambda: loralift.compare(rows, rows, scales={"f1": value}),
        lambda: loralift.compare(rows, rows, higher_is_better=value or 0.5),
        lambda: loralift.compare(rows, rows, seed=value if value != 3 else -3),
    ]
    for number, call in enumerate(calls):
        try:
            call()
        except LoraLiftError:
            continue
        pytest.fail(f"call {number} took {value!r}")


@pytest.mark.parametrize(
    "scale", ["0-1", (0,), (0, 1, 2), (1, 0), ("0", "1"), (None, 1), (float("nan"), 1), (False, True)]
)
def test_a_scale_is_two_numbers(scale: object, tmp_path: Path) -> None:
    rows = tmp_path / "s.jsonl"
    rows.write_text("".join(f'{{"id": {n}, "f1": {n / 9}}}\n' for n in range(9)), "utf-8")
    with pytest.raises(UsageError, match="scale"):
        loralift.compare(rows, str(rows), scales={"f1": scale})


def test_evaluations_are_what_is_compared() -> None:
    with pytest.raises(UsageError, match=r"`a` must be what Evaluator.evaluate gives, got \{'f1': 0.5\}"):
        Evaluator(metrics=["f1"]).compare({"f1": 0.5}, {"f1": 0.5})


def shared_words(prediction: str, references: list[str], question: str) -> float:
    """A metric of the user's own."""
    wanted = set(references[0].split())
    return len(wanted & set(prediction.split())) / len(wanted)


def test_a_function_is_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_words, "higher_is_better", True, raising=False)
    file = tmp_path / "mine.py"
    file.write_text(
        "higher_is_better = False\ndef far(p, r, q):\n    return abs(len(p) - len(r[0]))\n", encoding="utf-8"
    )
    evaluator = Evaluator(metrics=[shared_words, "f1", f"{file}:far"])
    bad = evaluator.evaluate(BAD, REFERENCES, name="bad")
    good = evaluator.evaluate(GOOD, REFERENCES, name="good")
    assert list(good) == ["shared_words", "f1", "far"]
    comparison = evaluator.compare(bad, good)
    assert comparison.primary == "shared_words"
    assert {row.metric: row.verdict for row in comparison.rows}["shared_words"] == "better"
    monkeypatch.setattr(shared_words, "higher_is_better", False)
    turned = Evaluator(metrics=[shared_words, "f1"]).evaluate(GOOD, REFERENCES)
    with pytest.raises(ComparisonError, match="shared_words means something else on each side"):
        evaluator.compare(bad, turned)


def test_functions_that_differ_in_what_they_enclose_are_told_apart() -> None:
    def counting(word: str) -> Any:
        def count(prediction: str, references: list[str], question: str) -> int:
            return prediction.count(word)

        count.higher_is_better = True  # type: ignore[attr-defined]
        return count

    one, other = (Evaluator(metrics=[counting(word)]).evaluate(GOOD, REFERENCES) for word in ("a", "b"))
    row = Evaluator(metrics=["f1"]).compare(one, other).rows[0]
    assert any("made it differently" in warning for warning in row.warnings)


@pytest.mark.parametrize("given", [[len], [str], [shared_words, shared_words], ["nowhere.py:f"], [shared_words, "f9"]])
def test_what_is_no_metric_is_one_line(given: list[Any]) -> None:
    with pytest.raises(LoraLiftError) as error:
        Evaluator(metrics=given)
    assert "\n" not in str(error.value)


def test_every_setting_of_a_metric_is_one_of_the_evaluator() -> None:
    settings = Evaluator(
        metrics=["f1"], bert_score_model="./bert", bert_score_layers=2, metric_batch_size=4, device="cpu"
    )._settings("1")
    assert settings == MetricSettings(
        bert_score_model="./bert", bert_score_layers=2, batch_size=4, device="cpu", thinking=Thinking(OF_MODELS)
    )
    for wrong in ({"bert_score_layers": 0}, {"metric_batch_size": None}, {"bert_score_model": 3}):
        with pytest.raises(UsageError, match=f"`{next(iter(wrong))}` must be "):
            Evaluator(metrics=["f1"], **wrong)  # type: ignore[arg-type]
