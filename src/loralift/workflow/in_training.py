"""Looks at an adapter in training: each saves it and is a run of its own, over the base that the training holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from loralift.config import RunConfig, parse
from loralift.errors import UsageError, some, wrong_argument
from loralift.generation.adapter.info import hash_adapter
from loralift.generation.model.base_model import BaseModel
from loralift.generation.transformers_engine.in_memory import share
from loralift.records import Report
from loralift.reporting.doubts import doubts_of
from loralift.reporting.tables import headline
from loralift.workflow import files
from loralift.workflow.generating import inspect_model
from loralift.workflow.running import run
from loralift.workflow.scoring import scoring_of

OF_TRAINING = (
    *("adapters", "base_from", "candidates", "device", "device_map", "dtype", "engine", "output_dir", "quantization"),
    "tensor_parallel",
)
"""What the training decides, and no argument."""

PREFIX = "eval_loralift_"
"""Of every figure's name: what begins with ``eval_`` is seen by whatever watches a Trainer."""

SUFFIXES = ("_difference", "_low", "_high")
"""Of the names of the difference from the base, and of the ends of its 95 % interval."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at an adapter found.

    Attributes:
        sha256: Of the adapter.
        folder: The run directory.
        number: Which look at these rows it is, from 1.
        figures: Name to value: each judged metric of the adapter, its difference from the base and that one's 95 %
            interval, in the metric's unit.
        sentence: The verdict with its evidence.
        leaked: How many rows stand in the training data.
    """

    sha256: str
    folder: Path
    number: int
    figures: Mapping[str, float]
    sentence: str
    leaked: int


@dataclass(frozen=True, slots=True)
class Looking:
    """What all looks of a training share.

    Attributes:
        config: What is evaluated and how, but for adapter and folder.
        base: Over the weights that the training holds.
        folder: Where each look's run directory lies.
        adapter: The adapter's name in the runs.
        key: Its name in the PeftModel.
    """

    config: RunConfig
    base: BaseModel
    folder: Path
    adapter: str
    key: str


def config_of(given: Mapping[str, Any]) -> RunConfig:
    """The configuration of the looks, as far as no training decides it.

    Raises:
        UsageError: An argument is unknown, not what it must be, or the training's own.
    """
    for name in OF_TRAINING:
        if name in given:
            raise UsageError(wrong_argument(name, "left out: the training decides it", given[name]))
    return parse({**given, "engine": "transformers"})


def refuse_unlogged(config: RunConfig, metric: str, *, greater: bool) -> None:
    """Refuse to choose checkpoints by a figure that is not logged, or in the wrong direction.

    Args:
        config: Of the looks.
        metric: The Trainer's ``metric_for_best_model``.
        greater: Its ``greater_is_better``.

    Raises:
        UsageError: It is one of ours, and no look gives it, or the worst checkpoint would be kept as the best.
    """
    name = metric if metric.startswith("eval_") else f"eval_{metric}"
    if not name.startswith(PREFIX):
        return
    judged = {f"{PREFIX}{key}": info for key, info in scoring_of(config).metrics.items()}
    known = next((key for key in judged for suffix in ("", *SUFFIXES) if name == f"{key}{suffix}"), None)
    better = None if known is None else judged[known].higher_is_better
    if better is None:
        names = [key for key, info in judged.items() if info.higher_is_better is not None]
        raise UsageError(wrong_argument("metric_for_best_model", f"one of {some(names, 20)}", metric))
    if better != greater:
        raise UsageError(wrong_argument("greater_is_better", f"{better} for {metric}", greater))


