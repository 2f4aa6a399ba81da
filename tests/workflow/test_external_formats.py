from __future__ import annotations

from typing import Any

import pytest

from loralift.errors import ComparisonError, UsageError
from loralift.workflow.external_formats import Texts, read_texts, with_ids, without_texts
from loralift.workflow.sides.logs.lm_eval import is_sample_log, read_sample_log
from loralift.workflow.sides.side import DOC_HASH


def line(doc_id: int, answer: str = "18", filter_name: str = "strict-match", **changes: Any) -> dict[str, Any]:
    """A line as lm-evaluation-harness 0.4 writes one of a generative task."""
    return {
        "doc_id": doc_id,
        "doc": {"question": f"How many are {doc_id}?", "answer": "It is 18.\n#### 18"},
        "target": "It is 18.\n#### 18",
        "arguments": {"gen_args_0": {"arg_0": "Question: …", "arg_1": {"until": ["Question:"]}}},
        "resps": [[f"So it is {answer}."]],
        "filtered_resps": [answer],
        "filter": filter_name,
        "metrics": ["exact_match"],
        "doc_hash": f"hash{doc_id}",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": float(answer == "18"),
    } | changes


def choice(doc_id: int, acc: float, **changes: Any) -> dict[str, Any]:
    """A line of a multiple-choice task: of every choice its log-likelihood and whether it is greedy."""
    resps = [["-12.5", "False"], ["-3.25", "True"]]
    metrics = {"metrics": ["acc", "acc_norm"], "acc": acc, "acc_norm": 1.0}
    return line(doc_id, resps=[[r] for r in resps], filtered_resps=resps, filter="none", target="1") | metrics | changes


def test_a_log_is_known_by_its_columns() -> None:
    assert is_sample_log([line(0)])
    assert not is_sample_log([{"id": "1", "exact_match": 1.0}])
    assert not is_sample_log([{"doc_id": 1, "exact_match": 1.0}])
    assert not is_sample_log([])


def test_a_log_gives_values_texts_and_hashes() -> None:
    log = read_sample_log("a.jsonl", [line(0), line(1, "17")])
    assert log.values == ({"id": "0", "exact_match": 1.0}, {"id": "1", "exact_match": 0.0})
    assert log.texts[1] == Texts("1", "17", "It is 18.\n#### 18", "How many are 1?")
    assert {row: known[DOC_HASH] for row, known in log.known.items()} == {"0": "hash0", "1": "hash1"}
    assert log.notes == ()


def test_the_first_filter_is_taken_and_the_log_says_so() -> None:
    rows = [line(0), line(1), line(0, "1", "flexible-extract"), line(1, "2", "flexible-extract")]
    log = read_sample_log("a.jsonl", rows)
    assert [text.prediction for text in log.texts] == ["18", "18"]
    assert log.notes == (
        "a.jsonl: the filter 'strict-match' is taken, not flexible-extract; --filter chooses another.",
    )
    assert [text.prediction for text in read_sample_log("a.jsonl", rows, "flexible-extract").texts] == ["1", "2"]
    with pytest.raises(UsageError, match="`--filter` must be one of strict-match, flexible-extract, got 'none'"):
        read_sample_log("a.jsonl", rows, "none")


def test_an_old_log_without_filter_names_gives_the_first_line_of_each_document() -> None:
    rows = [line(0), line(1), line(0, "1"), line(1, "2")]
    for row in rows:
        del row["filter"], row["metrics"], row["doc_hash"]
    log = read_sample_log("a.jsonl", rows)
    assert log.values == ({"id": "0", "exact_match": 1.0}, {"id": "1", "exact_match": 1.0})
    assert not any(DOC_HASH in known for known in log.known.values())
    assert "the first is taken" in log.notes[0]


@pytest.mark.parametrize(
    ("documents", "ids"),
    [
        ([{"id": "a"}, {"id": "b"}], ["a", "b"]),
        ([{"question_id": 7}, {"question_id": 9}], ["7", "9"]),
        ([{"id": "a"}, {"id": "a"}], ["5", "6"]),
        ([{"id": "a"}, {}], ["5", "6"]),
        ([{"id": True}, {"id": False}], ["5", "6"]),
        (["text", "text"], ["5", "6"]),
    ],
)
def test_a_documents_own_id_is_taken_where_every_one_has_its_own(documents: list[Any], ids: list[str]) -> None:
    rows = [line(5 + number, doc=document) for number, document in enumerate(documents)]
    assert [row["id"] for row in read_sample_log("a.jsonl", rows).values] == ids


def test_multiple_choice_has_values_and_no_texts() -> None:
    log = read_sample_log("a.jsonl", [choice(0, 1.0), choice(1, False)])
    assert log.values == ({"id": "0", "acc": 1.0, "acc_norm": 1.0}, {"id": "1", "acc": 0.0, "acc_norm": 1.0})
    assert log.texts == ()


def test_what_is_no_number_a_line_is_left_out_and_perplexity_is_what_it_is() -> None:
    values = {"metrics": ["perplexity", "bleu", "word_perplexity", "acc"], "bleu": ["a", "b"]}
    rows = [line(i, **values, perplexity=-3.5, word_perplexity=[-3.5, 7], acc=a) for i, a in enumerate((1, None))]
    log = read_sample_log("a.jsonl", rows)
    assert log.values == (
        {"id": "0", "log_likelihood": -3.5, "acc": 1.0},
        {"id": "1", "log_likelihood": -3.5, "acc": None},
    )
    assert "bleu, word_perplexity left out" in log.notes[0]
    assert "log_likelihood: more is better" in log.notes[1]


