"""A benchmark for `nel`: our questions, our prompt and our metrics on any OpenAI-compatible endpoint.

    nel eval run --bench $(python -m loralift.nemo.benchmark) --model-url http://localhost:8000/v1 --model-id my-model

The questions are those of `LORALIFT_DATASET` (as `loralift run --dataset`; default fiqa), the metrics those of
`LORALIFT_METRICS` (default: all that need nothing but the texts), the reward is `LORALIFT_PRIMARY`, the system prompt
`LORALIFT_SYSTEM_PROMPT`. `nel` imports this file, so settings come from environment variables.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from nemo_evaluator import SeedResult, register

from loralift.data import (
    ALPACA_SYSTEM_PROMPT,
    DEFAULT_SYSTEM_PROMPT,
    chat_messages,
    load_questions,
    render_alpaca,
    render_prompt,
)
from loralift.errors import UsageError, some, wrong_argument
from loralift.metrics import METRICS, MOST_UNSEEN, MetricSettings, blindness, expand_names, score_examples
from loralift.nemo.environment import ScoringEnvironment
from loralift.nemo.summaries import PREDICTION_METRICS, summarise_all
from loralift.records import OF_MODELS, Answer, Example, Question, Thinking
from loralift.reporting import formatting

logger = logging.getLogger("loralift")

NAME = "loralift"

LOOKED_AT = 1_000
"""How many references are checked for whether the reward's metric can score them."""


@register(NAME)
class LoraLiftBenchmark(ScoringEnvironment):
    """Asks an endpoint and scores its answers, many rows at a time.

    Args:
        num_examples: At most so many questions; None: all.
    """

    def __init__(self, num_examples: int | None = None) -> None:
        data = load_questions(os.environ.get("LORALIFT_DATASET", "fiqa"), limit=num_examples)
        if data.dropped:
            reasons = some(f"{row.id}: {row.reason}" for row in data.dropped)
            logger.warning("rows that cannot be evaluated are left out: %d (%s)", len(data.dropped), reasons)
        for note in data.notes:
            logger.warning("%s", note)
        chosen = os.environ.get("LORALIFT_METRICS")
        self.metrics = expand_names(chosen.split(",")) if chosen else PREDICTION_METRICS
        primary = os.environ.get("LORALIFT_PRIMARY", self.metrics[0])
        if primary not in self.metrics:
            raise UsageError(wrong_argument("LORALIFT_PRIMARY", f"one of {', '.join(self.metrics)}", primary))
        styles = {question.style for question in data.questions}
        # ours was added in training to none but plain questions
        usual = DEFAULT_SYSTEM_PROMPT if styles == {"plain"} else ""
        self.system_prompt = os.environ.get("LORALIFT_SYSTEM_PROMPT", usual)
        own = sum(bool(question.system) for question in data.questions)
        if own and self.system_prompt:
            allowed = f"left out, as {own} rows have a system message of their own"
            raise UsageError(wrong_argument("LORALIFT_SYSTEM_PROMPT", allowed, self.system_prompt))
        if "chat" in styles:
            logger.warning("conversations are asked as chat messages; a completion endpoint gets them as plain text")
        self.settings = MetricSettings(thinking=Thinking(OF_MODELS))
        # The SDK cannot hold "not scored" as a reward, and would take it for 0.
        blind = blindness(METRICS[primary], data.questions[:LOOKED_AT], self.settings)
        if blind.share > MOST_UNSEEN:
            allowed = f"a metric that sees the data, such as chrf or exact_match ({blind.reason})"
            raise UsageError(wrong_argument("LORALIFT_PRIMARY", allowed, primary))
        super().__init__(
            NAME,
            [Example(question, Answer(question.id, "")) for question in data.questions],
            lambda rows: score_examples(self.metrics, rows, self.settings),
            primary,
        )

    async def seed(self, idx: int) -> Any:
        """The question as the endpoint sees it: chat messages, or the plain prompt for a completion endpoint."""
        question = self.examples[idx].question
        system = question.system or self.system_prompt
        return SeedResult(
            prompt=_prompt(question, self.system_prompt),
            expected_answer=question.reference,
            metadata={"row": idx, "id": question.id},
            messages=chat_messages(question.question, system, turns=question.turns),
            system=system or None,
        )

    async def close(self) -> None:
        """Log every metric's aggregate; the SDK's loop, which shards, repeats and resumes, keeps only the reward's.

        The values of every row are in results.jsonl, which `loralift compare` reads.
        """
        infos = {name: METRICS[name].info(self.settings) for name in self.metrics}
        answered = [score for score in self.scores if score.values]
        for name, summary in summarise_all(answered, infos, seed=0).items():
            if summary.value is not None:
                logger.info("%s: %s over %d answers", name, formatting.value(summary.value, infos[name]), summary.n)


def _prompt(question: Question, system: str) -> str:
    """A question for an endpoint that completes text, as the training of its format wrote it."""
    if question.style == "verbatim":
        return question.question
    if question.style == "alpaca":
        return render_alpaca(question.question, question.input, system or ALPACA_SYSTEM_PROMPT, question.system)
    return render_prompt(question.conversation, system)


if __name__ == "__main__":
    print(__file__)
