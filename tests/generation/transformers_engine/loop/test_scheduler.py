"""Our own decoding loop, against one row at a time: with rows that end early, follow on others and move together."""

from __future__ import annotations

import inspect
import random
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM as Auto
from transformers import GPT2Config, LlamaConfig, MistralConfig, Qwen2Config

from loralift.generation import GenerationSettings
from loralift.generation.transformers_engine import capability
from loralift.generation.transformers_engine.capability import SHARE_FOR_ROWS, capability_of, obstacle, rows_in_memory
from loralift.generation.transformers_engine.likelihood import Pair, score_batch
from loralift.generation.transformers_engine.loop import packed_attention, scheduler
from loralift.generation.transformers_engine.loop.block_cache import BLOCK, RowCache
from loralift.generation.transformers_engine.loop.packed_likelihood import score_packed
from loralift.generation.transformers_engine.loop.scheduler import (
    ContinuousBatch,
    Scheduler,
    cache_columns,
)
from loralift.generation.transformers_engine.prefix import shared_tokens
from loralift.records import Prompt

VOCABULARY = 97
SIZE = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZE |= {"intermediate_size": 48, "max_position_embeddings": 96}


def model_of(config):
    torch.manual_seed(0)
    return Auto.from_config(config).eval().requires_grad_(False)


MODELS = {
    "llama": LlamaConfig(**SIZE, num_key_value_heads=4, initializer_range=0.3),
    "grouped": LlamaConfig(**SIZE, num_key_value_heads=2, initializer_range=0.3),
    "qwen": Qwen2Config(**SIZE, num_key_value_heads=2, initializer_range=0.3),
    "learned positions": GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=96),
}


def simplest(query, keys, values, cu_q, cu_k, max_q, max_k, dropout, causal, debug, *, scale, seqused_k):
    """What a GPU's packed attention computes, by its simplest form."""
    counts, lengths = cu_q.diff().tolist(), seqused_k.tolist()
    assert scale == query.shape[-1] ** -0.5
    assert max(counts) == max_q
    assert max(lengths) <= max_k
    assert (dropout, debug) == (0.0, False)
    wanted = packed_attention.plain(
        query.transpose(0, 1)[None], keys, values, counts, cu_k.tolist(), lengths, causal=causal
    )
    return (wanted,)


def test_the_packed_attention_that_is_stood_in_for_is_called_as_torchs():
    theirs = torch.ops.aten._flash_attention_forward.default._schema.arguments
    ours = inspect.signature(simplest).parameters.values()
    assert sum(not one.kwarg_only for one in theirs) == sum(one.kind is not one.KEYWORD_ONLY for one in ours)
    named = {one.name for one in ours if one.kind is one.KEYWORD_ONLY}
    assert named <= {one.name for one in theirs if one.kwarg_only}


KNOWN = {}
"""What `alone` has found: each token of a model and a prompt is computed once for all tests that ask for it."""


@pytest.fixture(params=[f"{name}{packs}" for name in MODELS for packs in ("", ", packed")])
def model(request, monkeypatch):
    name, _, packs = request.param.partition(", ")
    if packs:  # as on a GPU
        monkeypatch.setattr(packed_attention, "is_there", lambda *what: True)
        monkeypatch.setattr(packed_attention, "_flash", simplest)
    base = model_of(MODELS[name])
    base.known = KNOWN.setdefault(name, {})
    assert capability_of(base).packed == bool(packs)
    return base


def random_prompts(count, longest=40):
    draw = random.Random(1)
    prompts = [
        Prompt(str(n), "", tuple(draw.randrange(5, VOCABULARY) for _ in range(draw.randint(1, longest))))
        for n in range(count)
    ]
    return sorted(prompts, key=lambda prompt: (-len(prompt.token_ids), prompt.id))


def spell(tokens):
    return "".join(chr(0x100 + token) for token in tokens)


def alone(model, prompt, steps, eos):
    """Greedy decoding in its simplest form: one prompt, no cache of keys and values."""
    made = model.known.setdefault(prompt.token_ids, [])
    for count in range(1, steps + 1):
        if len(made) < count:
            with torch.inference_mode():
                made.append(int(model(torch.tensor([[*prompt.token_ids, *made]])).logits[0, -1].argmax()))
        if made[count - 1] in eos:
            break
    return made[:count]


