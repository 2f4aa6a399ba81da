"""Did the LoRA lift the model so far? A callback of transformers' Trainer, and so of TRL's, that looks while it trains.

>>> trainer = SFTTrainer(...)  # doctest: +SKIP
>>> trainer.add_callback(LoraLiftCallback(trainer, dataset="held-out.jsonl", limit=100))  # doctest: +SKIP
>>> trainer.train()  # doctest: +SKIP
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from loralift.arguments import name as name_of
from loralift.data.leakage import said_in
from loralift.errors import LoraLiftError, UsageError, wrong_argument
from loralift.versions import need_run, refuse_untested
from loralift.visible import one_line

need_run("`loralift.callbacks`")
refuse_untested()

import torch  # noqa: E402 - only now is it known to be there
from peft import PeftModel  # noqa: E402
from transformers import EarlyStoppingCallback, TrainerCallback  # noqa: E402

from loralift.workflow.in_training import (  # noqa: E402
    PREFIX,
    Look,
    Looking,
    begin,
    config_of,
    look,
    refuse_unlogged,
    with_training_texts,
)

REMEDY = "save checkpoints, and evaluate them by `loralift run --adapter 'OUTPUT/checkpoint-*'` instead"

PATCHES = ("liger_kernel", "unsloth")
"""Packages that replace parts of transformers' models in the whole process, so that they compute other numbers."""


