"""The settings of a generation, and what importing the room costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from loralift.errors import UsageError
from loralift.generation import GenerationSettings


def test_greedy_is_the_default():
    assert GenerationSettings().temperature == 0


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("max_new_tokens", 0, "`--max-new-tokens` must be a positive integer, got 0"),
        ("temperature", -0.1, "`--temperature` must be 0 (greedy) or above, got -0.1"),
        ("temperature", float("nan"), "`--temperature` must be 0 (greedy) or above, got nan"),
        ("top_p", 0.0, "`--top-p` must be above 0 and at most 1, got 0.0"),
        ("top_p", 1.5, "`--top-p` must be above 0 and at most 1, got 1.5"),
        ("stop", ("a", ""), "`--stop` must be strings that are not empty, got ('a', '')"),
        ("seed", -1, "`--seed` must be 0 or a positive integer, got -1"),
        ("batch_size", 0, "`--batch-size` must be auto or a positive integer, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(setting, value, message):
    with pytest.raises(UsageError) as caught:
        GenerationSettings(**{setting: value})
    assert str(caught.value) == message


def test_importing_the_room_imports_no_torch():
    program = (
        "import loralift.generation, sys; print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
