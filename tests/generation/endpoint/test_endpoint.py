"""A served model over real HTTP: what a server must show before it is asked, and what may go wrong on the way."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loralift import demo
from loralift.endpoints import replies
from loralift.errors import AdapterError, LoraLiftError, ModelError, UsageError
from loralift.generation import GenerationSettings, load_endpoint, prove, served_base
from loralift.generation.endpoint.generator import EndpointGenerator
from loralift.generation.endpoint.proof import divergence
from loralift.generation.endpoint.server import Given
from loralift.records import Prompt
from tests.generation.endpoint.served import Served, Tiny, serving

GREEDY = GenerationSettings(max_new_tokens=12)
TEXTS = [f"Question: What are thing{number}?\nAnswer:" for number in range(20)]


def connect(served: Served, *, base: str = "base-1", patience: float = 0.0, **more: Any) -> EndpointGenerator:
    """The served model, asked without long waits."""
    adapters = more.pop("adapters", {"mine": "good"})
    found = load_endpoint(served_base(base), adapters, Given(served.url, wait=0.0, **more))
    found.server = hasty(found.server, patience)
    return found


def hasty(server: Any, patience: float = 0.0) -> Any:
    quick = dataclasses.replace(server.address, wait=0.01, longest_wait=0.05, patience=patience)
    return dataclasses.replace(server, address=quick)


def asked(generator: EndpointGenerator, texts: list[str] = TEXTS) -> list[Prompt]:
    encoded = generator.encode(texts, True)
    return [Prompt(f"q{n}", text, ids) for n, (text, ids) in enumerate(zip(texts, encoded, strict=True))]


@contextmanager
def connected(**behaviour: Any) -> Iterator[tuple[Served, EndpointGenerator]]:
    with serving(Served(**behaviour)) as served:
        yield served, connect(served)


# --- a real tiny model behind the server is the model in this process ---


@pytest.fixture(scope="module")
def tiny(generator: Any) -> Iterator[Served]:
    with serving(Served(Tiny(generator), models=("base-1", "letters", "mlp"))) as served:
        yield served


def of_tiny(served: Served, **more: Any) -> EndpointGenerator:
    return connect(served, adapters={"letters": "letters", "mlp": "mlp"}, **more)


@pytest.mark.parametrize("ids", [True, False], ids=["token ids", "text"])
@pytest.mark.parametrize("stop", [(), (" are", "letter")])
def test_answers_are_those_of_the_model_in_this_process(
    tiny: Served, generator: Any, prompts: list[Prompt], tiny_base: Path, ids: bool, stop: tuple[str, ...]
) -> None:
    remote = of_tiny(tiny, tokenizer=str(tiny_base) if ids else None)
    settings = GenerationSettings(max_new_tokens=12, stop=stop)
    for variant in ("letters", "base"):
        found = {one.id: one for one in remote.generate(variant, prompts, settings)}
        for one in generator.generate(variant, prompts, settings):
            own = found[one.id]
            assert (own.text, own.finish_reason) == (one.text, one.finish_reason)
            assert own.prompt_tokens == (one.prompt_tokens if ids else None)
    path, body = tiny.bodies[-1]
    assert path == "/v1/completions"
    assert isinstance(body["prompt"], list if ids else str)
    assert (body["temperature"], body["max_tokens"], body.get("stop", [])) == (0, 12, list(stop))


@pytest.mark.parametrize("ids", [True, False], ids=["token ids", "text"])
def test_likelihoods_are_those_of_the_model_in_this_process(
    tiny: Served, generator: Any, prompts: list[Prompt], tiny_base: Path, ids: bool
) -> None:
    remote = of_tiny(tiny, tokenizer=str(tiny_base) if ids else None)
    references = [f"Some say {number} are letters." for number in range(len(prompts))]
    for variant in ("mlp", "base"):
        expected = {one.id: one for one in generator.reference_likelihoods(variant, prompts, references, " ")}
        found = list(remote.reference_likelihoods(variant, prompts, references, " "))
        scored = [one for one in found if one.log_likelihood is not None]
        assert len(found) == len(prompts)
        assert len(scored) >= len(prompts) - (0 if ids else 2)  # a token that spans the prompt's end is no one's
        for one in scored:
            assert one.tokens == expected[one.id].tokens
            assert one.log_likelihood == pytest.approx(expected[one.id].log_likelihood, abs=1e-3)


def test_the_proof_sees_as_much_as_the_likeliest_tokens_show(
    tiny: Served, generator: Any, prompts: list[Prompt]
) -> None:
    remote = of_tiny(tiny)
    whole = prove(generator, prompts)
    for seen, real in zip(prove(remote, asked(remote, [one.text for one in prompts])), whole, strict=True):
        assert seen.adapter == real.adapter
        assert seen.top_token_changed == real.top_token_changed
        assert seen.kl_mean is not None
        assert real.kl_mean is not None
        assert 0.3 * real.kl_mean < seen.kl_mean <= real.kl_mean + 1e-9
        assert "likeliest tokens" in seen.notes[0]


def test_another_tokenizer_than_the_servers_is_refused(tiny: Served, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"--endpoint-tokenizer.*makes \d+ tokens of a text"):
        of_tiny(tiny, tokenizer=str(Path(demo.QUESTIONS).parent / "demo-base"))
    with pytest.raises(ModelError, match="--endpoint-tokenizer"):
        of_tiny(tiny, tokenizer=str(tmp_path / "nothing"))
    shuffled = shutil.copytree(tiny_base, tmp_path / "shuffled")
    words = json.loads((shuffled / "tokenizer.json").read_text())
    vocabulary = words["model"]["vocab"]
    plain = [token for token in vocabulary if len(token) > 1 and token.isascii()]
    for one, other in zip(plain[::2], plain[1::2], strict=False):
        vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    (shuffled / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(ModelError, match=r"goes on otherwise than after the text"):
        of_tiny(tiny, tokenizer=str(shuffled))


def test_a_server_that_takes_no_ids_is_sent_text(tiny: Served, generator: Any, tiny_base: Path) -> None:
    with serving(Served(Tiny(generator), models=tiny.models, takes_ids=False)) as served:
        remote = of_tiny(served, tokenizer=str(tiny_base))
        (answer,) = remote.generate("letters", asked(remote, TEXTS[:1]), GREEDY)
        assert served.bodies[-1][1]["prompt"] == TEXTS[0]
        assert answer.prompt_tokens


# --- names ---


def test_what_the_server_does_not_serve_is_refused_with_what_it_lists() -> None:
    with serving(Served()) as served:
        with pytest.raises(
            ModelError, match=r"`--model`.*refuses 'llama'.*does not exist.*it lists base-1, good, dead"
        ):
            connect(served, base="llama")
        with pytest.raises(AdapterError, match=r"`--adapter x=goood`.*refuses it.*it lists base-1") as raised:
            connect(served, adapters={"x": "goood"})
        assert raised.value.adapter == "x"
        with pytest.raises(UsageError, match="mine and base are both 'base-1'"):
            connect(served, adapters={"mine": "base-1"})


def test_a_server_that_answers_to_any_name_is_refused_unless_it_lists_ours() -> None:
    with serving(Served(any_name=True)) as served:
        connect(served)
        with pytest.raises(ModelError, match=r"answers to any name, even to .*does not list other"):
            connect(served, adapters={"mine": "other"})
    with serving(Served(any_name=True, lists=False)) as served, pytest.raises(ModelError, match="answers to any name"):
        connect(served)


def test_an_unlisted_name_that_is_answered_is_said() -> None:
    with serving(Served(lists=False)) as served:
        assert any("lists no models" in note for note in connect(served).notes)


def test_one_model_behind_two_names_is_refused() -> None:
    with serving(Served(answers_as="loaded.gguf")) as served:
        with pytest.raises(AdapterError, match=r"is answered by 'loaded.gguf'.*does not switch") as raised:
            connect(served)
        assert raised.value.adapter == "mine"


@pytest.mark.parametrize(
    ("facts", "error", "said"),
    [
        ({"base-1": {"parent": "llama"}}, ModelError, "lists 'base-1' as an adapter on 'llama'"),
        ({"good": {"parent": "llama"}}, AdapterError, "lists it as one on 'llama'"),
    ],
)
def test_a_base_that_is_an_adapter_and_an_adapter_of_another_base_are_refused(
    facts: dict[str, Any], error: type[LoraLiftError], said: str
) -> None:
    with serving(Served(facts=facts)) as served, pytest.raises(error, match=said):
        connect(served)


def test_an_adapter_on_the_bases_other_name_is_its_own() -> None:
    facts = {"base-1": {"root": "/w"}, "dead": {"root": "/w"}, "good": {"parent": "dead"}}
    with connected(facts=facts) as (_, generator):
        assert generator.variants == ("base", "mine")


# --- the proof ---


@pytest.mark.parametrize("top", [True, False], ids=["by tokens", "by answers"])
def test_an_adapter_that_the_server_ignores_is_refused(top: bool) -> None:
    with serving(Served(top=top)) as served:
        generator = connect(served, adapters={"mine": "good", "gone": "dead"})
        with pytest.raises(AdapterError, match=r"`--adapter gone=dead` acts on nothing: on .* prompts") as raised:
            prove(generator, asked(generator))
        assert raised.value.adapter == "gone"


def test_answers_prove_where_there_are_no_log_probabilities() -> None:
    with connected(top=False) as (served, generator):
        (proof,) = prove(generator, asked(generator))
        assert (proof.kl_mean, proof.kl_max, proof.top_token_changed) == (None, None, None)
        assert "on 16 of 16 prompts" in proof.notes[0]
        assert any("no log-probabilities of answers" in note for note in generator.notes)
        assert served.bodies[-1][1]["max_tokens"] == 32


class Noisy:
    """Answers and log-probabilities that are the base's for every name, and move by chance."""

    def __init__(self, *, share: float) -> None:
        self.share, self.number = share, 0

    def tokens(self, text: Any) -> list[str]:
        return str(text).split()

    def _chance(self) -> float:
        self.number += 1
        return (self.number * 0.6180339887) % 1

    def answer(self, model: str, text: Any, most: int, stop: Any) -> tuple[str, str, int]:
        return ("otherwise" if self._chance() < self.share else "plainly"), "stop", 1

    def top(self, model: str, text: Any, most: int) -> dict[str, float]:
        return {"a": -1.0 - 0.01 * self._chance(), "b": -2.0}

    def echo(self, model: str, text: Any) -> list[float | None]:
        return [None, *(-1.0 - 0.01 * self._chance() for _ in self.tokens(text)[1:])]


