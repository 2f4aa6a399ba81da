"""A real tiny model behind a server, for the whole folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.generation.endpoint.served import Served, Tiny, serving


@pytest.fixture(scope="module")
def tiny(generator: Any) -> Iterator[Served]:
    with serving(Served(Tiny(generator), models=("base-1", "letters", "mlp"))) as served:
        yield served
