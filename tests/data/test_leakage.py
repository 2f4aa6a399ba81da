from __future__ import annotations

import json
import random
import time
import tracemalloc
from pathlib import Path

import pytest

from loralift.data import find_leaks, load_questions, read_training_texts
from loralift.errors import DataError
from loralift.records import Leak, Question

QUESTION = Question(
    "q1",
    "How long should I keep my old bank statements and tax returns?",
    "Keep your tax returns for at least seven years, since the revenue service may look back that far when it suspects "
    "that income was left out. Bank statements can go after one year, unless they prove a deduction.",
)
UNRELATED = [
    "How long should I wait before I sell my shares?\nThat depends on your goals, on your taxes and on your nerves.",
    "Question: What is the best way to keep bees?\n\nAnswer: In a hive, and for at least seven years.",
    "",
]


def changed(text: str, *places: int) -> str:
    """The text with other words in some places, counted from 0."""
    words = text.split()
    for place in places:
        words[place] = "zebra"
    return " ".join(words)


def parts(leaks: tuple[Leak, ...]) -> list[tuple[str, str, int]]:
    return [(leak.part, leak.kind, leak.train_row) for leak in leaks]


def test_unrelated_rows_are_no_leaks() -> None:
    assert find_leaks([QUESTION], UNRELATED) == ()
    assert find_leaks([QUESTION], []) == ()
    assert find_leaks([], UNRELATED) == ()


def test_an_exact_copy_is_found_whatever_its_case_punctuation_and_white_space() -> None:
    shouted = (
        "### Instruction:\nBe brief.\n" + QUESTION.question.upper().replace(" ", "  \n") + "!!\n### Response:\nNo."
    )
    leaks = find_leaks([QUESTION], [*UNRELATED, shouted, QUESTION.reference.replace(",", " --")])
    assert parts(leaks) == [("question", "exact", 4), ("reference", "exact", 5)]
    assert [leak.similarity for leak in leaks] == [1.0, 1.0]


def test_a_copy_with_a_few_words_changed_is_near_and_says_how_near() -> None:
    row = changed(QUESTION.question, 11) + "\n" + changed(QUESTION.reference, 5, 30)
    leaks = find_leaks([QUESTION], [*UNRELATED, row])
    assert parts(leaks) == [("question", "near", 4), ("reference", "near", 4)]
    # 12 words have 10 3-grams, the last word stands in one of them; 38 words have 34 5-grams, and 10 are broken
    assert [leak.similarity for leak in leaks] == pytest.approx([9 / 10, 24 / 34])


def test_half_of_the_words_changed_is_no_leak() -> None:
    words = len(QUESTION.reference.split())
    assert find_leaks([QUESTION], [changed(QUESTION.reference, *range(0, words, 2))]) == ()


def test_all_words_in_another_order_are_not_exact() -> None:
    first, _, second = QUESTION.reference.partition(". ")
    (leak,) = find_leaks([QUESTION], [f"{second} {first}"])
    assert (leak.kind, leak.similarity < 1) == ("near", True)


def test_the_best_place_wins_and_the_first_of_equals() -> None:
    near = changed(QUESTION.reference, 5)
    copies = [near, QUESTION.reference, QUESTION.reference]
    assert parts(find_leaks([QUESTION], copies)) == [("reference", "exact", 2)]
    assert parts(find_leaks([QUESTION], [near, near])) == [("reference", "near", 1)]


@pytest.mark.parametrize(
    ("row", "leaks"),
    [
        ("What is a bond?", 1),
        ("Question 12: what is a BOND\nAnswer: A loan.", 1),
        ("<|user|>What is a bond?<|end|>A loan.", 1),
        ("[INST] What is a bond? [/INST] A loan.", 1),
        ("He asked me what is a bond and I did not know.", 0),
        ("Question: What is a bond fund?", 0),
        ("It depends on your income.", 0),
        ("Why?", 0),
    ],
)
def test_a_short_question_must_be_a_whole_line_and_a_short_reference_never_leaks(row: str, leaks: int) -> None:
    questions = [Question("1", "What is a bond?", "It depends on your income."), Question("2", "Why?", "Yes.")]
    found = find_leaks(questions, [row])
    assert [(leak.id, leak.part, leak.kind) for leak in found] == [("1", "question", "exact")] * leaks


