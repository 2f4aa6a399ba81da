"""How long each engine is expected to take for an evaluation, reckoned from what was measured on one card.

It chooses between engines that give the same answers but for rounding, so being wrong costs time and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

type Way = Literal["vllm", "loop", "generate"]
"""vLLM, or the transformers engine by our loop or by ``generate``."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a way took.

    Attributes:
        start: Seconds from inspected files to the first question: engine started, adapters proved.
        tokens_per_second: Of answers of base and adapter, once all rows run.
    """

    start: float
    tokens_per_second: float


MEASURED = {"vllm": Pace(22.5, 23_655), "loop": Pace(5.3, 19_421), "generate": Pace(5.3, 7_318)}
"""One H200, Llama-3.1-8B's shape in bfloat16, 648 rows: benchmarks/results/h200.md."""

PARAMETERS = 8.03e9
"""Of the model that was measured."""

SMALLEST = 1e9
"""Models smaller than this are taken for as large: what their steps cost is the launching of kernels, not weights."""


def expected_seconds(way: Way, parameters: float, tokens: int) -> float:
    """How long it takes until the last answer is there, in seconds, on a card like the one that was measured.

    Args:
        way: How the answers come.
        parameters: How many the base has; a step is as long as reading them takes.
        tokens: Most tokens of answers, of all variants and protocols together.
    """
    pace = MEASURED[way]
    return pace.start + tokens * max(parameters, SMALLEST) / PARAMETERS / pace.tokens_per_second