@pytest.mark.parametrize("top", [True, False], ids=["by tokens", "by answers"])
def test_chance_alone_proves_nothing(top: bool) -> None:
    with connected(backend=Noisy(share=0.1), top=top) as (_, generator):
        with pytest.raises(AdapterError, match="acts on nothing"):
            prove(generator, asked(generator))
        assert not generator.ability.echoes


def test_a_server_that_samples_in_spite_of_temperature_0_is_refused() -> None:
    class Sampling(Noisy):
        def answer(self, model: str, text: Any, most: int, stop: Any) -> tuple[str, str, int]:
            return str(self._chance()), "stop", 1

    with (
        connected(backend=Sampling(share=0), top=False) as (_, generator),
        pytest.raises(ModelError, match="differ from themselves on all 16 prompts"),
    ):
        prove(generator, asked(generator))


def test_two_adapters_with_the_very_same_tokens_are_named() -> None:
    class Twins(type(Served().backend)):  # type: ignore[misc]
        def _value(self, model: str, text: str, highest: float) -> float:
            return float(super()._value(model.replace("twin", "good"), text, highest))

    with serving(Served(Twins(), models=("base-1", "good", "twin"))) as served:
        generator = connect(served, adapters={"one": "good", "two": "twin"})
        proofs = prove(generator, asked(generator))
    assert [any("the very ones of one" in note for note in proof.notes) for proof in proofs] == [False, True]