def test_rows_are_counted_over_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*UNRELATED * 40, QUESTION.reference, *UNRELATED]
    whole = find_leaks([QUESTION], rows)
    monkeypatch.setattr("loralift.data.leakage.BATCH_WORDS", 30)
    assert parts(whole) == [("reference", "exact", 121)]
    assert find_leaks([QUESTION], rows) == whole


CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Why?"}]}]
SHARED = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.jsonl", '{"prompt": "Why?", "n": 3, "answers": ["So.", "No."]}\n{"text": "Q"}\n', ["Why?\nSo.\nNo.", "Q"]),
        ("a.json", json.dumps([{"messages": CHAT}, {"conversations": SHARED}]), ["Be brief.\nWhy?", "Why?\nSo."]),
        ("a.jsonl", '{"q": null, "a": ["So.", null], "n": NaN}\n{"q": null}\n{}\n', ["So.", "", ""]),
        ("a.csv", 'question,answer\nWhy?,"So, so."\n', ["Why?\nSo, so."]),
        ("a.tsv", "question\tanswer\nWhy?\tSo.\n", ["Why?\nSo."]),
        ("a.txt", "One\nparagraph.\n\n \nAnother.\n", ["One\nparagraph.", "Another.\n"]),
    ],
)
def test_every_text_of_a_row_is_read(tmp_path: Path, name: str, content: str, texts: list[str]) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_training_texts(path) == texts


def test_parquet_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"messages": [CHAT[:1]], "label": [1]}), tmp_path / "a.parquet")
    assert read_training_texts(tmp_path / "a.parquet") == ["Be brief."]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.docx", "x", "the suffix of training data must be one of .jsonl, .json, .csv, .tsv, .parquet, .txt"),
        ("a.jsonl", '{"n": 1}\n', "no text"),
        ("a.txt", "\n\n", "no text"),
        ("a.jsonl", "{\n", "line 1: not JSON"),
        ("none.jsonl", None, "no such file"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as error:
        read_training_texts(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_the_splits_of_fiqa_do_not_leak_into_each_other(fiqa_dir: Path) -> None:
    questions = load_questions(str(fiqa_dir / "test.jsonl")).questions
    training = read_training_texts(fiqa_dir / "train.jsonl")
    lines = (fiqa_dir / "beir" / "queries.jsonl").read_text(encoding="utf-8").split("\n")
    tests = {question.id for question in questions}
    others = [row["text"] for row in map(json.loads, filter(None, lines)) if row["_id"] not in tests]
    assert len(training) == 284
    assert len(others) == 6_000
    assert find_leaks(questions, training) == ()
    assert find_leaks(questions, others) == ()


def test_what_is_planted_in_real_data_is_found_and_nothing_else(fiqa_dir: Path) -> None:
    questions = load_questions(str(fiqa_dir / "test.jsonl")).questions
    training = read_training_texts(fiqa_dir / "train.jsonl")
    copied, rewritten, cut = questions[100], questions[200], questions[300]
    training[17] += f"\nQuestion: {copied.question}\nAnswer: {copied.reference}"
    training[35] += "\n" + changed(rewritten.reference, 3, 20, 21, 40)
    training[53] = " ".join(cut.reference.split()[: len(cut.reference.split()) * 2 // 3])
    found = [(leak.id, leak.part, leak.kind, leak.train_row) for leak in find_leaks(questions, training)]
    assert found == [
        (copied.id, "question", "exact", 18),
        (copied.id, "reference", "exact", 18),
        (rewritten.id, "reference", "near", 36),
        (cut.id, "reference", "near", 54),
    ]


def test_much_training_data_takes_little_time_and_no_memory(fiqa_dir: Path) -> None:
    questions = load_questions(str(fiqa_dir / "test.jsonl")).questions
    texts = " ".join(read_training_texts(fiqa_dir / "train.jsonl")).split()
    draw = random.Random(0)
    starts = (draw.randrange(len(texts) - 200) for _ in range(2_000))
    training = [" ".join(texts[start : start + 200]) for start in starts]
    started = time.process_time()
    assert find_leaks(questions, training) == ()
    assert time.process_time() - started < 10  # 0.3 s here; 100,000 rows take 50 times as long
    tracemalloc.start()
    find_leaks(questions, training[:1_000])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6


def test_a_label_is_looked_for_in_no_more_than_a_label_takes() -> None:
    started = time.process_time()
    assert find_leaks([Question("a", "Which is the one here now?", "x")], ["answer" + " " * 200_000 + "x"]) == ()
    assert time.process_time() - started < 5
