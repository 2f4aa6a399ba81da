"""Load a task of lm-evaluation-harness with its data, and refuse what could not be compared row by row.

A user's own task file may name functions of Python files beside it (``!function``): they run, as in lm_eval. Code that
the *model* writes is never run.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from loralift.errors import DataError, MissingExtraError, UsageError, some, wrong_argument
from loralift.harness.identity import identity_of
from loralift.harness.questions import questions_of, without_choice
from loralift.harness.quiet import quiet, told_of
from loralift.harness.spec import TaskSpec, parse_task
from loralift.reading import failing, reason_of
from loralift.records import Plain, Question
from loralift.versions import refuse_untested

EXTRA = "lm-eval"
NO_ROWS = "it has no rows to evaluate"
FEWSHOT_SEED = 1234
"""lm_eval's default: each variant is shown the same worked examples."""


@dataclass(frozen=True, slots=True)
class TaskMetric:
    """One metric of a task by one of its filters.

    Attributes:
        metric: lm_eval's name of it.
        filter: lm_eval's name of what picks the answer out of the text; ``none`` where nothing does.
        higher_is_better: As the task says; None: it does not say.
    """

    metric: str
    filter: str
    higher_is_better: bool | None

    @property
    def name(self) -> str:
        """As lm_eval's results are keyed: ``exact_match,strict-match``; no metric of ours has a comma."""
        return f"{self.metric},{self.filter}"

    @property
    def title(self) -> str:
        """For people."""
        return self.metric if self.filter == "none" else f"{self.metric} ({self.filter})"


@dataclass(frozen=True, slots=True)
class StandardTask:
    """A task, or the tasks of a group, with their data.

    Attributes:
        name: As it was asked for.
        tasks: Name to lm_eval's task; more than one of a group.
        metrics: What all of them are scored by, row by row; the first with a direction decides.
        questions: One a document, in order.
        identity: What decides how it is asked and scored, in plain values; a resume needs it unchanged.
        example: The first prompt, before any chat template.
        limit: Most documents of each of the tasks; None: all.
        notes: What a reader must know of it, one sentence each.
    """

    name: str
    tasks: Mapping[str, Any]
    metrics: tuple[TaskMetric, ...]
    questions: tuple[Question, ...]
    identity: Mapping[str, Plain]
    example: str
    limit: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def requests(self) -> int:
        """How many requests a variant is asked."""
        return sum(instance.repeats for task in self.tasks.values() for instance in task.instances)


def load_task(text: str, limit: int | None) -> StandardTask:
    """Load a task and build its requests once, so that what is wrong with it is known before a model is loaded.

    Args:
        text: What stands behind ``lm-eval:``.
        limit: Most documents of each task; None: all.

    Raises:
        MissingExtraError: lm-evaluation-harness is not installed.
        VersionError: It is of a version that was not tested.
        UsageError: There is no such task, or it has a fixed number of worked examples and another is asked for.
        DataError: It cannot be loaded, needs what is not done here, or nothing of it is a mean over rows.
    """
    installed = _version()
    spec = parse_task(text)
    with failing(f"`--also lm-eval:{spec.name}` cannot be loaded", DataError, reason=_reason), quiet() as told:
        tasks = _load(spec, installed, told)
        _refuse_undoable(spec.name, tasks)
        for task in tasks.values():
            _prepare(spec, task)
            task.build_all_requests(limit=limit)
        metrics, notes = _metrics(spec.name, tasks)
        questions = questions_of(tasks, limit)
        if strange := sum(without_choice(task, limit) for task in tasks.values()):
            rows = f"{strange} of {len(questions)} rows have a target that is none of their choices"
            notes += (f"{spec.name}: {rows}, so that lm_eval scores every answer to them as wrong.",)
        return StandardTask(
            spec.name,
            tasks,
            metrics,
            questions,
            {"version": installed, **identity_of(spec, tasks, limit)},
            str(next(iter(tasks.values())).instances[0].args[0]),
            limit,
            (*notes, *told_of(spec.name, told)),
        )


def _version() -> str:
    """The installed version of lm_eval, before anything of it is imported."""
    if importlib.util.find_spec("lm_eval") is None:
        raise MissingExtraError("`--also lm-eval:TASK`", EXTRA)
    refuse_untested(("lm-eval",))
    return version("lm_eval")