def scheduler_of(model, prompts, settings, slots, eos):
    def begin(rows, of):
        return ContinuousBatch(model, rows, settings, of, eos, 0, spell, packed=capability_of(model).packed)

    return Scheduler(model, prompts, slots, begin)


def answer_all(model, prompts, settings, slots, eos):
    running = scheduler_of(model, prompts, settings, slots, eos)
    answers = {}
    while not running.done:
        for answer in running.advance():
            assert answer.id not in answers
            answers[answer.id] = answer
    return answers


@pytest.mark.parametrize("shared", [0, 11])
@pytest.mark.parametrize("slots", [1, 3, 8, 20])
def test_every_answer_is_that_of_the_row_alone(model, slots, shared):
    # so many tokens end an answer that rows end at random lengths
    eos = tuple(range(0, VOCABULARY, 9))
    prompts = [replace(one, token_ids=(*range(20, 20 + shared), *one.token_ids)) for one in random_prompts(20)]
    assert len(shared_tokens([prompt.token_ids for prompt in prompts])) == shared
    answers = answer_all(model, prompts, GenerationSettings(max_new_tokens=30), slots, eos)
    assert set(answers) == {prompt.id for prompt in prompts}
    for prompt in prompts:
        made = alone(model, prompt, 30, eos)
        ended = made[-1] in eos
        answer = answers[prompt.id]
        assert answer.text == spell(made[:-1] if ended else made)
        assert answer.finish_reason == ("stop" if ended else "length")
        assert answer.output_tokens == len(made) - ended
        assert answer.prompt_tokens == len(prompt.token_ids)
    lengths = {answer.output_tokens for answer in answers.values()}
    assert len(lengths) > 3


@pytest.mark.parametrize("read_every", [1, 3, 8])
def test_reading_tokens_later_changes_nothing(model, read_every, monkeypatch):
    monkeypatch.setattr("loralift.generation.transformers_engine.loop.scheduler.READ_EVERY", read_every)
    eos, prompts = tuple(range(0, VOCABULARY, 9)), random_prompts(20)
    settings = GenerationSettings(max_new_tokens=17, stop=(chr(0x100 + 50), chr(0x100 + 61) + chr(0x100 + 3)))
    answers = answer_all(model, prompts, settings, 6, eos)
    for prompt in prompts:
        made = alone(model, prompt, 17, {*eos, 50})
        assert answers[prompt.id].output_tokens == len(made) - (made[-1] in eos)


def test_references_are_scored_packed_as_they_are_padded(model):
    draw = random.Random(2)
    sizes = [(3, 5), (20, 1), (1, 30), (9, 0), (12, 12)]
    pairs = [
        Pair(str(n), tuple(draw.randrange(VOCABULARY) for _ in range(prompt + own)), own)
        for n, (prompt, own) in enumerate(sizes)
    ]
    if not capability_of(model).packed:
        pytest.skip("padded only")
    wanted = score_batch(model, model, pairs, 0)
    assert score_packed(model, pairs) == pytest.approx(wanted, abs=1e-4)
    assert wanted[3] == 0


def test_samples_do_not_depend_on_the_rows_around(model):
    prompts = random_prompts(12)
    settings = GenerationSettings(max_new_tokens=12, temperature=1.2, top_p=0.9)
    one, many = (answer_all(model, prompts, settings, slots, (3, 4)) for slots in (1, 5))
    assert {key: answer.text for key, answer in one.items()} == {key: answer.text for key, answer in many.items()}
    assert len({answer.text for answer in one.values()}) > 6


def test_rows_that_have_ended_go_on_drawing_until_others_take_their_place(model):
    prompts = random_prompts(40)
    settings = GenerationSettings(max_new_tokens=12, temperature=1.2)
    # a row that has its 12 tokens is computed on while fewer than an eighth of the 16 have ended
    one, many = (answer_all(model, prompts, settings, slots, tuple(range(3, 11))) for slots in (1, 16))
    assert {key: answer.text for key, answer in one.items()} == {key: answer.text for key, answer in many.items()}
    assert len({answer.output_tokens for answer in many.values()}) > 6


def test_the_seconds_of_all_answers_are_the_whole_time(monkeypatch):
    ticks = iter(range(10_000))
    monkeypatch.setattr(scheduler.time, "perf_counter", lambda: float(next(ticks)))
    settings = GenerationSettings(max_new_tokens=6)
    answers = answer_all(model_of(MODELS["llama"]), random_prompts(9), settings, 4, (5, 6, 7))
    # each look at the clock is a second after the one before, two a step
    assert sum(answer.seconds for answer in answers.values()) == pytest.approx(next(ticks) / 2)


