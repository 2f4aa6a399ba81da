"""The modes in which one model can be run. All should answer alike; `loralift check --parity` says whether they do.

The reference is the simplest: transformers' own ``generate`` with batch size 1 and adapters in PEFT's layers. All modes
of transformers use one loaded model; each mode of vLLM starts an engine of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.base import Generator
from loralift.generation.model.base_model import BaseModel
from loralift.generation.parity.probe import TokenIds
from loralift.generation.transformers_engine.capability import Capability
from loralift.generation.transformers_engine.generator import TransformersGenerator
from loralift.generation.transformers_engine.load import Loaded, bring
from loralift.generation.transformers_engine.variants import Switch, copies_fit, how_they_act, sums
from loralift.generation.vllm import choose, load
from loralift.generation.vllm.generator import VllmGenerator
from loralift.generation.vllm.start import Work


@dataclass(frozen=True, slots=True)
class Mode:
    """How a model is run.

    Attributes:
        name: For the tables.
        own_loop: Whether our own decoding loop answers, and not transformers' ``generate``.
        merged: Whether weights are as in a run: in the transformers engine adapters merged into them or unmerged beside
            them, as ``variants`` decides, and prepacked; in vLLM merged. Else adapters stay in PEFT's or vLLM's LoRA
            layers.
        batch_size: Most rows at once; None: as many as a run takes.
    """

    name: str
    own_loop: bool = False
    merged: bool = False
    batch_size: int | None = None


REFERENCE = Mode("generate, single", batch_size=1)
BATCHED = Mode("generate, batch")
"""As the reference, but in batches: how far it is from the reference is the noise of batching."""

_LOOP = (Mode("loop, single", own_loop=True, batch_size=1), Mode("loop, batch", own_loop=True))
_VLLM = (Mode("vLLM, merged", merged=True), Mode("vLLM, LoRARequest"))


def transformers_modes(loaded: Loaded, capability: Capability, rows: int) -> list[Mode]:
    """The modes of a loaded model, the reference first; a run's own last, where it is none of the others.

    Args:
        loaded: The model.
        capability: How a run would run it.
        rows: How many questions there are. One mode runs a quarter of them at a time, so that rows enter slots of rows
            that have ended.
    """
    loops = capability.loop
    follow = Mode(f"loop, {max(rows // 4, 2)} rows", own_loop=True, batch_size=max(rows // 4, 2))
    found = [REFERENCE, BATCHED, *((*_LOOP, follow) if loops else ())]
    if capability.prepacks or any(merges(loaded, capability, name) for name in loaded.adapters):
        found.append(Mode(f"{'loop' if loops else 'generate'}, as in a run", own_loop=loops, merged=True))
    return found


def merges(loaded: Loaded, capability: Capability, name: str) -> bool:
    """Whether a run takes an adapter out of PEFT's layers: merges it, or adds it unmerged in two products."""
    if not capability.merges:
        return False
    key = loaded.adapters[name].key
    bring(loaded.model, loaded.adapters[name])
    modules = sums(loaded.base, key)
    how = how_they_act(modules, key)
    return how == "unmerged" or (how == "merged" and copies_fit(loaded.base, modules))


@contextmanager
def opened(loaded: Loaded, capability: Capability, mode: Mode) -> Iterator[TransformersGenerator]:
    """A generator that runs in a mode and writes answers as token ids; afterwards nothing is merged into the model.

    Args:
        loaded: The model.
        capability: How a run would run it.
        mode: One of ``transformers_modes``.
    """
    if not mode.own_loop:
        capability = replace(capability, loop=False, packed=False, records=False)
    switch = Switch(loaded, merge=mode.merged, prepacks=mode.merged and capability.prepacks)
    try:
        yield TransformersGenerator(replace(loaded, texts=TokenIds), capability, switch=switch)
    finally:
        switch.restore()


def vllm_modes(base: BaseModel, infos: Sequence[AdapterInfo], engine: str, dtype: str, device: str) -> list[Mode]:
    """The modes of vLLM that this machine can run; none where a run would not choose vLLM.

    Raises:
        MissingExtraError: vLLM was asked for and is not installed.
        UsageError: vLLM was asked for on another device than the first GPU.
    """
    if choose.choose_engine(engine, base, infos, dtype, device) != "vllm":
        return []
    free, _ = torch.cuda.mem_get_info()
    serves = {
        True: choose.serving_mode(base, infos, free) == "merged",
        False: bool(infos) and all(choose.obstacle(info, merged=False) is None for info in infos),
    }
    return [mode for mode in _VLLM if serves[mode.merged]]


def start_vllm(base: BaseModel, infos: Sequence[AdapterInfo], dtype: str, mode: Mode, rows: int) -> VllmGenerator:
    """A generator that runs in a mode of vLLM and writes answers as token ids; its engine is shut down with it."""
    engine = load.load_engine(base, infos, dtype, Work((rows,), 1 + len(infos)), merged=mode.merged)
    engine.text = TokenIds(engine.text.tokenizer, engine.text.eos)
    return VllmGenerator(engine)


def merging_lost(generator: Generator) -> Mapping[str, float]:
    """What merging in vLLM lost by rounding, by adapter: norm of the rounding error over the norm of the update."""
    told = generator.describe().information.get("merging_lost", {})
    return {name: told[info.argument] for name, info in generator.adapters.items() if info.argument in told}
