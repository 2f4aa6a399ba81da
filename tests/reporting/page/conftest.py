from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.reporting.page.browsing import ARGS, CHROMIUM


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def context(browser: Any) -> Iterator[Any]:
    made = browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    yield made
    made.close()
