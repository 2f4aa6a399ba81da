"""The self-check at load: a loop that does not answer as the plain way is not taken, and the run says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from demo.tiny import train_lora
from loralift.errors import ModelError
from loralift.generation import GenerationSettings, inspect_adapter, inspect_base, load_transformers
from loralift.generation.transformers_engine import self_check, variants
from loralift.generation.transformers_engine.capability import capability_of
from loralift.generation.transformers_engine.load import load_model
from loralift.generation.transformers_engine.loop import block_cache, packed_attention
from loralift.generation.transformers_engine.loop.block_slots import BlockSlots
from loralift.generation.transformers_engine.loop.scheduler import Scheduler
from loralift.generation.transformers_engine.self_check import checked_capability
from tests.models import PAIRS


@pytest.fixture(scope="module")
def loaded(tiny_base, tiny_adapter, other_adapter):
    base = inspect_base(str(tiny_base))
    paths = {"letters": tiny_adapter, "mlp": other_adapter}
    infos = [inspect_adapter(name, str(path), base.config) for name, path in paths.items()]
    return load_model(base, infos, "float32", "cpu")


def test_a_right_loop_is_taken_and_nothing_is_left_behind(loaded):
    before = {name: tensor.clone() for name, tensor in loaded.base.state_dict().items()}
    attention = loaded.base.config._attn_implementation
    assert checked_capability(loaded) == capability_of(loaded.base)
    assert checked_capability(loaded, "loop").loop
    assert checked_capability(loaded, "generate").decoding == "generate"
    after = loaded.base.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert loaded.base.config._attn_implementation == attention


def skips_a_position(monkeypatch):
    step = BlockSlots.step

    def skipping(self):
        self._positions[: self.window.rows] += 1
        return step(self)

    monkeypatch.setattr(BlockSlots, "step", skipping)


def sees_too_much(monkeypatch):
    lay = BlockSlots._lay_bias

    def all_seen(self):
        lay(self)
        self._bias.zero_()

    monkeypatch.setattr(BlockSlots, "_lay_bias", all_seen)


def forgets_the_scale(monkeypatch):
    attend = block_cache.attend
    monkeypatch.setitem(
        block_cache.AttentionInterface._global_mapping,
        block_cache.NAME,
        lambda *args, scaling=None, **more: attend(*args, scaling=1.0, **more),
    )


def computes_nothing(monkeypatch):
    enter = BlockSlots._compute
    monkeypatch.setattr(BlockSlots, "_compute", lambda self, *args: enter(self, *args) * float("nan"))


WRONG = [skips_a_position, sees_too_much, forgets_the_scale, computes_nothing]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_loop_is_left_for_generate(wrong, loaded, monkeypatch):
    wrong(monkeypatch)
    capability = checked_capability(loaded)
    assert (capability.decoding, capability.batches) == ("generate", "padded")
    assert "for base the loop's logits differ from the plain way's" in capability.notes[0]
    with pytest.raises(ModelError, match=r"`--decoding loop` cannot be had: .* differ .*; give auto or generate"):
        checked_capability(loaded, "loop")


def test_a_loop_that_raises_is_left_for_generate(loaded, monkeypatch):
    def broken(self):
        raise IndexError("something in the model's own code\nwith more lines")

    monkeypatch.setattr(BlockSlots, "step", broken)
    capability = checked_capability(loaded)
    assert not capability.loop
    assert "in the loop it raises IndexError: something in the model's own code." in capability.notes[0]
    assert loaded.base.config._attn_implementation == "sdpa"


def test_memory_that_ran_out_is_no_mismatch(loaded, monkeypatch):
    def broken(self):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(BlockSlots, "step", broken)
    with pytest.raises(torch.OutOfMemoryError):
        checked_capability(loaded)


def test_an_adapter_that_is_half_there_in_the_loop_is_caught(loaded, monkeypatch):
    merge = variants.Switch._merge

    def half(self, modules, key):
        merge(self, modules, key)
        for _, weight, kept in self._kept:
            weight.data = (weight.data + kept) / 2

    monkeypatch.setattr(variants.Switch, "_merge", half)
    capability = checked_capability(loaded)
    assert "for letters the loop's logits differ" in capability.notes[0]


@pytest.mark.parametrize("wrong", [False, True])
def test_packed_rows_are_checked_too(wrong, loaded, monkeypatch):
    from tests.generation.transformers_engine.loop.test_scheduler import simplest

    def attend(*args, causal_offset=0, **settings):
        (out,) = simplest(*args, **settings)
        return (out * 1.3 if wrong else out,)

    monkeypatch.setattr(packed_attention, "is_there", lambda *what: True)
    monkeypatch.setattr(packed_attention, "_flash", attend)
    assert checked_capability(loaded).decoding == ("generate" if wrong else "packed")


def test_the_run_and_its_record_say_how_it_decodes(tiny_base, monkeypatch):
    skips_a_position(monkeypatch)
    generator = load_transformers(str(tiny_base))
    description = generator.describe()
    assert description.numerics["decoding"] == "generate"
    assert description.information["notes"] == list(generator.notes)
    assert "differ" in generator.notes[0]


def test_padded_batches_that_answer_otherwise_are_left_out(loaded, monkeypatch):
    real = self_check.fallback.step_logits

    def shifted(loaded, prompts, steps):
        tokens, logits = real(loaded, prompts, steps)
        return tokens, logits * (1.0 if len(prompts) == 1 else 1.5)

    monkeypatch.setattr(self_check.fallback, "step_logits", shifted)
    capability = checked_capability(loaded, "generate")
    assert capability.batches == "single rows"
    assert "padded, the model does not answer as it does alone" in capability.notes[-2]
    assert "Rows are asked one at a time" in capability.notes[-1]


def test_bfloat16_is_told_from_a_mistake(tiny_base, tmp_path):
    adapter = train_lora(tiny_base, PAIRS, tmp_path / "adapter", rank=4, steps=10)
    generator = load_transformers(str(tiny_base), {"mine": str(adapter)}, dtype="bfloat16")
    assert generator.describe().numerics["decoding"] == "loop"
    assert generator.notes == ()


def test_recorded_steps_are_forgotten_after_a_switch(tiny_base, tiny_adapter, prompts, monkeypatch):
    generator = load_transformers(str(tiny_base), {"letters": str(tiny_adapter)})
    forgotten = []
    monkeypatch.setattr(Scheduler, "forget_steps", lambda self: forgotten.append(self))
    settings = GenerationSettings(max_new_tokens=20, batch_size=2)

    def begin(variant):
        answers = generator.generate(variant, prompts, settings)
        next(answers)
        return answers

    def schedulers():
        return len({id(one) for one in forgotten})

    first = begin("letters")
    assert schedulers() == 1
    second = begin("letters")
    running = len(forgotten)
    next(first)
    # nothing was switched between: what was recorded holds
    assert len(forgotten) == running
    begin("base")
    next(second)
    next(first)
    # the second switched back to the adapter, and made its tensors anew: the first's steps read others
    assert [one is forgotten[0] for one in forgotten].count(True) == 2


def test_an_interleaved_variant_answers_as_by_itself(tiny_base, tiny_adapter, prompts):
    generator = load_transformers(str(tiny_base), {"letters": str(tiny_adapter)})
    settings = GenerationSettings(max_new_tokens=10, batch_size=4)
    alone = {answer.id: answer.text for answer in generator.generate("letters", prompts, settings)}
    between = generator.generate("letters", prompts, settings)
    base = generator.generate("base", [replace(prompt, id=f"b{prompt.id}") for prompt in prompts], settings)
    found = {}
    for answer in between:
        found[answer.id] = answer.text
        next(base, None)
    assert found == alone