def test_the_divergence_of_the_likeliest_tokens_is_never_above_the_whole() -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    for most in (1, 3, 5, 20):
        for _ in range(50):
            one, other = generator.dirichlet(np.full(20, 0.3), 2)
            whole = float(np.sum(one * np.log(one / other)))
            tops = [{str(n): float(np.log(row[n])) for n in np.argsort(row)[::-1][:most]} for row in (one, other)]
            assert divergence(*tops) <= whole + 1e-9
            assert divergence(tops[0], tops[0]) == pytest.approx(0, abs=1e-9)
    assert divergence({"a": -0.01}, {"b": -0.01}) > 1


# --- perplexity ---


def test_a_server_without_echo_has_no_perplexity_and_says_so_once() -> None:
    with connected(echo=False) as (served, generator):
        before = len(served.bodies)
        found = list(generator.reference_likelihoods("mine", asked(generator), ["x"] * len(TEXTS), " "))
        assert {one.log_likelihood for one in found} == {None}
        assert len(served.bodies) == before
        assert sum("Perplexity is null" in note for note in generator.notes) == 1


def test_an_echo_that_is_the_bases_whoever_is_asked_is_not_taken_for_the_adapters() -> None:
    class OfBase(type(Served().backend)):  # type: ignore[misc]
        def echo(self, model: str, text: Any) -> list[float | None]:
            return list(super().echo("base-1", text))

    with connected(backend=OfBase()) as (_, generator):
        assert not generator.ability.echoes
        assert any("so they are not the adapter's" in note for note in generator.notes)


