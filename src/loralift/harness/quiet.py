"""Keep lm_eval from writing between our lines, and from leaving another state of the random generators behind."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, no warnings: what they are about is counted or refused by us, and all else is lm_eval's way."""
    import datasets
    from lm_eval.api import task as building

    logger, bars = logging.getLogger("lm_eval"), datasets.are_progress_bars_disabled()
    level, bar = logger.level, building.tqdm
    logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    building.tqdm = _no_bar
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)
        building.tqdm = bar
        if not bars:
            datasets.enable_progress_bars()


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
