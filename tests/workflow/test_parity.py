"""Parity from a configuration to verdicts: right ways are identical, a wrong one moves metrics, rounding is shown."""

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
from loralift.generation.transformers_engine.load import load_model
from loralift.generation.transformers_engine.loop.block_slots import BlockSlots
from loralift.records import Parity, WayParity
from loralift.workflow import parity as workflow
from loralift.workflow.codec import decode, plain
from loralift.workflow.parity import check_parity
from loralift.workflow.watching import Silent
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


def by_way(parity: Parity, variant: str = "letters") -> dict[str, WayParity]:
    return {way.way: way for way in parity.ways if way.variant == variant}


def test_in_float32_every_way_is_identical(check: Callable[..., Parity]) -> None:
    parity = check()
    assert len(parity.ways) == 10
    assert {way.verdict for way in parity.ways} == {"identical"}
    assert all(way.identical == way.n == 30 for way in parity.ways)
    assert all(way.earliest_divergence is None for way in parity.ways)
    assert max(way.log_likelihood_max or 0 for way in parity.ways) < 1e-4
    assert max(way.next_token_max for way in parity.ways) < 1e-4
    assert by_way(parity)["loop, single"].log_likelihood_max == 0
    assert parity.variants == ("base", "letters")
    assert list(parity.metrics) == ["f1", "rouge1", "bleu", "perplexity"]
    assert parity.numerics["dtype"] == "float32"
    assert decode(Parity, plain(parity)).ways == parity.ways


def test_half_of_an_update_lost_in_merging_moves_metrics(
    check: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lora.Linear.get_delta_weight
    monkeypatch.setattr(lora.Linear, "get_delta_weight", lambda self, key: 0.5 * whole(self, key))
    parity = check()
    ways = by_way(parity)
    wrong = ways.pop("loop, as in a run")
    assert wrong.verdict == "MOVES"
    assert "f1" in wrong.moved
    assert wrong.identical < wrong.n
    assert wrong.earliest_divergence is not None
    assert wrong.next_token_max > 0.1
    assert {way.verdict for way in ways.values()} == {"identical"}
    assert {way.verdict for way in by_way(parity, "base").values()} == {"identical"}


def test_wrong_positions_move_metrics(check: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch) -> None:
    step = BlockSlots.step

    def skipping(self: Any) -> torch.Tensor:
        self._positions += 9
        return step(self)

    monkeypatch.setattr(BlockSlots, "step", skipping)
    ways = by_way(check())
    assert ways["generate, batch"].verdict == "identical"
    assert ways["loop, single"].verdict == ways["loop, as in a run"].verdict == "MOVES"
    # computed by a forward pass of its own: only the answers tell of the loop
    assert ways["loop, single"].log_likelihood_max == 0


def test_in_bfloat16_it_is_shown_what_rounding_does(check: Callable[..., Parity]) -> None:
    parity = check(dtype="bfloat16")
    assert parity.numerics["dtype"] == "bfloat16"
    # references stand before their padding, so that a batch rounds them no otherwise; beside the weights they are
    assert (by_way(parity)["loop, as in a run"].log_likelihood_max or 0) > 1e-5
    assert "MOVES" not in {way.verdict for way in parity.ways}


def test_adapters_that_a_run_leaves_in_their_layers_are_named(
    check: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow.ways, "merges", lambda loaded, name: False)
    parity = check(limit=2)
    assert "loop, as in a run" not in by_way(parity)
    assert any("left in PEFT's layers, here as in a run (float32): letters" in note for note in parity.notes)


@pytest.mark.usefixtures("fake")
def test_vllm_is_asked_where_a_run_would_take_it(check: Callable[..., Parity], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "load_model", lambda base, infos, *placed: load_model(base, infos, "float32", "cpu"))
    parity = check(device="cuda")
    assert [way for way in by_way(parity) if "vLLM" in way] == ["vLLM, merged", "vLLM, LoRARequest"]
    assert by_way(parity)["vLLM, merged"].verdict == "identical"
    assert 0 < parity.merging_lost["letters"] < 1e-5
    # the fake takes no notice of a LoRARequest: an engine that leaves an adapter out is found
    assert by_way(parity)["vLLM, LoRARequest"].verdict == "MOVES"
    assert {way.verdict for way in by_way(parity, "base").values()} == {"identical"}
    assert parity.notes == ()


def test_how_much_is_asked(check: Callable[..., Parity]) -> None:
    parity = check(dataset=str(demo.QUESTIONS), metrics=["f1"], max_new_tokens=1)
    assert {way.n for way in parity.ways} == {32}
    assert {way.n for way in check(limit=3, metrics=["perplexity"], primary="perplexity").ways} == {3}


def test_the_demo_is_identical_token_for_token(tmp_path: Path) -> None:
    settings = demo.settings()
    adapters = {name: settings["adapters"][name] for name in ("fuller-lora", "endless-lora")}
    config = {name: settings[name] for name in ("model", "dataset", "system_prompt")}
    metrics = {"metrics": ["rougeL", "perplexity"], "primary": "rougeL"}
    config = config | metrics | {"adapters": adapters, "limit": 6, "max_new_tokens": 24, "device": "cpu"}
    parity = check_parity(parse(config), Silent())
    assert len(parity.ways) == 15
    assert sum(way.identical for way in parity.ways) == 15 * 6
    assert {way.verdict for way in parity.ways} == {"identical"}
