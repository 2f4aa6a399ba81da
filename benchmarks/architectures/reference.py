"""The plain truth: transformers' ``generate`` and PEFT's layers in float32, one row at a time; nothing of LoraLift."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from benchmarks.architectures.prompts import Question
from loralift.generation.model.quiet import quiet_loading


@dataclass(frozen=True, slots=True)
class TrueAnswer:
    """One answer.

    Attributes:
        tokens: All that were made, with the one that ended it.
        gaps: By how much each token's logit was above the second.
    """

    tokens: tuple[int, ...]
    gaps: tuple[float, ...]


class Plain:
    """A model as anybody loads it, with no adapter or one."""

    def __init__(self, folder: Path, adapter: Path | None = None) -> None:
        """Load it into the CPU's memory, in float32."""
        with quiet_loading():
            base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
            model = base if adapter is None else PeftModel.from_pretrained(base, str(adapter))
        self._model: Any = model.eval().requires_grad_(False)
        self._counting = [module for module in model.modules() if _counters(module)]

    def answer(self, question: Question, most: int) -> TrueAnswer:
        """The greedy answer to one prompt, of at most so many tokens."""
        ids = torch.tensor([question.prompt])
        with self._as_loaded():
            made = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=most,
                do_sample=False,
                return_dict_in_generate=True,
                output_logits=True,
            )
        best = torch.cat(made.logits).float().topk(2).values
        return TrueAnswer(tuple(made.sequences[0, ids.shape[1] :].tolist()), tuple((best[:, 0] - best[:, 1]).tolist()))

    def likelihood(self, question: Question) -> float:
        """The summed log-likelihood of a reference after its prompt, natural logarithm."""
        ids = torch.tensor([[*question.prompt, *question.reference]])
        with self._as_loaded():
            logits = self._model(input_ids=ids).logits[0, len(question.prompt) - 1 : -1]
        chosen = torch.log_softmax(logits.double(), -1).gather(-1, torch.tensor(question.reference)[:, None])
        return float(chosen.sum())

    @contextmanager
    def _as_loaded(self) -> Iterator[None]:
        """Give what a row changed in the model back: dynamic rotary positions remember the longest row so far."""
        kept = [
            (module, _counters(module) | {name: buffer.clone() for name, buffer in module.named_buffers(recurse=False)})
            for module in self._counting
        ]
        with torch.inference_mode():
            yield
        for module, attributes in kept:
            for name, value in attributes.items():
                setattr(module, name, value)


def _counters(module: Any) -> dict[str, Any]:
    """How long rows were so far, where a module counts it."""
    return {name: value for name, value in vars(module).items() if name.endswith("max_seq_len_cached")}