def test_blocks_are_used_again(monkeypatch):
    found = []
    real = RowCache.begin_at
    monkeypatch.setattr(
        RowCache, "begin_at", lambda self, first: found.append((self, len(self.layers[0].keys))) or real(self, first)
    )
    prompts = random_prompts(60, longest=40)
    settings = GenerationSettings(max_new_tokens=50)
    answer_all(model_of(MODELS["llama"]), prompts, settings, 4, tuple(range(0, VOCABULARY, 25)))
    cache, blocks = found[-1]
    assert cache.window.origin > 2 * BLOCK
    assert max(count for _, count in found) == blocks <= -(-cache_columns(prompts, settings) // BLOCK) + 2


@pytest.mark.parametrize(
    "config",
    [
        MistralConfig(**SIZE, num_key_value_heads=2, sliding_window=16),
        Qwen2Config(**SIZE, num_key_value_heads=2, use_sliding_window=True, sliding_window=8, max_window_layers=1),
    ],
    ids=["mistral", "qwen"],
)
def test_a_sliding_window_is_left_to_transformers(config):
    assert "window" in obstacle(model_of(config), untested_too=True)


def test_a_model_that_takes_no_positions_is_left_to_transformers(monkeypatch):
    base = model_of(MODELS["llama"])
    assert obstacle(base) is None
    monkeypatch.setattr(capability, "takes", lambda model, name: name != "position_ids")
    assert obstacle(base) == "its forward pass has no position_ids"


def test_rows_in_memory():
    base = model_of(MODELS["grouped"])
    row = 2 * 2 * 2 * 8 * 4 * 100 + 3 * 8 * VOCABULARY  # keys and values, layers, heads, width, bytes, columns; logits
    assert rows_in_memory(base, 100, 0) == 1
    assert rows_in_memory(base, 100, int(10.5 * row / SHARE_FOR_ROWS)) == 10


def test_shared_tokens_leave_each_prompt_its_last_and_are_none_when_few():
    def shared(*rows):
        return shared_tokens([tuple(row) for row in rows])

    assert shared(range(20), [*range(12), 5, 6]) == tuple(range(12))
    assert shared(range(20), range(12)) == tuple(range(11))
    assert shared(range(20), range(20)) == tuple(range(19))
    assert shared(range(20)) == ()
    assert shared(range(20), range(5)) == ()
    assert shared([], range(20)) == ()


@pytest.mark.parametrize("shared", [0, 11])
def test_batches_side_by_side_answer_as_one_does(shared, monkeypatch):
    model = model_of(MODELS["grouped"])
    eos = tuple(range(0, VOCABULARY, 9))
    prompts = [replace(one, token_ids=(*range(20, 20 + shared), *one.token_ids)) for one in random_prompts(50)]
    settings = GenerationSettings(max_new_tokens=30)
    wanted = answer_all(model, prompts, settings, 50, eos)
    monkeypatch.setattr(scheduler, "FEWEST_ROWS", 3)
    monkeypatch.setattr(scheduler, "MOST_BATCHES", 3)
    monkeypatch.setattr(scheduler, "sides", lambda: 3)
    many = scheduler_of(model, prompts, settings, 10, eos)
    assert [one.slots for one in many._batches] == [4, 3, 3]
    found = answer_all(model, prompts, settings, 10, eos)
    assert {key: answer.text for key, answer in found.items()} == {key: answer.text for key, answer in wanted.items()}


def test_a_batch_that_fails_gives_back_what_was_not_answered(monkeypatch):
    monkeypatch.setattr(scheduler, "FEWEST_ROWS", 3)
    monkeypatch.setattr(scheduler, "sides", lambda: 2)
    prompts = random_prompts(20)
    many = scheduler_of(model_of(MODELS["llama"]), prompts, GenerationSettings(max_new_tokens=30), 8, (3,))
    answered = {answer.id for answer in many.advance()}
    monkeypatch.setattr(many._batches[1]._state, "step", broken)
    with pytest.raises(torch.OutOfMemoryError):
        many.advance()
    assert {prompt.id for prompt in many.unanswered()} == {prompt.id for prompt in prompts} - answered
    assert many._model.config._attn_implementation == "sdpa"


def broken():
    raise torch.OutOfMemoryError("out of memory")