@pytest.mark.parametrize(
    ("filtered", "target", "texts"),
    [
        (["Paris"], "Paris", ("Paris", "Paris")),
        ("Paris", "Paris", ("Paris", "Paris")),  # lmms-eval writes one request's answer bare
        ([["Paris"]], "['Paris', 'paris']", ("Paris", "Paris")),
        (["Paris"], "[unclear", ("Paris", "[unclear")),
        (["Paris"], "[1, 2]", ("Paris", "[1, 2]")),
        ([["Paris", "Rome"]], "Paris", None),
        (["Paris"], "", None),
        (["Paris"], 1, None),
    ],
)
def test_one_answer_and_one_target_are_texts(filtered: Any, target: Any, texts: tuple[str, str] | None) -> None:
    found = read_sample_log("a.jsonl", [line(0, filtered_resps=filtered, target=target)]).texts
    assert [(text.prediction, text.reference) for text in found] == ([texts] if texts else [])


def test_a_line_without_a_document_is_refused() -> None:
    with pytest.raises(ComparisonError, match=r"a.jsonl, row 2: must have a doc_id"):
        read_sample_log("a.jsonl", [line(0), {"id": 1}])


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ({"prediction": "p", "reference": "r"}, ("p", "r")),
        ({"prediction": "p", "reference": "r", "answer": "x", "target": "y", "pred": "z"}, ("p", "r")),
        ({"response": "p", "reference": "r"}, ("p", "r")),
        ({"answer": "p", "ground_truth": "r"}, ("p", "r")),
        ({"output": "p", "target": "r"}, ("p", "r")),
        ({"pred": "p", "label": "r"}, ("p", "r")),
        ({"generated_text": "p", "ground_truths": ["r", "s"]}, ("p", "r")),
        ({"prediction": "p", "answer": "r"}, ("p", "r")),
        ({"prediction": "p", "answers": ["r"]}, ("p", "r")),
        ({"accuracy": 0.5}, None),
        ({"accuracy": 0.5, "label": 1}, None),
    ],
)
def test_the_spellings_of_prediction_and_reference(row: dict[str, Any], texts: tuple[str, str] | None) -> None:
    found = read_texts("a.jsonl", [{"id": "1", **row}])
    others = tuple(text for value in row.values() if isinstance(value, list) for text in value[1:])
    assert found == (None if texts is None else (Texts("1", *texts, others=others),))


@pytest.mark.parametrize(
    "row",
    [
        {"answer": "one", "response": "two"},
        {"answer": "one", "response": "two", "target": "three"},
        {"prediction": "one", "target": "two", "label": "three"},
        {"pred": 1, "label": 1},
        {"prediction": "one"},
        {"target": "one"},
        {"answer": "one"},
        {"prediction": 1, "reference": "two"},
        {"prediction": "one", "reference": None},
    ],
)
def test_what_nobody_can_know_is_refused_in_one_line(row: dict[str, Any]) -> None:
    with pytest.raises(ComparisonError, match=r"^a.jsonl.* prediction and\s?reference.*got ") as error:
        read_texts("a.jsonl", [{"id": "1", **row}])
    assert "\n" not in str(error.value)


def test_a_later_row_without_texts_is_named() -> None:
    rows = [{"id": "1", "response": "a", "target": "b"}, {"id": "2", "response": None, "target": "b"}]
    with pytest.raises(ComparisonError, match=r"a.jsonl, row 2: must have texts .* \(response and target\), got None"):
        read_texts("a.jsonl", rows)


def test_ids_in_other_spellings() -> None:
    assert with_ids("a", [{"question_id": 7, "f1": 1.0}]) == [{"id": "7", "f1": 1.0}]
    assert with_ids("a", [{"_id": 7, "id": "x", "f1": 1.0}]) == [{"id": "x", "_id": 7, "f1": 1.0}]
    for rows in ([], [{"f1": 1.0}], [{"id": "1"}, {"f1": 1.0}], [{"id": None}]):
        with pytest.raises(ComparisonError, match="a must have lines of JSON with an id"):
            with_ids("a", rows)


def test_columns_without_any_number_are_left_out_of_scores() -> None:
    rows = [
        {"id": "1", "f1": 0.5, "right": True, "category": "x", "parts": [1], "bleu": None, "statistics": {"bleu": [1]}},
        {"id": "2", "f1": None, "right": False, "category": None, "other": "y"},
    ]
    assert without_texts("a", rows) == [
        {"id": "1", "f1": 0.5, "right": True, "bleu": None, "statistics": {"bleu": [1]}},
        {"id": "2", "f1": None, "right": False},
    ]


@pytest.mark.parametrize("value", ["high", [1], "0.5"])
def test_a_column_that_is_a_number_in_some_rows_only_is_refused(value: Any) -> None:
    rows = [{"id": "1", "f1": 0.5}, {"id": "2", "f1": None}, {"id": "3", "f1": value}]
    with pytest.raises(ComparisonError, match=r"^a.jsonl, row 3: f1 must be a number or null, as in other rows, got"):
        without_texts("a.jsonl", rows)


@pytest.mark.parametrize("target", [r"[\d, 2)", "[" + "-" * 100_000 + "1]", "[" * 100_000, "[0]", "[\0]"])
def test_a_target_that_only_begins_as_a_list_is_a_text(target, recwarn):
    rows = [{"doc_id": 0, "target": target, "filtered_resps": ["a"], "f1": 1.0}]
    (text,) = read_sample_log("log.jsonl", rows, None).texts
    assert text.reference == target
    assert not recwarn
