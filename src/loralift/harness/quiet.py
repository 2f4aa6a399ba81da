"""Keep lm_eval from writing between our lines, and from leaving another state of the random generators behind."""

from __future__ import annotations

import logging
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

EXPECTED = (
    "`pretrained` model kwarg is not",
    "Passed an already-initialized model",
    "is defined, but aggregation is not",
    "is defined, but higher_is_better is not",
    "Combined length of context",
    "Left truncation applied",
    "Label index was not in within range",
)
"""Parts of warnings that tell nothing new: a loaded model is given, defaults hold, contexts are cut, and targets are no
choice; the last two are counted by rows."""


@contextmanager
def quiet() -> Iterator[Counter[str]]:
    """No progress bars, and no warning of lm_eval printed; instead they are counted, by their first lines.

    Left out is what is always so here, or said by us with figures (EXPECTED).
    """
    import datasets
    from lm_eval.api import task as building

    logger, bars = logging.getLogger("lm_eval"), datasets.are_progress_bars_disabled()
    handler, propagates, bar = _Counting(logging.WARNING), logger.propagate, building.tqdm
    logger.addHandler(handler)
    logger.propagate = False
    datasets.disable_progress_bars()
    building.tqdm = _no_bar
    try:
        with warnings.catch_warnings(action="ignore"):
            yield handler.told
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
        building.tqdm = bar
        if not bars:
            datasets.enable_progress_bars()


class _Counting(logging.Handler):
    """Counts the messages that are not expected."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.told: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        first = next(iter(record.getMessage().strip().splitlines()), "")
        if first and not any(known in first for known in EXPECTED):
            self.told[first.rstrip(" ,:")] += 1


def told_of(name: str, told: Counter[str]) -> tuple[str, ...]:
    """What lm_eval warned of, one sentence each."""
    return tuple(
        f"{name}: lm_eval warns: {message}{f' ({times} times)' if times > 1 else ''}" for message, times in told.items()
    )


def _no_bar(rows: Any, **_: Any) -> Any:
    return rows


@contextmanager
def seeded() -> Iterator[None]:
    """Every generator as lm_eval seeds it by default, for what a task samples; afterwards as they were."""
    import torch
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED

    python, legacy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            random.seed(DEFAULT_RANDOM_SEED)
            np.random.seed(DEFAULT_OTHER_SEED)
            torch.manual_seed(DEFAULT_OTHER_SEED)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
