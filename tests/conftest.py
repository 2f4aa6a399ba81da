"""What every test may use; nothing here reaches the network."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from pathlib import Path

import pytest

from loralift.cache import cache_folder
from loralift.demo import real
from tests.models import demo_run, other_adapter, tiny_adapter, tiny_base

__all__ = ["demo_run", "other_adapter", "tiny_adapter", "tiny_base"]

os.environ["HF_HUB_OFFLINE"] = "1"
# where the real demo may have put its model, before the next line hides it
USERS_CACHE = cache_folder()
# What one test embedded must not answer another, and nothing is left in the user's cache.
os.environ["LORALIFT_CACHE"] = ""
# transformers copies a model's own code before it runs it
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp(prefix="loralift-code-")
# The models here are so small that one thread is as fast; two that wait for each other while another process runs are
# ten times slower (measured).
os.environ.setdefault("OMP_NUM_THREADS", "1")

DEAREST = (
    "tests/demo/test_fooled.py",  # the first to ask for the demo's run, which others then find
    "tests/test_chaos.py",
    "tests/generation/transformers_engine/loop/test_scheduler.py",
    "tests/architectures/test_matrix.py",
    "tests/bad_inputs/test_bad_inputs.py",
    "tests/demo/test_cuts.py",
    "tests/examples/test_notebook.py",
    "tests/cli/test_offline.py",
    "tests/reporting/page",
    "tests/cli",
    "tests/workflow",
    "tests/generation",
)
"""Files that take longest: begun first, so that no worker is left alone with one of them at the end."""

SHARED = Path(__file__).resolve().parents[2] / "shared"
FIQA = SHARED / "fiqa"
CASES = SHARED / "cases"


def pytest_configure(config: pytest.Config) -> None:
    """On every machine the tests run where floats are float32, but for `pytest -m gpu`, and heed Ctrl-C."""
    # a shell that starts something in the background lets it ignore what some tests send
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("markexpr") != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The dearest files first; `--no-loadscope-reorder` keeps xdist from putting those of most tests first.

    Whatever asks for the demo's whole run, a minute of it, is thorough.
    """
    for item in items:
        if "demo_run" in getattr(item, "fixturenames", ()):
            item.add_marker("thorough")

    def place(item: pytest.Item) -> int:
        return next((n for n, name in enumerate(DEAREST) if item.nodeid.startswith(name)), len(DEAREST))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Modules stay until the end: going through them again and again for garbage took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish() -> None:
    """What is frozen is never freed, which nanobind takes for leaks at the end."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def fiqa_dir() -> Path:
    """The real FiQA data that lies beside the checkout; never copied into it."""
    if not FIQA.is_dir():
        pytest.skip(f"the real FiQA data is not beside the checkout ({FIQA})")
    return FIQA


@pytest.fixture(scope="session")
def real_model() -> Path:
    """SmolLM2-135M-Instruct as the real demo keeps it."""
    if USERS_CACHE is None or not (file := real.place_in(USERS_CACHE)).is_file():
        pytest.skip("the real demo's model is not in LoraLift's cache: `make real-model` fetches it")
    return file


@pytest.fixture(scope="session")
def cases_dir() -> Path:
    """Inputs that went wrong once, beside the checkout; never copied into it."""
    if not CASES.is_dir():
        pytest.skip(f"the inputs that went wrong are not beside the checkout ({CASES})")
    return CASES
