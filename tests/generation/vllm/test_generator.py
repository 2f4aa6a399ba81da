"""The vLLM engine without vLLM: a fake of the few names it uses, on a transformers model, beside the other engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from loralift.errors import AdapterError, MissingExtraError, ModelError, UsageError
from loralift.generation import GenerationSettings, choose_engine, inspect_adapter, inspect_base, prove
from loralift.generation.base import sampling_seed
from loralift.generation.expected import expected_seconds
from loralift.generation.vllm import choose, load, start
from loralift.generation.vllm.generator import VllmGenerator
from loralift.generation.vllm.start import Work, capture_sizes, compilation, memory_share, merging_fits, request_rank
from loralift.records import Prompt
from tests.generation.vllm.fake import SamplingParams

GREEDY = GenerationSettings(max_new_tokens=12)


@pytest.fixture
def fast(fake: Any, tiny_base: Path, tiny_adapter: Path, other_adapter: Path) -> Any:
    base = inspect_base(str(tiny_base))
    infos = [inspect_adapter("letters", str(tiny_adapter), base.config)]
    infos.append(inspect_adapter("mlp", str(other_adapter), base.config))
    return VllmGenerator(load.load_engine(base, infos, "auto", Work((20,), 3)))


def as_rows(answers: Any) -> dict[str, Any]:
    return {one.id: (one.text, one.finish_reason, one.prompt_tokens, one.output_tokens) for one in answers}


@pytest.mark.parametrize("settings", [GREEDY, GenerationSettings(max_new_tokens=12, stop=(" are", "a b", "letter"))])
def test_answers_are_the_other_engines(
    fast: Any, generator: Any, prompts: list[Prompt], settings: GenerationSettings
) -> None:
    for variant in ("base", "letters", "mlp", "base"):
        expected = as_rows(generator.generate(variant, prompts, settings))
        assert as_rows(fast.generate(variant, prompts, settings)) == expected
    assert any(row[1] == "stop" for row in expected.values())


def test_likelihoods_are_the_other_engines(fast: Any, generator: Any, prompts: list[Prompt]) -> None:
    references = ["They are funds.", "", *("gold and cash" for _ in prompts[2:-1]), "shares " * 200]
    seen: list[tuple[int, int]] = []
    for variant in ("letters", "base"):
        expected = {one.id: one for one in generator.reference_likelihoods(variant, prompts, references, " ")}
        found = list(fast.reference_likelihoods(variant, prompts, references, " ", lambda *told: seen.append(told)))
        assert found[0].log_likelihood is None
        assert {one.id: one.tokens for one in found} == {key: one.tokens for key, one in expected.items()}
        for one in found[1:]:
            assert one.log_likelihood == pytest.approx(expected[one.id].log_likelihood, abs=1e-3)
    assert seen[-1][0] == len(prompts)


def test_next_tokens_are_the_other_engines(fast: Any, generator: Any, prompts: list[Prompt]) -> None:
    for variant in ("letters", "base"):
        found = fast.next_token_log_probabilities(variant, prompts, batch_size=3)
        np.testing.assert_allclose(found, generator.next_token_log_probabilities(variant, prompts), atol=1e-4)
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-14)
    assert fast._engine.llm.llm_engine.most_at_once == 3
    assert [proof.adapter for proof in prove(fast, prompts)] == ["letters", "mlp"]


def test_progress_counts_running_rows_and_seconds_are_the_whole_time(fast: Any, prompts: list[Prompt]) -> None:
    seen: list[tuple[int, int]] = []
    answers = list(fast.generate("letters", prompts, GREEDY, lambda *told: seen.append(told)))
    assert seen[-1][0] == len(prompts)
    assert seen == sorted(seen)
    assert 0 < seen[0][1] < seen[-1][1]
    assert all(answer.seconds > 0 for answer in answers)


def test_a_batch_size_bounds_the_running_rows(fast: Any, prompts: list[Prompt]) -> None:
    many = as_rows(fast.generate("base", prompts, GREEDY))
    fast._engine.llm.llm_engine.most_at_once = 0
    few = as_rows(fast.generate("base", prompts, GenerationSettings(max_new_tokens=12, batch_size=4)))
    assert few == many
    assert fast._engine.llm.llm_engine.most_at_once == 4


def test_giving_up_leaves_nothing_behind(fast: Any, prompts: list[Prompt]) -> None:
    expected = as_rows(fast.generate("base", prompts, GREEDY))
    # the rows about stocks end early, the others go on
    answers = fast.generate("letters", prompts, GenerationSettings(max_new_tokens=12, stop=("stocks",)))
    next(answers)
    engine = fast._engine.llm.llm_engine
    assert engine.has_unfinished_requests()
    with pytest.raises(RuntimeError, match="earlier call"):
        list(fast.generate("base", prompts, GREEDY))
    answers.close()
    assert not engine.has_unfinished_requests()
    assert as_rows(fast.generate("base", prompts, GREEDY)) == expected


def test_sampling_is_seeded_by_prompt(fast: Any, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    engine = fast._engine
    monkeypatch.setattr(engine, "params", lambda **all_of: given.append(all_of) or SamplingParams(ignore_eos=True))
    settings = GenerationSettings(max_new_tokens=3, temperature=0.7, top_p=0.9, seed=5)
    with pytest.raises(AssertionError):
        list(fast.generate("base", prompts, settings))
    assert len({one["seed"] for one in given}) == len(prompts)
    assert {one["seed"] for one in given} == {sampling_seed(5, prompt.id) for prompt in prompts}
    assert all(0 <= one["seed"] < 2**63 and one["temperature"] == 0.7 and one["top_p"] == 0.9 for one in given)
    assert given[0]["stop_token_ids"] == list(engine.text.eos)


def test_what_does_not_fit_is_refused(fast: Any, prompts: list[Prompt]) -> None:
    with pytest.raises(UsageError, match="`variant` must be one of base, letters, mlp"):
        fast.generate("gone", prompts, GREEDY)
    with pytest.raises(ModelError, match="leave no room for 120 new tokens in the context window of 128"):
        fast.generate("base", prompts, GenerationSettings(max_new_tokens=120))
    with pytest.raises(UsageError, match=r"`--temperature` must be 0, or from 0.01 to 2 .* got 3"):
        fast.generate("base", prompts, GenerationSettings(max_new_tokens=3, temperature=3))


def test_it_is_described_and_ends(fake: Any, fast: Any) -> None:
    described = fast.describe()
    assert described.numerics["engine"] == "vllm"
    assert described.numerics["adapters_act"] == "merged"
    assert described.information["cuda_graphs"] == [8, 16]
    assert fake["window"] == 128
    assert fake["kept"] == 2 * sum(
        update.shape[0] * update.shape[1] for update in fast._engine.updates["letters"].values()
    )
    engine = fast._engine.llm.llm_engine
    load.release(fast._engine.llm)
    assert engine.shut


def test_what_cannot_be_merged_goes_by_request(
    fake: Any, tiny_base: Path, tiny_adapter: Path, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1 << 30, 140 << 30))
    base = inspect_base(str(tiny_base))
    info = inspect_adapter("letters", str(tiny_adapter), base.config)
    engine = load.load_engine(base, [info], "bfloat16", Work())
    assert fake["more"] == {"enable_lora": True, "max_loras": 1, "max_cpu_loras": 1, "max_lora_rank": 8}
    assert engine.describe().numerics["adapters_act"] == "LoRARequest"
    assert engine.switch("base") is None
    request = engine.switch("letters")
    assert (request.lora_name, request.lora_int_id, request.lora_path) == ("letters", 1, str(tiny_adapter))


def test_a_model_that_is_spread_over_processes_is_described_as_a_whole_one(tiny_base: Path) -> None:
    source = inspect_base(str(tiny_base))
    whole = AutoModelForCausalLM.from_pretrained(tiny_base)
    wanted = {"model_class": type(whole).__name__, "parameters": whole.num_parameters()}
    assert load._size(None, source) == wanted
    assert load._size(whole, source) == wanted


def test_the_start_fits_the_work() -> None:
    small = compilation(Work((648, 100), 2))
    assert small["mode"] == 0
    assert small["cudagraph_mode"] == "FULL_DECODE_ONLY"
    assert max(small["cudagraph_capture_sizes"]) == 648
    assert compilation(Work((50_000,), 2)) == {"mode": 3}
    assert compilation(Work())["cudagraph_capture_sizes"][-1] == 1024
    assert capture_sizes(1) == [8, 16]
    assert all(size % 8 == 0 for size in capture_sizes(300))
    assert memory_share(100, 200, 0) == 0  # what is kept free is more than that
    assert 0.5 < memory_share(140 << 30, 143 << 30, 14 << 30) < 0.9
    assert merging_fits(80 << 30, 16 << 30, 14 << 30)
    assert not merging_fits(24 << 30, 16 << 30, 14 << 30)
    assert (request_rank(5), request_rank(16), request_rank(1000)) == (8, 16, None)


def test_auto_takes_vllm_where_it_can(
    fake: Any, tiny_base: Path, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = inspect_base(str(tiny_base))
    infos = [inspect_adapter("letters", str(tiny_adapter), base.config)]
    assert choose_engine("vllm", base, infos) == "vllm"
    assert choose_engine("auto", base, infos) == "vllm"
    assert choose_engine("auto", base, infos, dtype="float32") == "transformers"
    assert choose_engine("auto", base, infos, device="cpu") == "transformers"
    assert choose_engine("transformers", base, infos) == "transformers"
    with pytest.raises(UsageError, match=r"`--device` must be cuda with --engine vllm .* got 'cuda:1'"):
        choose_engine("vllm", base, infos, device="cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_engine("auto", base, infos) == "transformers"
    with pytest.raises(UsageError, match="`--engine` must be transformers where torch finds no CUDA GPU, got 'vllm'"):
        choose_engine("vllm", base, infos)


@pytest.mark.parametrize(
    ("model_type", "rows", "engine"),
    [
        ("llama", 648, "transformers"),
        ("llama", 100_000, "vllm"),
        ("cohere2", 648, "vllm"),
        ("cohere2", 8, "transformers"),
    ],
)
def test_auto_takes_what_is_expected_to_be_done_sooner(
    fake: Any, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, model_type: str, rows: int, engine: str
) -> None:
    monkeypatch.setattr(choose, "parameters_of", lambda config: 8.03e9)
    base = inspect_base(str(tiny_base))
    monkeypatch.setattr(base.config, "model_type", model_type)
    said: list[str] = []
    assert choose_engine("auto", base, [], work=Work((rows,), 2, new_tokens=256), say=said.append) == engine
    assert [line.split(",")[0] for line in said] == ["transformers runs it"] * (engine == "transformers")
    assert choose_engine("vllm", base, [], work=Work((rows,), 2, new_tokens=256), say=pytest.fail) == "vllm"


def test_expected_seconds_are_those_that_were_measured() -> None:
    tokens = 2 * 648 * 256
    for way, rate, ready in (("vllm", 23_655, 22.5), ("loop", 19_421, 5.3)):  # benchmarks/results/h200.md
        assert expected_seconds(way, 8.03e9, tokens) == pytest.approx(ready + tokens / rate)
    assert expected_seconds("loop", 1e8, tokens) == expected_seconds("loop", 1e9, tokens)


def test_vllm_that_is_missing_is_named(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "is_installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r"`--engine vllm` needs .* pip install 'loralift\[vllm\]'"):
        load.load_engine(inspect_base(str(tiny_base)), [], "auto", Work())


def test_an_adapter_without_effect_is_refused(fast: Any) -> None:
    weights, updates = fast._engine.weights, fast._engine.updates["letters"]
    nothing = {name: type(update)(update.down, update.up, 0.0) for name, update in updates.items()}
    with pytest.raises(AdapterError, match="changes not one of their numbers"):
        weights.merge("--adapter nothing=there", nothing)
