"""What every test may use; nothing here reaches the network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.models import other_adapter, tiny_adapter, tiny_base

__all__ = ["other_adapter", "tiny_adapter", "tiny_base"]

os.environ["HF_HUB_OFFLINE"] = "1"
# What one test embedded must not answer another, and nothing is left in the user's cache.
os.environ["LORALIFT_CACHE"] = ""
# On every machine the tests run where floats are float32 and sums do not depend on the batch.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# The models here are so small that one thread is as fast; two that wait for each other while another process runs are
# ten times slower (measured).
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"
FIQA = SHARED / "fiqa"
CASES = SHARED / "cases" / "compare"


@pytest.fixture(scope="session")
def fiqa_dir() -> Path:
    """The real FiQA data that lies beside the checkout; never copied into it."""
    if not FIQA.is_dir():
        pytest.skip(f"the real FiQA data is not beside the checkout ({FIQA})")
    return FIQA


@pytest.fixture(scope="session")
def compare_cases() -> Path:
    """Inputs of `loralift compare` that went wrong, which lie beside the checkout; never copied into it."""
    if not CASES.is_dir():
        pytest.skip(f"the cases of compare are not beside the checkout ({CASES})")
    return CASES
