"""A page in a real browser, and what went wrong or out while it was open."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
ARGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")


@dataclasses.dataclass
class Opened:
    """A page, and what went wrong or out while it was open."""

    page: Any
    path: Path
    errors: list[str]
    requests: list[str]

    def go(self, link: str = "") -> Any:
        self.page.goto("about:blank")
        self.page.goto(self.path.as_uri() + link)
        self.page.wait_for_selector("#rows > *")
        return self.page

    def ids(self) -> list[str]:
        found: list[str] = self.page.eval_on_selector_all("#rows article", "all => all.map(each => each.dataset.id)")
        return found

    def count(self) -> str:
        return str(self.page.text_content("#count")).split(" rows")[0]


def opened_in(context: Any, path: Path) -> Opened:
    found = Opened(context.new_page(), path, [], [])
    found.page.set_default_timeout(10_000)
    found.page.on("console", lambda message: found.errors.append(message.text))
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    return found