class LoraLiftCallback(TrainerCallback):  # type: ignore[misc]
    """At every evaluation, or at the end, evaluate the adapter in training against its base on held-out rows.

    Each look is a run directory of its own, on which `loralift report` and all else works, with the figures of
    `loralift run` on the same adapter: the base's weights are shared with the training, all else is loaded as it does.
    The training goes on as if nobody had looked. Figures are logged and added to the evaluation's metrics as
    ``eval_loralift_METRIC``, ``…_difference``, ``…_low`` and ``…_high``; verdict and evidence are printed.

    Args:
        trainer: The Trainer, whose model is a PeftModel.
        at: ``evaluate``: at each of its evaluations; ``end``: once, when training has ended.
        name: What the runs call the adapter.
        output_dir: Where the runs are kept; None: ``loralift`` in the Trainer's own.
        **config: Fields of `loralift.config.RunConfig`, as for `loralift.evaluate`, but for those that the training
            decides: the adapter, the device, the dtype.

    Raises:
        UsageError: An argument is not what it must be, or the Trainer trains in a way that cannot be looked at.
    """

    def __init__(
        self,
        trainer: Any,
        *,
        at: Literal["evaluate", "end"] = "evaluate",
        name: str = "adapter",
        output_dir: str | Path | None = None,
        **config: Any,
    ) -> None:
        if at not in ("evaluate", "end"):
            raise UsageError(wrong_argument("at", "evaluate or end", at))
        self._trainer = trainer
        self._at = at
        self._name = name_of("name", name, "a name")
        self._config = config_of(config)
        self._folder = Path(output_dir or Path(trainer.args.output_dir) / "loralift")
        self._looking: Looking | None = None
        self._last: Look | None = None
        _refuse_unsuited(trainer)

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Refuse what cannot be looked at, before anything is trained.

        Raises:
            LoraLiftError: One line on what is wrong.
        """
        del state, control, others
        _refuse_unsuited(self._trainer)
        if self._at == "evaluate":
            _refuse_unevaluated(self, args, self._trainer.callback_handler.callbacks)
        if args.metric_for_best_model is not None:
            if self._at == "end" and PREFIX in f"eval_{args.metric_for_best_model}":
                raise UsageError("`at` must be evaluate for metric_for_best_model to be one of LoraLift's, got end")
            refuse_unlogged(self._config, args.metric_for_best_model, greater=bool(args.greater_is_better))
        _on_all_ranks(self._trainer, self._begin)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **others: Any
    ) -> None:
        """Look, and add the figures to the evaluation's metrics."""
        del args, control, others
        if self._at == "evaluate":
            self._look(state.global_step, {} if metrics is None else metrics)

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Look, where that was asked for at the end alone."""
        del args, control, others
        if self._at == "end":
            self._look(state.global_step, {})

    def _look(self, step: int, metrics: dict[str, float]) -> None:
        """One look; what refuses it is said, and the training, which may be of days, goes on."""
        before = self._last
        try:
            self._last = found = _on_all_ranks(self._trainer, lambda: self._found(step))
        except LoraLiftError as error:
            self._say(f"step {step}: NO LOOK: {error}")
            return
        metrics.update(found.figures)
        if before is not None and found.folder == before.folder:
            return  # the adapter is the same: of several evaluation sets, or of a call after training
        self._trainer.log(dict(found.figures))
        self._say(f"step {step}, look {found.number}, tested by itself: {found.sentence}")
        if found.leaked:
            self._say(f"{found.leaked} of the rows stand in what is trained on: the report compares without them, too")
        self._say(f"report: {found.folder}/report.html")

    def _begin(self) -> None:
        with _left_alone(self._trainer.args.device):
            model = self._trainer.model
            self._looking = begin(model, self._config, self._folder, self._name)
            if self._config.train_data is None:
                texts = _training_texts(self._trainer)
                if texts is None:
                    self._say("rows that are trained on cannot be found here: give `train_data`, a file of them")
                else:
                    self._looking = with_training_texts(self._looking, texts)

    def _found(self, step: int) -> Look:
        if self._looking is None:  # an evaluation before any training
            self._begin()
        assert self._looking is not None
        with _left_alone(self._trainer.args.device):
            return look(self._looking, self._trainer.model, step, self._last)

    def _say(self, text: str) -> None:
        if self._trainer.is_world_process_zero():
            print(f"loralift: {one_line(text, 2_000)}", flush=True)


def _refuse_unsuited(trainer: Any) -> None:
    """Refuse trainings whose adapter or base cannot be seen, or would not compute as `loralift run` does.

    Raises:
        UsageError: It is one.
    """
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        name = "FSDP" if trainer.is_fsdp_enabled else "DeepSpeed"
        raise UsageError(f"the training is by {name}, which may spread weights over processes: {REMEDY}")
    if not isinstance(trainer.model, PeftModel):
        kind = type(trainer.model).__name__
        raise UsageError(
            f"the trainer's model must be a PeftModel, got {kind}: an adapter is compared with its own base; evaluate "
            "a whole model by `loralift run --candidate NAME=MODEL`"
        )
    if patched := [name for name in PATCHES if name in sys.modules]:
        raise UsageError(f"{patched[0]} is loaded, which changes what models compute in this process: {REMEDY}")


def _refuse_unevaluated(callback: LoraLiftCallback, args: Any, callbacks: list[Any]) -> None:
    """Refuse a training without evaluations, or one whose early stopping looks before there is anything to see.

    Raises:
        UsageError: It is one.
    """
    if str(getattr(args.eval_strategy, "value", args.eval_strategy)) == "no":
        raise UsageError("`eval_strategy` must be steps or epoch for at='evaluate', got no: set it, or give at='end'")
    named = args.metric_for_best_model or ""
    early = [place for place, one in enumerate(callbacks) if isinstance(one, EarlyStoppingCallback)]
    if "loralift_" in named and early and early[0] < callbacks.index(callback):
        raise UsageError(
            f"EarlyStoppingCallback must be added after LoraLiftCallback to see {named}: trainer.add_callback(…) both, "
            "in this order"
        )


def _on_all_ranks[Found](trainer: Any, work: Callable[[], Found]) -> Found:
    """What the first process finds, on all of them; the others wait. What it refuses is raised by all.

    Raises:
        LoraLiftError: What `work` raises.
    """
    if trainer.args.world_size == 1:
        return work()
    from accelerate.utils import broadcast_object_list

    said: list[Any] = [None, None]
    if trainer.is_world_process_zero():
        try:
            said[0] = work()
        except LoraLiftError as error:
            said[1] = str(error)
    found, refused = broadcast_object_list(said)
    if refused is not None:
        raise LoraLiftError(refused)
    result: Found = found
    return result


@contextmanager
def _left_alone(device: torch.device) -> Iterator[None]:
    """Put back the random numbers that a look uses, and let it compute as a new process does, without tf32."""
    python, numbers = random.getstate(), np.random.get_state()
    backends = (torch.backends, torch.backends.cuda.matmul)
    precisions = [backend.fp32_precision for backend in backends]
    on_gpu = device.type == "cuda"
    try:
        for backend in backends:
            backend.fp32_precision = "none"
        with torch.random.fork_rng([device] if on_gpu else []):
            yield
    finally:
        for backend, precision in zip(backends, precisions, strict=True):
            backend.fp32_precision = precision
        random.setstate(python)
        np.random.set_state(numbers)
        if on_gpu:
            torch.cuda.empty_cache()


def _training_texts(trainer: Any) -> list[str] | None:
    """What is trained on, a text a row; None where that cannot be read without spending it, or is no text."""
    rows = trainer.train_dataset
    if not hasattr(rows, "__len__") or not hasattr(rows, "__getitem__"):
        return None
    texts = [_text(rows[place], trainer.processing_class) for place in range(len(rows))]
    return texts if any(texts) else None


def _text(row: Any, tokenizer: Any) -> str:
    if tokenizer is not None and isinstance(row, Mapping) and row.get("input_ids") is not None:
        return str(tokenizer.decode(row["input_ids"]))
    return "\n".join(said_in(row))
