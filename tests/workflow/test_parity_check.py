"""Parity from a configuration to verdicts: right modes are identical, a wrong one moves metrics, rounding is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners import lora

from loralift import demo
from loralift.config import parse
from loralift.generation.transformers_engine.capability import capability_of
from loralift.generation.transformers_engine.load import load_model
from loralift.generation.transformers_engine.loop.block_slots import BlockSlots
from loralift.records import ModeParity, Parity
from loralift.workflow import parity_check as workflow
from loralift.workflow.codec import decode, plain
from loralift.workflow.parity_check import check_parity
from loralift.workflow.progress import Silent
from tests.generation.vllm.fake import fake
from tests.models import SUBJECTS

__all__ = ["fake"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores make a model this small fifty times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def check(tiny_base: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Parity]:
    data = tmp_path_factory.mktemp("parity") / "money.jsonl"
    asked = [(one, two) for one in SUBJECTS for two in ("", *SUBJECTS[:2])]
    rows = [
        {
            "question": f"What are {' or '.join(filter(None, both))}?",
            "reference": f"{both[0]} are {len(both[0])} letters.",
        }
        for both in asked
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {
        "model": str(tiny_base),
        "adapters": {"letters": str(tiny_adapter)},
        "dataset": str(data),
        "system_prompt": "",
        "max_new_tokens": 10,
        "device": "cpu",
        "metrics": ["f1", "rouge1", "bleu", "perplexity"],
        "primary": "f1",
        "temperature": 0.7,  # parity is about greedy answers, whatever a run's configuration says
    }
    return lambda **more: check_parity(parse(settings | more), Silent())


def by_mode(parity: Parity, variant: str = "letters") -> dict[str, ModeParity]:
    return {mode.mode: mode for mode in parity.modes if mode.variant == variant}


def test_in_float32_every_mode_is_identical(check: Callable[..., Parity]) -> None:
    parity = check(limit=12)
    assert len(parity.modes) == 10
    assert {mode.verdict for mode in parity.modes} == {"identical"}
    assert all(mode.identical == mode.n == 12 for mode in parity.modes)
    assert all(mode.earliest_divergence is None for mode in parity.modes)
    assert max(mode.log_likelihood_max or 0 for mode in parity.modes) < 1e-4
    assert max(mode.next_token_max for mode in parity.modes) < 1e-4
    assert by_mode(parity)["loop, single"].log_likelihood_max == 0
    assert parity.variants == ("base", "letters")
    assert list(parity.metrics) == ["f1", "rouge1", "bleu", "perplexity"]
    assert parity.numerics["dtype"] == "float32"
    assert decode(Parity, plain(parity)).modes == parity.modes


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the self-check at load, which would leave a wrong loop out before its answers are compared."""
    monkeypatch.setattr(workflow, "checked_capability", lambda loaded, decoding: capability_of(loaded.base))


@pytest.mark.usefixtures("unchecked")
def test_half_of_an_update_lost_in_merging_moves_metrics(
    check: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lora.Linear.get_delta_weight
    monkeypatch.setattr(lora.Linear, "get_delta_weight", lambda self, key: 0.5 * whole(self, key))
    parity = check()
    modes = by_mode(parity)
    wrong = modes.pop("loop, as in a run")
    assert wrong.verdict == "MOVES"
    assert "f1" in wrong.moved
    assert wrong.identical < wrong.n
    assert wrong.earliest_divergence is not None
    assert wrong.next_token_max > 0.1
    assert {mode.verdict for mode in modes.values()} == {"identical"}
    assert {mode.verdict for mode in by_mode(parity, "base").values()} == {"identical"}


@pytest.mark.usefixtures("unchecked")
def test_wrong_positions_move_metrics(check: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch) -> None:
    step = BlockSlots.step

    def skipping(self: Any) -> torch.Tensor:
        self._positions += 9
        return step(self)

    monkeypatch.setattr(BlockSlots, "step", skipping)
    modes = by_mode(check())
    assert modes["generate, batch"].verdict == "identical"
    assert modes["loop, single"].verdict == modes["loop, as in a run"].verdict == "MOVES"
    # computed by a forward pass of its own: only the answers tell of the loop
    assert modes["loop, single"].log_likelihood_max == 0


def test_in_bfloat16_it_is_shown_what_rounding_does(check: Callable[..., Parity]) -> None:
    parity = check(dtype="bfloat16", limit=12)
    assert parity.numerics["dtype"] == "bfloat16"
    # references stand before their padding, so that a batch rounds them no otherwise; beside the weights they are
    assert (by_mode(parity)["loop, as in a run"].log_likelihood_max or 0) > 1e-5
    assert "MOVES" not in {mode.verdict for mode in parity.modes}


def test_adapters_that_a_run_leaves_in_their_layers_are_named(
    check: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow.modes, "merges", lambda *of: False)
    parity = check(limit=2)
    assert "loop, as in a run" not in by_mode(parity)
    assert any("left in PEFT's layers, here as in a run (float32): letters" in note for note in parity.notes)


@pytest.mark.usefixtures("fake")
def test_vllm_is_asked_where_a_run_would_take_it(check: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "load_model", lambda base, infos, *placed: load_model(base, infos, "float32", "cpu"))
    parity = check(device="cuda", limit=12)
    assert [mode for mode in by_mode(parity) if "vLLM" in mode] == ["vLLM, merged", "vLLM, LoRARequest"]
    assert by_mode(parity)["vLLM, merged"].verdict == "identical"
    assert 0 < parity.merging_lost["letters"] < 1e-5
    # the fake takes no notice of a LoRARequest: an engine that leaves an adapter out is found
    assert by_mode(parity)["vLLM, LoRARequest"].verdict == "MOVES"
    assert {mode.verdict for mode in by_mode(parity, "base").values()} == {"identical"}
    assert parity.notes == ()


def test_how_much_is_asked(check: Callable[..., Parity]) -> None:
    parity = check(dataset=str(demo.QUESTIONS), metrics=["f1"], max_new_tokens=1)
    assert {mode.n for mode in parity.modes} == {32}
    assert {mode.n for mode in check(limit=3, metrics=["perplexity"], primary="perplexity").modes} == {3}


def test_the_demo_is_identical_token_for_token(tmp_path: Path) -> None:
    settings = demo.settings()
    adapters = {"fuller-lora": settings["adapters"]["fuller-lora"]}
    config = {name: settings[name] for name in ("model", "dataset", "system_prompt")}
    metrics = {"metrics": ["rougeL", "perplexity"], "primary": "rougeL"}
    config = config | metrics | {"adapters": adapters, "limit": 3, "max_new_tokens": 12, "device": "cpu"}
    parity = check_parity(parse(config), Silent())
    assert len(parity.modes) == 10
    assert sum(mode.identical for mode in parity.modes) == 10 * 3
    assert {mode.verdict for mode in parity.modes} == {"identical"}