def test_an_echo_of_another_text_or_over_the_prompts_end_is_null() -> None:
    class Odd(type(Served().backend)):  # type: ignore[misc]
        def tokens(self, text: Any) -> list[str]:
            found = super().tokens(text)
            if "thing3?" in text:
                return [*found[:-1], "\ufffd"]
            return [*found[:4], "".join(found[4:])] if "thing4?" in text else list(found)

    with connected(backend=Odd()) as (_, generator):
        prompts = asked(generator)
        found = {one.id: one for one in generator.reference_likelihoods("mine", prompts, ["x y"] * 20, " ")}
    assert {key for key, one in found.items() if one.log_likelihood is None} == {"q3", "q4"}
    assert found["q0"].tokens == 2


def test_a_probability_above_1_is_refused() -> None:
    class Above(type(Served().backend)):  # type: ignore[misc]
        def echo(self, model: str, text: Any) -> list[float | None]:
            return [None, *(0.5 + abs(value or 0) for value in super().echo(model, text)[1:])]

    with connected(backend=Above()) as (_, generator), pytest.raises(ModelError, match="none is above 0"):
        list(generator.reference_likelihoods("mine", asked(generator), ["x"] * 20, " "))


# --- faults on the way ---


def test_what_goes_wrong_for_a_while_is_asked_again_and_nothing_twice() -> None:
    with connected() as (served, generator):
        start = len(served.bodies)
        half: dict[str, Any] = {"choices": [{"message": {}}]}
        wrong: dict[int, Any] = {
            0: (429, b"", {"Retry-After": "0.05"}),
            1: (500, b"oops", {}),
            2: "cut",
            3: "close",
            5: {"choices": []},
            6: half,
            8: (200, b"data: {}\n\ndata: [DONE]", {}),
            9: (503, b"<html>", {}),
        }
        served.trouble = lambda served, number, path, body: wrong.get(number - start)
        served.answered.clear()
        answers = list(generator.generate("mine", asked(generator), GREEDY))
    assert sorted(answer.id for answer in answers) == sorted(f"q{n}" for n in range(20))
    assert all("as good says" in answer.text for answer in answers)
    assert max(Counter(body["prompt"] for body in served.answered).values()) == 1
    assert len(served.bodies) - start == 20 + len(wrong)


def test_a_server_that_dies_and_comes_back_is_waited_for() -> None:
    served = Served()
    with serving(served):
        port = int(served.url.rsplit(":", 1)[1].removesuffix("/v1"))
        generator = connect(served, patience=20.0, concurrency=2)
        answers = generator.generate("mine", asked(generator), GREEDY)
        found = [next(answers)]
    gone = time.monotonic()
    threading.Timer(0.5, lambda: back.set()).start()
    back = threading.Event()

    def restart() -> None:
        back.wait()
        with serving(served, port):
            done.wait(30)

    done = threading.Event()
    server = threading.Thread(target=restart, daemon=True)
    server.start()
    try:
        found += answers
    finally:
        done.set()
        server.join()
    assert time.monotonic() - gone > 0.4
    assert len({answer.id for answer in found}) == len(found) == 20


