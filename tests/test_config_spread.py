"""`--workers` and `--ray-address`: what is allowed, and what cannot be spread is refused before anything is loaded."""

from __future__ import annotations

import pytest

from loralift.config import parse
from loralift.errors import UsageError

BASE = {"model": "m", "adapters": {"a": "a"}}


@pytest.mark.parametrize(
    "given",
    [
        {"workers": "auto"},
        {"workers": "2", "ray_address": "auto"},
        {"workers": 2, "ray_address": "head.example:6379", "tensor_parallel": 2, "device": "cuda"},
    ],
)
def test_what_is_allowed(given):
    assert parse({**BASE, **given}).workers == ("auto" if given["workers"] == "auto" else 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": 0}, "`--workers` must be auto or an integer from 1 to 4,096, got 0"),
        ({"workers": "all"}, "`--workers` must be auto or an integer from 1 to 4,096, got 'all'"),
        ({"ray_address": "auto"}, "`--ray-address` must be given with --workers N"),
        ({"workers": 2, "ray_address": "ray://head:10001"}, "must be HOST:PORT or auto, got 'ray://head:10001'"),
        ({"workers": 2, "device": "cuda:1"}, "`--device` must be cpu or cuda with --workers"),
        ({"workers": 2, "device_map": "auto"}, "`--device-map` and `--workers` exclude each other"),
        ({"workers": 2, "candidates": {"c": "c"}}, r"`--candidate` is not spread over workers \(c\)"),
        ({"workers": 2, "also": {"t": "lm-eval:t"}}, r"`--workers` cannot ask tasks of lm-evaluation-harness \(t\)"),
        (
            {"workers": 2, "engine": "endpoint", "endpoint": "http://localhost:1/v1"},
            "`--workers` must be left out with --engine endpoint: one process asks, with --concurrency N",
        ),
    ],
)
def test_what_cannot_be_spread_is_refused(given, said):
    with pytest.raises(UsageError, match=said):
        parse({**BASE, **given})
