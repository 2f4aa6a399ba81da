"""Standard tasks, as lm-evaluation-harness asks and scores them.

::

    lm-eval:TASK --load_task--> StandardTask --evaluate--> samples, lm_eval's own --scored--> Answers, Scores

Prompts, requests, log-likelihoods, filters and scores are lm_eval's, on a model that is loaded already: what it would
give with ``peft=`` it gives here, row by row. Our part is to pair the rows. No file is written here.
"""

from __future__ import annotations

from loralift.harness.rows import scored
from loralift.harness.tasks import StandardTask, TaskMetric, load_task

__all__ = ["StandardTask", "TaskMetric", "load_task", "scored"]