def test_a_server_that_stays_away_stops_the_run_with_what_was_answered() -> None:
    with connected() as (served, generator):
        start = len(served.bodies)
        generator.server = hasty(generator.server, patience=0.3)
        served.trouble = lambda served, number, path, body: "close" if number - start >= 5 else None
        found: list[str] = []
        with pytest.raises(ModelError, match=r"gave no reply in \d+ tries.*go on with --resume"):
            found.extend(answer.id for answer in generator.generate("mine", asked(generator), GREEDY))
    assert len(found) == 5


def test_one_prompt_that_the_server_refuses_ends_it_after_what_is_under_way() -> None:
    long = (400, b'{"error": {"message": "longer than the context of 128"}}', {})
    with connected() as (served, generator):
        served.trouble = lambda served, number, path, body: long if "thing7?" in str(body["prompt"]) else None
        with pytest.raises(ModelError, match=r"mine answer q7: HTTP 400 longer than the context.*--max-new-tokens"):
            list(generator.generate("mine", asked(generator), GREEDY))


@pytest.mark.parametrize(
    ("text", "ended", "count", "said"),
    [
        ("x", "content_filter", 1, r"not the model's \('content_filter'\)"),
        ("x", "length", 5, r"cut its answer to q\d+ after 5 tokens, and 12 were asked for"),
        ("x", "stop", 40, "wrote 40 tokens"),
        ("x</s>", "stop", 2, "ends with '</s>'.*--stop"),
        ("x<|im_end|>", "stop", 2, r"ends with '<\|im_end\|>'"),
    ],
)
def test_an_answer_that_ended_otherwise_than_asked_is_refused(text: str, ended: str, count: int, said: str) -> None:
    choice = {"text": text, "finish_reason": ended}
    reply = {"choices": [choice], "model": "good", "usage": {"completion_tokens": count}}
    with connected() as (served, generator):
        start = len(served.bodies)
        served.trouble = lambda served, number, path, body: reply if number >= start else None
        with pytest.raises(ModelError, match=said):
            list(generator.generate("mine", asked(generator), GREEDY))
        if text.endswith("</s>"):
            stop = GenerationSettings(max_new_tokens=12, stop=("</s>",))
            assert {answer.text for answer in generator.generate("mine", asked(generator), stop)} == {"x"}


def test_a_server_that_repeats_the_prompt_is_refused() -> None:
    class Repeating(type(Served().backend)):  # type: ignore[misc]
        def answer(self, model: str, text: Any, most: int, stop: Any) -> tuple[str, str, int]:
            return f"{text} {model}", "length", most

    with serving(Served(Repeating())) as served, pytest.raises(ModelError, match="repeats the prompt"):
        connect(served)


def test_no_reason_for_an_end_is_unknown_where_the_server_never_says_and_not_whole_where_it_did() -> None:
    with connected(says_end=False) as (_, generator):
        assert {answer.finish_reason for answer in generator.generate("mine", asked(generator), GREEDY)} == {None}
        assert any("does not say why an answer ended" in note for note in generator.notes)
    with connected() as (served, generator):
        start = len(served.bodies)
        served.trouble = lambda served, number, path, body: {"choices": [{"text": "x"}]} if number == start else None
        answers = list(generator.generate("mine", asked(generator), GREEDY))
        assert all(answer.finish_reason for answer in answers)
        assert all(answer.text != "x" for answer in answers)


def test_a_server_that_becomes_another_is_refused() -> None:
    with connected(facts={"good": {"root": "/lora-1"}}) as (served, generator):
        served.facts = {"good": {"root": "/lora-2"}}
        with pytest.raises(ModelError, match=r"/lora-2.*and listed .*/lora-1"):
            list(generator.generate("mine", asked(generator), GREEDY))
    with connected() as (served, generator):
        prompts = asked(generator)
        list(generator.generate("mine", prompts[:1], GREEDY))
        served.answers_as = "other"
        with pytest.raises(ModelError, match="as 'good' before and as 'other'"):
            list(generator.generate("mine", prompts[1:], GREEDY))


