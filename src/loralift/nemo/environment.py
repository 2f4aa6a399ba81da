"""What NeMo Evaluator's `run_evaluation` needs from us: an environment that scores, a solver that replays answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from nemo_evaluator import EvalEnvironment, SeedResult, SolveResult, VerifyResult
from nemo_evaluator.observability.types import ModelResponse

from loralift.nemo.batching import Batcher
from loralift.records import Answer, Example, Score

# How many rows the SDK verifies concurrently, and so the most rows of one call of the metrics.
CONCURRENT_ROWS = 512

ScoreRows = Callable[[Sequence[Example]], Sequence[Score]]


class ScoringEnvironment(EvalEnvironment):  # type: ignore[misc]
    """Seeds the questions and scores the answers with our metrics, many rows at a time.

    Args:
        name: The benchmark's name in bundles and reports.
        examples: One a row; whatever the solver answers is scored against its question.
        score: Scores examples; see `loralift.metrics.score_examples`.
        first: The number of the first row, where the examples are a part of all.
        primary: The metric that becomes the SDK's reward. The SDK cannot hold "not scored" as a reward: such a
            row gets 0.0 here and is left out of the bundles that are written.

    After the run `scores` holds one Score a row, in the order of the examples.
    """

    def __init__(self, name: str, examples: Sequence[Example], score: ScoreRows, primary: str, first: int = 0) -> None:
        super().__init__()
        self.name = name
        self.examples = examples
        self.primary = primary
        self.first = first
        self._scores: dict[int, Score] = {}
        self._score = Batcher[Example, Score](score, CONCURRENT_ROWS)

    async def dataset_size(self) -> int:
        """How many rows there are."""
        return len(self.examples)

    async def seed(self, idx: int) -> Any:
        """The question of one row; the metadata holds only the row's number, so that no column's name can clash."""
        question = self.examples[idx].question
        return SeedResult(
            prompt=question.question,
            expected_answer=question.reference,
            metadata={"row": self.first + idx, "id": question.id},
        )

    async def verify(self, response: str, expected: str, sandbox: Any = None, **metadata: Any) -> Any:
        """Score one answer; the values of all metrics are put into the row's details."""
        row = metadata["row"] - self.first
        example = self.examples[row]
        if example.answer.text != response:
            example = dataclasses.replace(example, answer=dataclasses.replace(example.answer, text=response))
        score = await self._score(example)
        self._scores[row] = score
        reward = score.values.get(self.primary)
        return VerifyResult(
            reward=0.0 if reward is None else float(reward),
            extracted_answer=response,
            scoring_details={**score.values, "unscored": dict(score.unscored)} if score.unscored else score.values,
        )

    @property
    def scores(self) -> list[Score]:
        """One Score a row, in the order of the examples; an answer that never came has no values."""
        return [self._scores.get(row) or Score(example.question.id, {}) for row, example in enumerate(self.examples)]


class RecordedAnswers:
    """A solver that returns recorded answers: no model, no endpoint, no GPU.

    Args:
        answers: One a row, in the order of the environment's examples.
        model: The name of the model that gave them.
        first: The number of the first row, as of the environment.
    """

    def __init__(self, answers: Sequence[Answer], model: str, first: int = 0) -> None:
        self._answers = answers
        self._first = first
        self._model = model

    async def solve(self, task: Any) -> Any:
        """The recorded answer of one row with its token counts and time."""
        answer = self._answers[task.metadata["row"] - self._first]
        prompt, output = answer.prompt_tokens or 0, answer.output_tokens or 0
        response = ModelResponse(
            content=answer.text,
            model=self._model,
            finish_reason=answer.finish_reason or "",
            prompt_tokens=prompt,
            completion_tokens=output,
            total_tokens=prompt + output,
            latency_ms=1000 * (answer.seconds or 0.0),
        )
        return SolveResult(response=answer.text, model_response=response)

    async def close(self) -> None:
        """Nothing to close; the SDK calls it after every run."""
