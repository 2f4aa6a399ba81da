"""What the words of a metric's name say, and that nothing is said where one of them is not known."""

from __future__ import annotations

import pytest

from loralift.metrics import METRICS
from loralift.workflow.sides.columns import column_info
from loralift.workflow.sides.directions import direction_of

HIGHER = (
    "acc accuracy acc_norm exact_match EM F1 macroF1 f1-score squad_f1 BLEU-4 bleu_4 sacrebleu chrF++ rougeLsum rougeL "
    "ROUGE-1 rouge_l_fmeasure bertscore_f1 BERTScore pass@1 pass_at_10 win_rate mrr@10 ndcg@10 recall@5 auc_roc mc2 "
    "log_likelihood logprob log_prob tokens_per_second tokensPerSecond tok/s requests/s score judge_score reward mcc "
    "cosine_similarity val/accuracy top1_acc prompt_level_strict_acc is_correct"
)
LOWER = (
    "loss val_loss eval_loss eval/loss evalLoss log_loss nll negative_log_likelihood cross_entropy perplexity ppl "
    "word_perplexity bits_per_byte wer cer ter error_rate mean_squared_error rmse edit_distance cosine_distance "
    "latency latency_ms latencyMs p95_latency TTFT time_per_token ms/token seconds_per_request errors_per_second "
    "response_time toxicity toxicity_score hallucination_rate brier_score false_positive_rate cost_usd "
    "time_to_first_token end_to_end_latency"
)
NOTHING = (
    "quality regret loss_improvement f1_drop accuracy_loss error_free_rate error_reduction neg_loss -loss 1-wer "
    "inverse_loss minus_loss hallucination_resistance nonhallucination acc_stderr bleu_diff likelihood_diff risk_score "
    "win_loss_ratio year answer_length n_tokens tok_s ms_token h_mean s_score temperature "
    "1/ppl ppl^-1 ppl⁻¹ (1-wer) eval/-loss error<5 loss↓ score↓ ∆loss steps_to_solve end_time"
)


@pytest.mark.parametrize(
    ("names", "better"), [(HIGHER, True), (LOWER, False), (NOTHING, None)], ids=["higher", "lower", "nothing"]
)
def test_directions(names: str, better: bool | None) -> None:
    assert {name: direction_of(name).higher_is_better for name in names.split()} == dict.fromkeys(names.split(), better)


def test_our_own_metrics_by_their_names_are_as_they_say() -> None:
    judged = {name: metric.higher_is_better for name, metric in METRICS.items() if metric.higher_is_better is not None}
    assert {name: direction_of(name).higher_is_better for name in judged} == judged


def test_a_column_that_is_called_like_one_of_ours_has_its_range_and_no_margin() -> None:
    for name, limits in (("rougeL", (0.0, 1.0)), ("ROUGE-L", (0.0, 1.0)), ("BLEU", (0.0, 100.0)), ("em", (0.0, 1.0))):
        info = column_info(name)
        assert (info.name, info.low, info.high, info.margin, info.signature) == (name, *limits, None, "")
    assert (column_info("rougeL").title, column_info("ROUGE-L").title) == ("ROUGE-L", "ROUGE-L")
    assert (column_info("acc").low, column_info("acc").high, column_info("acc").margin) == (None, None, None)
    assert column_info("exact_match", "tool:another").title == "exact_match"


def test_of_an_amount_nothing_is_less_than_0_but_its_logarithm() -> None:
    amounts = ("latency_ms", "cost_usd", "error", "tokens_per_second", "ms_per_token", "edit_distance")
    assert {direction_of(name).kind for name in amounts} == {"amount"}
    assert {direction_of(name).kind for name in ("val_loss", "nll_per_byte", "log_mse", "log_prob", "elo")} == {"open"}
