"""A run's data sets: those that decide, asked by each protocol, and further ones that show what was forgotten."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loralift.comparison import question_of, repeat_id
from loralift.config import RunConfig
from loralift.data import HeldOut, LoadedData, SavedIndices, hash_questions, load_questions, parse_spec
from loralift.data.spec import BeirHub, HubDataset
from loralift.errors import UsageError, some, wrong_argument
from loralift.harness import StandardTask, load_task
from loralift.kept import keep
from loralift.records import Protocol, Question, conversation_of
from loralift.workflow.asking import protocols_of
from loralift.workflow.progress import Watcher
from loralift.workflow.run_directory import RunDirectory

SHOWN_CHARACTERS = 200

MOST_ANSWERS = 10_000_000
"""Of one variant to one data set: each takes some kilobytes of the disk, and a hundred bytes of memory."""


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """One data set of a run, asked by one protocol.

    Attributes:
        name: Empty for the questions that decide, else the name given with --also.
        directory: Where its files are.
        data: The questions, each once.
        repeats: How many answers each question gets.
        protocol: How they are asked.
        further: Whether these are the questions that decide, asked by a protocol that does not decide.
        task: The task of lm-evaluation-harness that it is, asked and scored as that does; None: it is none.
    """

    name: str
    directory: RunDirectory
    data: LoadedData
    repeats: int
    protocol: Protocol
    further: bool = False
    task: StandardTask | None = None

    @property
    def decides(self) -> bool:
        """Whether the verdict is made of these answers."""
        return not self.name and not self.further

    @property
    def part(self) -> str:
        """Its folder in the run; empty for what decides."""
        return f"also/{self.name}" if self.name else f"protocols/{self.protocol.name}" if self.further else ""

    @property
    def label(self) -> str:
        """What progress messages call it; empty for what decides."""
        return self.name or (self.protocol.name if self.further else "")

    @property
    def questions(self) -> Sequence[Question]:
        """The questions, each as often as it is answered; repeats have the ids `ID#NUMBER`."""
        if self.repeats == 1:
            return self.data.questions
        return keep(
            replace(question, id=repeat_id(question.id, number))
            for question in self.data.questions
            for number in range(self.repeats)
        )

    @property
    def clusters(self) -> Callable[[str], str] | None:
        """Row id to question, where questions are answered several times, or to the conversation of several turns."""
        if any(conversation_of(question.id) != question.id for question in self.data.questions):
            return conversation_of
        return None if self.repeats == 1 else question_of


def load_datasets(config: RunConfig, directory: RunDirectory, *, resume: bool) -> list[DatasetRun]:
    """Load the questions that decide, once for each protocol, and every further data set, asked by the first.

    Raises:
        UsageError: There would be too many answers, or a margin is of no task's metric.
        DataError: A data set cannot be read.
    """
    data = _load(config, directory, resume=resume)
    first, *others = protocols_of(config, data.questions)
    datasets = [DatasetRun("", directory, data, config.repeats, first)]
    for protocol in others:
        place = _place(directory, "protocols", protocol.name, resume=resume)
        datasets.append(DatasetRun("", place, data, config.repeats, protocol, further=True))
    for name in config.also:
        place = _place(directory, "also", name, resume=resume)
        if name in config.tasks:
            task = load_task(config.tasks[name], config.limit)
            datasets.append(DatasetRun(name, place, _data_of(task), 1, first, task=task))
            continue
        data = _load(dataset_config(config, name), place, resume=resume)
        datasets.append(DatasetRun(name, place, data, config.repeats, first))
    _refuse_unknown_margins(config, datasets)
    for dataset in datasets:
        if (answers := len(dataset.data.questions) * config.repeats) > MOST_ANSWERS:
            raise UsageError(
                f"`--repeats` {config.repeats:,} of {len(dataset.data.questions):,} questions are {answers:,} answers, "
                f"more than {MOST_ANSWERS:,}: lower it, or take fewer questions with --limit"
            )
    return datasets


def of_task(metric: str) -> bool:
    """Whether a metric's name is one of lm-evaluation-harness's, e.g. ``acc,none``: metric and filter."""
    return "," in metric


def _refuse_unknown_margins(config: RunConfig, datasets: Sequence[DatasetRun]) -> None:
    """Refuse a margin of a task's metric that no task has, which would change nothing."""
    known = [metric.name for dataset in datasets if dataset.task for metric in dataset.task.metrics]
    for name in filter(of_task, config.margins):
        if name not in known:
            allowed = some(dict.fromkeys(known), 20) or "no task of lm-evaluation-harness is among --also"
            raise UsageError(wrong_argument("--margin", f"of a metric of the tasks asked for ({allowed})", name))


