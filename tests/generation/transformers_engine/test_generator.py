"""Answers of the base and its adapters, against the plain models one prompt at a time."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from loralift.errors import ModelError, UsageError
from loralift.generation import GenerationSettings, load_transformers
from loralift.generation.model.quiet import quiet_loading
from loralift.records import Prompt
from tests.models import PROMPTS

SHORT = GenerationSettings(max_new_tokens=24)


def plain_model(base, adapter=None):
    """The model without anything of ours: the base alone, or with the adapter merged into its weights."""
    with quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(base)
        if adapter is not None:
            model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return model.eval()


def greedy(model, ids, steps, eos=1):
    """Greedy decoding in its simplest form: no batch, no cache, no generate()."""
    made = []
    for _ in range(steps):
        with torch.inference_mode():
            token = int(model(torch.tensor([[*ids, *made]])).logits[0, -1].argmax())
        if token == eos:
            break
        made.append(token)
    return made


def texts(answers):
    return {answer.id: answer.text for answer in answers}


@pytest.mark.parametrize("variant", ["base", "letters", "mlp"])
def test_batched_answers_equal_plain_greedy_decoding(
    variant, generator, prompts, tiny_base, tiny_adapter, other_adapter
):
    model = plain_model(tiny_base, {"base": None, "letters": tiny_adapter, "mlp": other_adapter}[variant])
    answers = {answer.id: answer for answer in generator.generate(variant, prompts, SHORT)}
    assert set(answers) == {prompt.id for prompt in prompts}
    for prompt in prompts:
        made = greedy(model, prompt.token_ids, 24)
        answer = answers[prompt.id]
        assert answer.text == generator._loaded.text.decode(made).strip()
        assert answer.output_tokens == len(made)
        assert answer.finish_reason == ("length" if len(made) == 24 else "stop")
        assert answer.prompt_tokens == len(prompt.token_ids)


def test_base_logits_with_adapters_loaded_are_bitwise_those_of_the_base(generator, prompts, tiny_base):
    plain = plain_model(tiny_base)
    list(generator.generate("letters", prompts[:2], SHORT))
    ids = torch.tensor([prompts[0].token_ids])
    generator._switch.to("base")
    with torch.inference_mode():
        ours = generator._loaded.model(ids).logits
    with torch.inference_mode():
        assert torch.equal(ours, plain(ids).logits)


def test_the_adapters_answer_as_they_were_trained(generator, prompts):
    assert texts(generator.generate("letters", prompts, SHORT))["q3"] == "gold are 4 letters."
    assert texts(generator.generate("mlp", prompts, SHORT))["q3"] == "Ask a banker!"
    assert texts(generator.generate("base", prompts, SHORT))["q3"].startswith("Some say gold are like")


def test_variants_generated_at_the_same_time_do_not_mix(generator, prompts):
    settings = GenerationSettings(max_new_tokens=24, batch_size=4)
    alone = {variant: texts(generator.generate(variant, prompts, settings)) for variant in generator.variants}
    running = {variant: generator.generate(variant, prompts, settings) for variant in generator.variants}
    together = {variant: {} for variant in running}
    for _ in prompts:
        for variant, answers in running.items():
            answer = next(answers)
            together[variant][answer.id] = answer.text
    assert together == alone


def test_the_models_own_generation_settings_do_not_leak_in(generator, prompts, tiny_base, tmp_path):
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    own = json.loads((folder / "generation_config.json").read_text())
    own |= {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "repetition_penalty": 5.0, "eos_token_id": [1, 0]}
    own |= {"min_new_tokens": 20, "suppress_tokens": [10, 11, 12]}
    (folder / "generation_config.json").write_text(json.dumps(own))
    other = load_transformers(str(folder))
    assert texts(other.generate("base", prompts, SHORT)) == texts(generator.generate("base", prompts, SHORT))
    assert other._loaded.eos == (0, 1)  # these alone are kept


def test_a_missing_pad_token_changes_nothing(generator, prompts, tiny_base, tmp_path):
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    other = load_transformers(str(folder))
    assert other._loaded.tokenizer.pad_token_id is None
    assert texts(other.generate("base", prompts, SHORT)) == texts(generator.generate("base", prompts, SHORT))


def test_a_stop_string_inside_a_token_cuts_the_answer_and_ends_it(generator, prompts):
    whole = {answer.id: answer for answer in generator.generate("letters", prompts, SHORT)}
    settings = GenerationSettings(max_new_tokens=24, stop=("ette", "zzz"))
    cut = {answer.id: answer for answer in generator.generate("letters", prompts, settings)}
    assert cut["q3"].text == "gold are 4 l"
    assert cut["q3"].finish_reason == "stop"
    assert cut["q3"].output_tokens < whole["q3"].output_tokens
    assert {key: answer.text.split("ette")[0].strip() for key, answer in whole.items()} == texts(cut.values())


def test_a_stop_string_of_the_prompt_stops_nothing(generator, prompts):
    settings = GenerationSettings(max_new_tokens=24, stop=("Answer:",))
    assert texts(generator.generate("letters", prompts[:3], settings))["q0"] == "stocks are 6 letters."


def test_samples_depend_on_the_seed_and_not_on_the_batch(generator, prompts):
    def sample(seed, batch_size):
        settings = GenerationSettings(max_new_tokens=16, temperature=1.5, top_p=0.95, seed=seed, batch_size=batch_size)
        return texts(generator.generate("base", prompts, settings))

    assert sample(1, 2) == sample(1, 8)
    assert sample(1, 8) != sample(2, 8)


def test_progress_ends_at_the_totals(generator, prompts):
    seen = []
    settings = GenerationSettings(max_new_tokens=24, batch_size=5)
    answers = list(generator.generate("base", prompts, settings, lambda rows, tokens: seen.append((rows, tokens))))
    assert seen == sorted(seen)
    assert seen[-1] == (len(prompts), sum(answer.output_tokens for answer in answers))
    assert len(seen) > 3  # more often than once a batch


def limited(model, most):
    """The model's forward pass, out of memory above some rows."""
    real = model.forward

    # the names, for `takes`
    def forward(input_ids, past_key_values=None, position_ids=None, logits_to_keep=0, **rest):
        rows.append(len(input_ids))
        if rows[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        rest |= {"past_key_values": past_key_values, "position_ids": position_ids, "logits_to_keep": logits_to_keep}
        return real(input_ids, **rest)

    rows = []
    return forward, rows


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("batch_size", [None, 9])
def test_out_of_memory_halves_the_batch_and_loses_nothing(
    batch_size, loops, prompts, tiny_base, tiny_adapter, monkeypatch, caplog
):
    own = load_transformers(str(tiny_base), {"letters": str(tiny_adapter)})
    own._loops = loops
    settings = GenerationSettings(max_new_tokens=24, batch_size=batch_size)
    whole = list(own.generate("base", prompts, settings))
    forward, rows = limited(own._loaded.base, 3)
    monkeypatch.setattr(own._loaded.base, "forward", forward)
    halved = list(own.generate("base", prompts, settings))
    assert texts(halved) == texts(whole)
    assert len(halved) == len(prompts)
    assert max(rows[2:]) <= 4
    assert "memory ran out" in caplog.text
    rows.clear()
    list(own.generate("letters", prompts, settings))
    assert max(rows) <= 3  # remembered for the next variant


def test_out_of_memory_later_on_gives_each_answer_once(prompts, tiny_base, monkeypatch):
    own = load_transformers(str(tiny_base))
    whole = list(own.generate("base", prompts, SHORT))
    real, calls = own._loaded.base.forward, []

    def forward(input_ids, past_key_values=None, position_ids=None, logits_to_keep=0, **rest):
        calls.append(len(input_ids))
        if len(calls) == 12:
            raise torch.OutOfMemoryError
        rest |= {"past_key_values": past_key_values, "position_ids": position_ids, "logits_to_keep": logits_to_keep}
        return real(input_ids, **rest)

    monkeypatch.setattr(own._loaded.base, "forward", forward)
    again = list(own.generate("base", prompts, SHORT))
    assert texts(again) == texts(whole)
    assert len(again) == len(whole)
    assert calls[12] <= calls[11] // 2 + 1


@pytest.mark.parametrize("loops", [True, False])
def test_out_of_memory_with_one_row_says_what_to_do(loops, prompts, tiny_base, monkeypatch):
    own = load_transformers(str(tiny_base))
    own._loops = loops
    forward, _ = limited(own._loaded.base, 0)
    monkeypatch.setattr(own._loaded.base, "forward", forward)
    with pytest.raises(ModelError, match=r"memory ran out with a single row.*--max-new-tokens"):
        list(own.generate("base", prompts, SHORT))


def test_another_runtime_error_is_not_taken_for_memory(prompts, tiny_base, monkeypatch):
    own = load_transformers(str(tiny_base))

    def broken(**_):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(own._loaded.base, "forward", broken)
    with pytest.raises(RuntimeError, match="device-side assert"):
        list(own.generate("base", prompts, SHORT))


def test_a_prompt_that_leaves_no_room_is_refused_before_anything_runs(generator, prompts):
    long = Prompt("long", "x", (5,) * 105)
    with pytest.raises(ModelError, match=r"1 of 14 prompts \(longest 105 tokens\).*24 new tokens.*window of 128.*long"):
        generator.generate("base", [*prompts, long], SHORT)
    fits = Prompt("fits", "x", (5,) * 104)
    assert len(list(generator.generate("base", [fits], SHORT))) == 1


def test_an_unknown_variant_is_refused(generator, prompts):
    with pytest.raises(UsageError, match="one of base, letters, mlp, got 'nobody'"):
        generator.generate("nobody", prompts, SHORT)
    with pytest.raises(UsageError, match="got 'nobody'"):
        generator.reference_likelihoods("nobody", prompts[:1], ["x"], " ")


def test_encode_adds_special_tokens_only_when_asked(generator):
    (plain,), (special,) = generator.encode(["gold"], False), generator.encode(["gold"], True)
    assert special == (0, *plain)
    assert generator.encode([], True) == []


def test_chat_templates(tiny_base):
    own = load_transformers(str(tiny_base))
    messages = [{"role": "user", "content": "Hi"}]
    with pytest.raises(ModelError, match="has none"):
        own.render_chat(messages)
    own._loaded.tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    assert own.render_chat(messages) == "<user>Hi<assistant>"
    with pytest.raises(ModelError, match="refuses these messages: no system role"):
        own.render_chat([{"role": "system", "content": "x"}])


def test_description_is_plain_and_names_what_answers(generator, tiny_base):
    description = generator.describe()
    for part in (description.identity, description.numerics, description.information):
        assert json.loads(json.dumps(part)) == part
    assert description.identity["base"].startswith("sha256:")
    assert set(description.identity["adapters"]) == {"letters", "mlp"}
    assert description.numerics["dtype"] == "float32"
    alone = load_transformers(str(tiny_base), dtype="bfloat16").describe()
    assert alone.identity["base"] == description.identity["base"]
    assert alone.information["parameters"] == description.information["parameters"]
    assert alone.numerics["dtype"] == "bfloat16"
    assert {*alone.numerics} == {*description.numerics}


def test_a_base_alone_answers_as_with_adapters(generator, render, tiny_base):
    own = load_transformers(str(tiny_base))
    asked = render(own, PROMPTS)
    assert own.variants == ("base",)
    assert texts(own.generate("base", asked, SHORT)) == texts(generator.generate("base", asked, SHORT))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "`--dtype` must be auto, bfloat16, float16, float32, got 'int8'"),
        ({"device": "tpu9"}, "`--device` must be auto, cpu, cuda, cuda:N or mps, got 'tpu9'"),
        ({"device": "cuda:99"}, "`--device` must be one that torch finds here"),
    ],
)
def test_wrong_dtype_or_device(options, message, tiny_base):
    with pytest.raises(UsageError) as caught:
        load_transformers(str(tiny_base), **options)
    assert str(caught.value).startswith(message)