def _load(spec: TaskSpec, version: str, told: Counter[str]) -> dict[str, Any]:
    """Name to lm_eval's task."""
    from lm_eval.tasks import TaskManager

    if spec.path is not None:
        # what a group names lies beside it; lm_eval's own thousands of files are not looked through
        manager = TaskManager(include_path=str(spec.path.parent), include_defaults=False)
        # by its name where it has one alone: of a path lm_eval loads tasks and no groups
        named = [name for name, entry in manager.task_index.items() if entry.yaml_path == spec.path]
        found = manager.load([named[0] if named else str(spec.path)])["tasks"]
    else:
        manager = TaskManager()
        told.clear()  # lm_eval's own files have some names twice
        if spec.name not in manager.all_tasks:
            near = difflib.get_close_matches(spec.name, manager.all_tasks, 3)
            known = f"the name of a task or a group of lm-evaluation-harness {version}, or a file that ends in .yaml"
            like = f", which is like {some(near)}" if near else ""
            raise UsageError(wrong_argument("--also lm-eval:TASK", known, spec.name) + like)
        found = manager.load([spec.name])["tasks"]
    if not found:
        raise DataError(f"`--also lm-eval:{spec.name}` has no task in it")
    return dict(found)


def _refuse_undoable(name: str, tasks: Mapping[str, Any]) -> None:
    """Refuse tasks that need more than a model which reads and writes text."""
    for task_name, task in tasks.items():
        said = f"`--also lm-eval:{name}`"
        if getattr(task, "UNSAFE_CODE", False):
            raise DataError(
                f"{said}: {task_name} runs code that the model writes, which LoraLift does not do: let lm_eval do it "
                "with --log_samples --confirm_run_unsafe_code, and compare its two sample logs with loralift compare"
            )
        if getattr(task, "MULTIMODAL", False):
            raise DataError(f"{said}: {task_name} asks about pictures or sound: leave it out")
        if not len(task.eval_docs):
            raise DataError(f"{said}: {task_name}: {NO_ROWS}")


def _prepare(spec: TaskSpec, task: Any) -> None:
    """Set the number of worked examples, as lm_eval's own ``simple_evaluate`` does, and their seed."""
    own = task.get_config("num_fewshot")
    if spec.num_fewshot is not None and own == 0 and spec.num_fewshot:
        raise UsageError(
            f"`--also lm-eval:{spec.name}` cannot have num_fewshot={spec.num_fewshot}: {task.task_name} sets it to 0 "
            "itself, which lm_eval leaves so; leave the option out"
        )
    if spec.num_fewshot is not None or own is None:
        task.set_config(key="num_fewshot", value=spec.num_fewshot or 0)
    task.set_fewshot_seed(seed=FEWSHOT_SEED)


def _metrics(name: str, tasks: Mapping[str, Any]) -> tuple[tuple[TaskMetric, ...], tuple[str, ...]]:
    """What every task is scored by that is a mean over rows, and what was left out, in sentences."""
    from lm_eval.api.metrics import mean

    by_task = {task_name: list(_metrics_of(task)) for task_name, task in tasks.items()}
    first = next(iter(by_task.values()))
    shared = [one for one in first if all(one in of for of in by_task.values())]
    averaged = {one: all(task.aggregation().get(one.metric, mean) is mean for task in tasks.values()) for one in shared}
    kept = tuple(one for one, is_mean in averaged.items() if is_mean)
    notes = []
    if corpus := [one.title for one, is_mean in averaged.items() if not is_mean]:
        notes.append(f"{name}: {some(corpus)} left out, which is no mean over rows, so that no rows can be paired.")
    everywhere = dict.fromkeys(one.title for of in by_task.values() for one in of)
    if alone := [title for title in everywhere if title not in {one.title for one in shared}]:
        notes.append(f"{name}: {some(alone)} left out, for not all of its {len(tasks)} tasks have it.")
    if not any(one.higher_is_better is not None for one in kept):
        why = " ".join(notes) or "no metric of it says whether more is better."
        raise DataError(f"`--also lm-eval:{name}` has nothing to judge by: {why.rstrip('.')}")
    if len(tasks) > 1:
        notes.append(f"{name}: {len(tasks)} tasks in one; each of all their rows counts alike.")
    return kept, tuple(notes)


def _metrics_of(task: Any) -> Iterator[TaskMetric]:
    filters: Sequence[Any] = task.get_config("filter_list") or [{"name": "none"}]
    better = task.higher_is_better()
    for metric in task.aggregation():
        for one in filters:
            direction = better.get(metric)
            yield TaskMetric(str(metric), str(one["name"]), direction if isinstance(direction, bool) else None)


def _reason(cause: Exception) -> str:
    """Why it could not be loaded, and what to do where that is known."""
    if isinstance(cause, ModuleNotFoundError):
        return f"it needs the package {cause.name}: pip install {cause.name}"
    if isinstance(cause, ConnectionError):
        return f"{reason_of(cause)}; its data come from the Hugging Face hub: fetch them once with a network"
    if isinstance(cause, IndexError) and str(cause).endswith("size 0"):
        return NO_ROWS  # lm_eval looks at the first row
    return reason_of(cause)
