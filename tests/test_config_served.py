"""What a configuration may say of a served model."""

from __future__ import annotations

from typing import Any

import pytest

from loralift.config import parse
from loralift.config.served import NOT_SERVED, ServedFields
from loralift.errors import UsageError

SERVED = {"engine": "endpoint", "endpoint": "http://localhost:8000/v1", "model": "m"}


def test_a_served_model_needs_a_url_and_the_url_the_engine() -> None:
    assert parse({**SERVED, "adapters": {"mine": "org/lora"}}).adapters == {"mine": "org/lora"}
    with pytest.raises(UsageError, match="`--engine` endpoint must be given with --endpoint URL"):
        parse({"engine": "endpoint"})
    for name in ServedFields.model_fields:
        value = {"endpoint_api": "chat", "endpoint_wait": 1, "concurrency": 2}.get(name, "x")
        with pytest.raises(UsageError, match=rf"`--{name.replace('_', '-')}` is of a served model"):
            parse({name: value})


OTHERWISE: dict[str, Any] = {
    "candidates": {"full": "./full"},
    "trust_remote_code": True,
    "full_hash": True,
    "quantization": "nf4",
    "decoding": "loop",
    "device_map": "auto",
    "tensor_parallel": 2,
    "workers": 2,
    "dtype": "float32",
    "batch_size": 8,
    "eos_token": ["</s>"],
    "revision": "main",
}


@pytest.mark.parametrize("name", NOT_SERVED)
def test_what_is_of_weights_in_this_process_is_refused_with_the_remedy(name: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse({**SERVED, name: OTHERWISE[name]})
    assert "must be left out with --engine endpoint" in str(raised.value)
    assert NOT_SERVED[name] in str(raised.value)


def test_tasks_of_lm_evaluation_harness_are_refused() -> None:
    with pytest.raises(UsageError, match=r"must be transformers for tasks .*got endpoint"):
        parse({**SERVED, "also": {"maths": "lm-eval:gsm8k"}})
