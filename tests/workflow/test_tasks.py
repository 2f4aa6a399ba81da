"""How a run asks a task and describes its metrics; the whole way is in tests/cli/test_standard_tasks.py."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from loralift.config import parse
from loralift.errors import ModelError
from loralift.harness import StandardTask, TaskMetric
from loralift.harness.evaluating import Way
from loralift.records import Score
from loralift.workflow import tasks

TASK = StandardTask("t", {}, (), (), {"version": "0.4.13", "num_fewshot": "0"}, "?")


def rows(*values: float | None) -> dict[str, list[Score]]:
    return {"base": [Score(str(number), {"acc,none": value}) for number, value in enumerate(values)]}


def test_without_memory_all_is_asked_again_by_half_as_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once: list[int] = []
    fits = {"rows": 1}

    def evaluate(task: Any, model: Any, tokenizer: Any, way: Way, batch_size: int, answered: Any) -> Any:
        at_once.append(batch_size)
        answered()
        if batch_size > fits["rows"]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"t": []}, ()

    told: list[int] = []
    monkeypatch.setattr(tasks, "evaluate", evaluate)
    monkeypatch.setattr(tasks, "plainly", lambda generator, variant: nullcontext())
    given = TASK, "base", cast(Any, SimpleNamespace(tokenizer=None)), Way(), told.append
    for most, asked, wanted in ((1, 4, [4, 2, 1]), (8, "auto", [8])):
        fits["rows"] = most
        at_once.clear()
        assert tasks._evaluated(parse({"batch_size": asked}), *given) == ({"t": []}, ())
        assert at_once == wanted
    assert told == [1, 1, 1, 1]
    fits["rows"] = 0
    with pytest.raises(ModelError, match="memory ran out with a single row"):
        tasks._evaluated(parse({"batch_size": 2}), *given)


def test_only_shares_have_a_scale_and_a_margin_of_their_own() -> None:
    share = tasks._info(TaskMetric("acc", "none", True), TASK, rows(0.0, 1.0, None))
    assert (share.low, share.high, share.margin, share.title) == (0.0, 1.0, 0.01, "acc")
    other = tasks._info(TaskMetric("acc", "none", True), TASK, rows(0.0, 0.5))
    assert (other.low, other.high, other.margin) == (None, None, None)
    assert tasks._info(TaskMetric("acc", "none", None), TASK, rows(1.0)).higher_is_better is None
