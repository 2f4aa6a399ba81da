"""What a server must show before the first question: names, that adapters act, whose likelihoods, who it is."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from loralift.errors import AdapterError, LoraLiftError, ModelError, UsageError
from loralift.generation import GenerationSettings, prove
from loralift.generation.endpoint.generator import EndpointGenerator
from loralift.generation.endpoint.proof import chance, divergence
from loralift.generation.endpoint.reply import Reply
from loralift.records import Prompt
from tests.generation.endpoint.asking import GREEDY, TEXTS, Noisy, asked, connect, connected
from tests.generation.endpoint.served import Served, serving


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


def test_completions_in_a_chat_template_are_no_texts_and_chats_are_asked_instead() -> None:
    with connected(wraps=" <user> </user> ") as (served, generator):
        list(generator.generate("mine", asked(generator), GREEDY))
        assert served.bodies[-1][0] == "/v1/chat/completions"
        assert any("put 5 tokens around each text, as a chat template does" in note for note in generator.notes)
        with pytest.raises(ModelError, match=r"put 5 tokens around each text.*leave out `--endpoint-api`"):
            connect(served, api="completions")
        served.chat = False
        with pytest.raises(ModelError, match=r"around each text.*it has no chats \(/chat/completions: HTTP 404"):
            connect(served)


def test_a_bos_is_no_template_and_what_is_not_counted_is_not_claimed() -> None:
    with connected(wraps=" <s> ") as (served, generator):
        list(generator.generate("mine", asked(generator), GREEDY))
        assert served.bodies[-1][0] == "/v1/completions"
        assert any("as their very text" in note for note in generator.notes)
    zeros = {"usage": {"prompt_tokens": 0, "completion_tokens": 1}}
    for behaviour in (
        {"counts": False},
        {"trouble": lambda served, number, path, body: {**served.reply(path, body)[1], **zeros}},
    ):
        with connected(wraps=" <user> </user> ", **behaviour) as (_, generator):
            assert generator.ability.path == "/completions"
            assert not any("as their very text" in note for note in generator.notes)
            assert any("could not be checked" in note for note in generator.notes)


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


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("top", [True, False], ids=["by tokens", "by answers"])
def test_chance_alone_proves_nothing(top: bool, share: float) -> None:
    with connected(backend=Noisy(share=share), top=top) as (_, generator):
        with pytest.raises(AdapterError, match="acts on nothing"):
            prove(generator, asked(generator))
        assert not generator.ability.echoes


class Drawn:
    """A server that answers a share of all requests otherwise by chance, and the first few prompts by the model."""

    def __init__(self, generator: EndpointGenerator, share: float, seed: int = 0, changed: int = 0) -> None:
        self.generator, self.share, self.changed, self._random = generator, share, changed, random.Random(seed)

    def __call__(
        self, variant: str, prompts: Sequence[Prompt], body: Mapping[str, Any], at_a_time: int
    ) -> dict[str, Reply]:
        return {prompt.id: Reply(self._text(variant, prompt), None, None, None, None) for prompt in prompts}

    def acts(self, monkeypatch: pytest.MonkeyPatch) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(self.generator, "ask", self)
            try:
                return bool(prove(self.generator, asked(self.generator)))
            except AdapterError:
                return False

    def _text(self, variant: str, prompt: Prompt) -> str:
        other = variant != "base" and int(prompt.id[1:]) < self.changed
        return f"{other} {self._random.random() < self.share}"


@pytest.mark.parametrize("share", [0.03, 0.1, 0.25, 0.5])
def test_chance_in_answers_seldom_looks_like_an_adapter(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(top=False) as (_, generator):
        taken = sum(Drawn(generator, share, seed).acts(monkeypatch) for seed in range(500))
    assert taken <= 10


def test_one_changed_answer_of_a_steady_server_is_an_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(top=False) as (_, generator):
        assert Drawn(generator, share=0.0, changed=1).acts(monkeypatch)


@pytest.mark.parametrize(("changed", "mixed", "expected"), [(0, 0, 1), (1, 0, 1 / 3), (4, 0, 1 / 81), (1, 1, 5 / 9)])
def test_the_chance_of_changed_answers(changed: int, mixed: int, expected: float) -> None:
    assert chance(changed, mixed) == pytest.approx(expected)


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