def _data_of(task: StandardTask) -> LoadedData:
    """A task's documents as data of a run."""
    rows, several = len(task.questions), len(task.tasks) > 1
    each = f" of each of {len(task.tasks)} tasks" if several else ""
    selection = f"all {rows} rows" if task.limit is None else f"at most {task.limit} rows{each}, {rows} in all"
    source = f"lm-evaluation-harness, {task.name}"
    return LoadedData(task.questions, source, selection, hash_questions(task.questions), {}, notes=task.notes)


def _place(directory: RunDirectory, kind: str, name: str, *, resume: bool) -> RunDirectory:
    place = RunDirectory(directory.root / kind / name)
    if resume:
        place.began()  # refuses answers of which nothing says what they were made with
    return place


def dataset_config(config: RunConfig, name: str) -> RunConfig:
    """The configuration for one data set: columns and splits are given for the questions that decide only."""
    if not name:
        return config
    of_others: dict[str, Any] = {"columns": {}, "eval_indices": None, "eval_fraction": None}
    of_others |= {"format": None, "every_turn": False}
    return config.model_copy(update={"dataset": config.also[name], **of_others})


def notes_of(data: LoadedData) -> list[str]:
    """What a reader must know of the data: rows that were left out, and other notes made while loading."""
    together = {conversation_of(question.id) for question in data.questions}
    if any(conversation_of(question.id) != question.id for question in data.questions):
        said = "the turns of one conversation are no independent rows: they are averaged before anything is compared"
        data = replace(data, notes=(*data.notes, f"{said} ({len(data.questions)} turns of {len(together)})"))
    if not data.dropped:
        return list(data.notes)
    named = "; ".join(f"{row.id}: {row.reason}" for row in data.dropped[:5])
    more = f"; and {len(data.dropped) - 5} more" if len(data.dropped) > 5 else ""
    return [f"{len(data.dropped)} rows were left out ({named}{more})", *data.notes]


def tell(dataset: DatasetRun, watcher: Watcher) -> None:
    """Say what was loaded, and show one question."""
    data = dataset.data
    watcher.say(f"data: {len(data.questions)} questions from {data.source} ({data.selection})")
    for note in notes_of(data):
        watcher.say(f"data: {note}")
    sample = random.Random(0).choice(data.questions)
    shown = sample.reference[:SHOWN_CHARACTERS] + ("…" if len(sample.reference) > SHOWN_CHARACTERS else "")
    watcher.say(f"data: for example {sample.id}: {sample.conversation!r} -> {shown!r}")


def _load(config: RunConfig, directory: RunDirectory, *, resume: bool) -> LoadedData:
    """Load questions; a resume reads those that the run saved, so that it needs no hub."""
    on_hub = isinstance(parse_spec(config.dataset), HubDataset | BeirHub)
    if resume and on_hub and directory.run.exists() and directory.dataset.exists():
        saved = directory.read_run()["data"]
        if saved["asked"] == asked_for(config):
            questions = directory.read_questions(unasked=True)
            sha256 = hash_questions(questions)
            notes = tuple(directory.read_run()["notes"])  # including those about rows that were left out
            return LoadedData(questions, saved["source"], saved["selection"], sha256, saved["columns"], notes=notes)
    selection: SavedIndices | HeldOut | None = None
    if config.eval_indices is not None:
        selection = SavedIndices(config.eval_indices)
    elif config.eval_fraction is not None:
        selection = HeldOut(config.eval_fraction, config.split_seed)
    return load_questions(
        config.dataset,
        columns=config.columns,
        selection=selection,
        limit=config.limit,
        strict=config.strict,
        references=config.references,
        wanted=config.format,
        every_turn=config.every_turn,
    )


def asked_for(config: RunConfig) -> dict[str, Any]:
    """The part of the configuration that decides which questions there are, as JSON holds it."""
    fields = {"dataset", "columns", "eval_indices", "eval_fraction", "split_seed", "limit", "strict", "references"}
    fields |= {"format", "every_turn"}
    return config.model_dump(mode="json", include=fields)
