"""Ask one variant everything that a task asks, by lm_eval's own ``evaluate``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loralift.harness.quiet import quiet, seeded, told_of
from loralift.harness.rows import CUT
from loralift.harness.tasks import FEWSHOT_SEED, StandardTask

MOST_WARNINGS = 5

type Samples = dict[str, list[dict[str, Any]]]
"""A task's name to the lines of its sample log, as lm_eval writes them with ``--log_samples``."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a model is asked, the same for every variant.

    Attributes:
        chat: Whether the tokenizer's chat template renders the prompts.
        system: The system's message; empty: none. Only what turns a model's thinking on or off.
        variables: What the chat template is told besides the messages.
    """

    chat: bool = False
    system: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)


def evaluate(
    task: StandardTask, model: Any, tokenizer: Any, way: Way, batch_size: int, answered: Callable[[], None]
) -> tuple[Samples, tuple[str, ...]]:
    """Evaluate one variant.

    Args:
        task: What is asked.
        model: The variant, as `loralift.harness.model` wants it.
        tokenizer: The base's.
        way: How it is asked.
        batch_size: Rows at once.
        answered: Called for each request that is answered.

    Returns:
        The lines of lm_eval's sample logs, with CUT besides: whether a request lost its beginning; and what lm_eval
        warned of, one sentence each.

    Raises:
        Exception: What lm_eval, torch or a task's own functions raise.
    """
    from lm_eval import evaluator

    from loralift.harness.model import LoadedModel

    with quiet() as told, seeded():
        lm = LoadedModel(model, tokenizer, batch_size=batch_size, variables=way.variables, answered=answered)
        for one in task.tasks.values():
            one.set_fewshot_seed(seed=FEWSHOT_SEED)
        found = evaluator.evaluate(
            lm=lm,
            task_dict={"tasks": dict(task.tasks)},
            limit=task.limit,
            bootstrap_iters=0,
            system_instruction=way.system or None,
            apply_chat_template=way.chat,
            fewshot_as_multiturn=way.chat,
        )
        samples = {name: [_line(sample, lm.cut) for sample in found["samples"][name]] for name in task.tasks}
    return samples, told_of(task.name, told)[:MOST_WARNINGS]


def _line(sample: Mapping[str, Any], cut: set[str]) -> dict[str, Any]:
    """A sample as ``EvaluationTracker.save_results_samples`` of lm_eval writes it."""
    from lm_eval.utils import handle_non_serializable, sanitize_list

    arguments = {
        f"gen_args_{number}": {f"arg_{place}": value for place, value in enumerate(request)}
        for number, request in enumerate(sample["arguments"])
    }
    changed = {
        "arguments": arguments,
        "resps": sanitize_list(sample["resps"]),
        "filtered_resps": sanitize_list(sample["filtered_resps"]),
        "target": str(sample["target"]),
        CUT: any(request[0] in cut for request in sample["arguments"]),
    }
    line = json.dumps({**sample, **changed}, default=handle_non_serializable, ensure_ascii=False)
    found: dict[str, Any] = json.loads(line)
    return found