def test_a_prompt_that_one_variant_reads_otherwise_is_refused() -> None:
    class Longer(type(Served().backend)):  # type: ignore[misc]
        def tokens(self, text: Any) -> list[str]:
            return [*super().tokens(text), *self.more]

    backend = Longer()
    backend.more = []
    with connected(backend=backend, echo=False) as (_, generator):
        prompts = asked(generator)
        list(generator.generate("base", prompts, GREEDY))
        backend.more = ["<s>"]
        with pytest.raises(ModelError, match=r"another reply was to .*not all are asked the same"):
            list(generator.generate("mine", prompts, GREEDY))


def test_the_key_is_sent_and_never_shown(capfd: pytest.CaptureFixture[str]) -> None:
    said = b'{"error": {"message": "no such key: sk-secret"}}'
    with serving(Served()) as served:
        generator = connect(served, key="sk-secret")
        assert served.headers[-1]["Authorization"] == "Bearer sk-secret"
        served.trouble = lambda served, number, path, body: (401, said, {})
        with pytest.raises(ModelError, match="--endpoint-key-env") as raised:
            list(generator.generate("mine", asked(generator), GREEDY))
    assert "sk-secret" not in str(raised.value) + repr(generator.server) + str(generator.describe())
    assert "sk-secret" not in "".join(capfd.readouterr())


def test_ctrl_c_keeps_what_is_under_way() -> None:
    import os
    import signal

    def slow(number: int, pause: Any) -> int:
        pause.over()
        if number == 0:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(0.4)
        return number

    found: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(number for number, _ in replies(slow, range(10), at_a_time=2))
    assert sorted(found) == [0, 1]


# --- chats ---


def messages(system: str = "") -> list[dict[str, str]]:
    return [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": "What is gold?"}]


def test_a_chat_is_sent_as_messages_and_a_dropped_system_message_is_not_shown() -> None:
    for drops in (False, True):
        with connected(drops_system=drops) as (served, generator):
            text = generator.render_chat(messages("Be brief."))
            assert ("Be brief." in text) is not drops
            list(generator.generate("mine", asked(generator, [text]), GREEDY))
            path, body = served.bodies[-1]
            assert path == "/v1/chat/completions"
            assert body["messages"] == messages("" if drops else "Be brief.")


def test_a_server_without_chats_says_what_to_do() -> None:
    with connected(chat=False) as (_, generator), pytest.raises(ModelError, match="--endpoint-tokenizer"):
        generator.render_chat(messages())


def test_a_server_with_chats_alone_is_asked_by_them_and_it_is_said() -> None:
    with connected(completions=False) as (served, generator):
        list(generator.generate("mine", asked(generator), GREEDY))
        assert served.bodies[-1][1]["messages"][0]["role"] == "user"
        assert any("each prompt is a user's message" in note for note in generator.notes)
        assert not generator.ability.echoes
        (proof,) = prove(generator, asked(generator))
        assert proof.kl_mean is not None


# --- identity ---


def test_identity_is_of_names_and_facts_and_not_of_the_url() -> None:
    made = []
    for _ in range(2):
        with connected(facts={"good": {"root": "/r", "max_model_len": 64}}) as (served, generator):
            found = generator.describe()
            made.append((found.identity, found.numerics))
            assert served.url not in str(made[-1])
            assert found.information["context_window"] == 64
    assert made[0] == made[1]
    assert made[0][0] == {"base": "served:base-1", "adapters": {"mine": "served:good"}}
    assert made[0][1]["server_version"] == "1.2.3"


def test_vllm_is_told_to_leave_its_defaults_out() -> None:
    facts = {name: {"owned_by": "vllm"} for name in ("base-1", "good", "dead")}
    with connected(facts=facts) as (served, generator):
        list(generator.generate("mine", asked(generator)[:1], GREEDY))
        assert served.bodies[-1][1]["repetition_penalty"] == 1.0
        assert not any("by default" in note for note in generator.notes)


def test_a_sampled_row_has_a_seed_of_its_own() -> None:
    with connected() as (served, generator):
        start = len(served.bodies)
        list(generator.generate("mine", asked(generator), GenerationSettings(temperature=0.7, top_p=0.9, seed=3)))
        bodies = [body for _, body in served.bodies[start:]]
    assert {body["temperature"] for body in bodies} == {0.7}
    assert {body["top_p"] for body in bodies} == {0.9}
    assert len({body["seed"] for body in bodies}) == 20
    assert all(0 <= body["seed"] < 2**31 for body in bodies)