def begin(model: Any, config: RunConfig, folder: Path, adapter: str) -> Looking:
    """Prove that what lies under a PeftModel's adapter is the base, and share its weights.

    Args:
        model: The PeftModel in training, on its device.
        config: As of `config_of`.
        folder: Where the looks are kept.
        adapter: What the runs call the adapter.

    Raises:
        UsageError: Several adapters act at once, or nothing says which base it is.
        ModelError: The base cannot be found, or what lies under the adapter is not it.
    """
    keys = list(model.active_adapters)
    if len(keys) != 1:
        raise UsageError(f"one adapter of the model must be active, got {some(keys)}: set_adapter chooses it")
    trained = model.peft_config[keys[0]]
    if "model" not in config.model_fields_set:
        if not trained.base_model_name_or_path:
            raise UsageError("`model` must be given: the adapter's configuration does not say which base it is for")
        update = {"model": trained.base_model_name_or_path, "revision": config.revision or trained.revision}
        config = config.model_copy(update=update)
    base = share(inspect_model(config), model)
    assert base.in_memory is not None
    config = config.model_copy(update={"device": base.in_memory.device, "dtype": base.in_memory.dtype})
    return Looking(config, base, folder, adapter, keys[0])


def with_training_texts(looking: Looking, texts: Iterable[str]) -> Looking:
    """Looks that find the rows which stand in what is trained on, where the configuration does not name it.

    Args:
        looking: Whose folder gets a file of the texts.
        texts: A text a training row.
    """
    path = looking.folder / "training.jsonl"
    looking.folder.mkdir(parents=True, exist_ok=True)
    files.write_jsonl(path, ({"text": text} for text in texts))
    return replace(looking, config=looking.config.model_copy(update={"train_data": path}))


def look(looking: Looking, model: Any, step: int, last: Look | None) -> Look:
    """Save the adapter as it is now, evaluate it beside the base, and compare: a run of its own.

    Args:
        looking: What all looks share.
        model: The PeftModel.
        step: Of the training.
        last: The look before, whose answers of the base are taken; None: there was none.

    Returns:
        What was found; ``last``, if the adapter is the same as then.

    Raises:
        LoraLiftError: The adapter acts on nothing, the base's weights have changed, or whatever else ends a run.
    """
    looking.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="adapter-", dir=looking.folder) as saved:
        model.save_pretrained(saved, selected_adapters=[looking.key])
        place = Path(saved) if looking.key == "default" else Path(saved) / looking.key
        sha256 = hash_adapter(place)
        if last is not None and last.sha256 == sha256:
            return last
        number = len(list(looking.folder.glob("step-*/comparison.json"))) + 1
        folder = _free(looking.folder, f"step-{step}")
        update = {"adapters": {looking.adapter: str(place)}, "output_dir": folder}
        config = looking.config.model_copy(update={**update, "base_from": None if last is None else last.folder})
        note = _note(step, number)
        result = run(config, command="loralift.callbacks.LoraLiftCallback", base=looking.base, notes=(note,))
    return _found(result.report, looking.adapter, Look(sha256, folder, number, {}, "", 0))


def _note(step: int, number: int) -> str:
    looks = "the first look" if number == 1 else f"look {number}"
    return (
        f"An adapter in training, at step {step}: {looks} at these rows. Each look is tested as if it were the only "
        "one, so that among several a false verdict is likelier than 5 %, and the best of them looks better than it "
        "is: evaluate the checkpoint that is kept on rows that no look has seen."
    )


def _free(folder: Path, name: str) -> Path:
    """A place for a run where nothing is: of an earlier training that wrote here there may be some."""
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(folder / free for free in names if not (folder / free).exists())


def _found(report: Report, adapter: str, of: Look) -> Look:
    comparison = report.comparison
    assert comparison is not None
    figures: dict[str, float] = {}
    for row in comparison.rows:
        if row.candidate != adapter or comparison.metrics[row.metric].higher_is_better is None:
            continue
        ends = (None, None) if row.interval is None else (row.interval.low, row.interval.high)
        values = (row.candidate_value, row.difference, *ends)
        for suffix, value in zip(("", *SUFFIXES), values, strict=True):
            if value is not None:
                figures[f"{PREFIX}{row.metric}{suffix}"] = value
    sentence = headline(comparison, adapter, doubts_of(report))
    leaked = len({leak.id for leak in report.confounds.leaks.get(adapter, ())})
    return replace(of, figures=figures, sentence=sentence, leaked=leaked)
