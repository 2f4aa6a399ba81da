"""What may go wrong on the way to a served model, over real HTTP, and chats."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from loralift.endpoints import replies
from loralift.errors import MixedError, ModelError
from loralift.generation import GenerationSettings, prove
from tests.generation.endpoint.asking import GREEDY, TEXTS, asked, connect, connected, hasty
from tests.generation.endpoint.served import Served, serving


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
    done = threading.Event()

    def restart() -> None:
        time.sleep(0.5)
        with serving(served, port):
            done.wait(30)

    server = threading.Thread(target=restart, daemon=True)
    server.start()
    try:
        found += answers
    finally:
        done.set()
        server.join()
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


@pytest.mark.parametrize("ids", [True, False], ids=["token ids", "text"])
def test_likelihoods_by_another_model_or_of_another_prompt_are_refused(
    ids: bool, tiny: Served, tiny_base: Path
) -> None:
    generator = connect(tiny, adapters={"mine": "letters"}, tokenizer=str(tiny_base) if ids else None)
    prompts, references = asked(generator), ["are letters."] * 20
    echoed = tiny.trouble

    def other(**changed: Any) -> Any:
        def trouble(served: Served, number: int, path: str, body: dict[str, Any]) -> Any:
            return {**served.reply(path, body)[1], **changed} if body.get("echo") else None

        return trouble

    try:
        list(generator.reference_likelihoods("base", prompts, references, " "))
        tiny.trouble = other(usage={"prompt_tokens": 7, "completion_tokens": 0})
        with pytest.raises(ModelError, match=r"read the prompt of q\d+ as 7 tokens, and .* not all are asked the same"):
            list(generator.reference_likelihoods("mine", prompts, references, " "))
        tiny.trouble = echoed
        list(generator.generate("mine", prompts[:1], GREEDY))
        tiny.trouble = other(model="base-1")
        with pytest.raises(ModelError, match="for 'letters' as 'letters' before and as 'base-1'"):
            list(generator.reference_likelihoods("mine", prompts, references, " "))
    finally:
        tiny.trouble = echoed


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


def test_an_answer_that_holds_the_key_is_refused_and_not_changed() -> None:
    with serving(Served()) as served:
        generator = connect(served, key="Some")
        with pytest.raises(ModelError, match=r"holds the key .*give the server another key") as raised:
            list(generator.generate("mine", asked(generator), GREEDY))
    assert "Some" not in str(raised.value)


@pytest.mark.parametrize("broken", ["close", "cut", (500, b"", {})], ids=["no reply", "half a reply", "500"])
@pytest.mark.parametrize("kind", ["answers", "likelihoods"])
def test_no_reply_of_a_server_that_was_restarted_as_another_is_handed_on(kind: str, broken: Any) -> None:
    reloaded = threading.Event()

    class Restarted(type(Served().backend)):  # type: ignore[misc]
        def answer(self, model: str, text: Any, most: int, stop: Any) -> tuple[str, str, int]:
            return ("of others", "stop", 2) if reloaded.is_set() else super().answer(model, text, most, stop)

        def echo(self, model: str, text: Any) -> list[float | None]:
            return [-99.0 if reloaded.is_set() and value else value for value in super().echo(model, text)]

    with connected(backend=Restarted(), facts={"good": {"root": "/lora-1"}}) as (served, generator):
        start, found = len(served.bodies), list[Any]()

        def restart(served: Served, number: int, path: str, body: dict[str, Any]) -> Any:
            if number != start + 9:
                return None
            reloaded.set()
            served.facts = {"good": {"root": "/lora-2"}}
            return broken

        served.trouble = restart
        generator.concurrency = 1
        prompts = asked(generator)
        rows = (
            generator.generate("mine", prompts, GREEDY)
            if kind == "answers"
            else generator.reference_likelihoods("mine", prompts, ["x"] * 20, " ")
        )
        with pytest.raises(MixedError, match=r"/lora-2.*and listed .*/lora-1"):
            found.extend(rows)
    assert len(found) == 9
    assert not any("of others" in str(one) or "-99" in str(one) for one in found)


def test_models_are_listed_again_after_a_failure_and_not_for_each_reply() -> None:
    with connected() as (served, generator):
        start = len(served.bodies)
        served.trouble = lambda served, number, path, body: {3: "close", 5: (429, b"", {})}.get(number - start)
        generator.concurrency = 1
        before = served.listings
        assert len(list(generator.generate("mine", asked(generator), GREEDY))) == 20
        assert served.listings - before == 3  # before, after the connection that broke, at the end


def test_ctrl_c_keeps_what_is_under_way() -> None:
    import os
    import signal

    both = threading.Barrier(2)

    def slow(number: int, pause: Any) -> int:
        pause.over()
        if both.wait(60) == 0:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()  # when all is waited for
        assert pause.stop.wait(60)
        return number

    found: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(number for number, _ in replies(slow, range(10), at_a_time=2))
    assert sorted(found) == [0, 1]


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


def test_a_chat_is_proved_by_its_own_likeliest_tokens() -> None:
    for top in (True, False):
        with connected(top=top) as (_, generator):
            chats = [generator.render_chat([{"role": "user", "content": text}]) for text in TEXTS]
            (proof,) = prove(generator, asked(generator, chats))
            assert (proof.kl_mean is not None) is top
            assert ("likeliest tokens" in proof.notes[0]) is top


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


def test_a_chat_that_the_server_renders_has_no_likelihood_and_a_text_beside_it_has_one() -> None:
    with connected() as (served, generator):
        chat = generator.render_chat(messages())
        prompts = asked(generator, [chat, TEXTS[0]])
        start = len(served.bodies)
        found = {one.id: one for one in generator.reference_likelihoods("mine", prompts, ["x y", "x y"], " ")}
        assert [body["prompt"] for _, body in served.bodies[start:]] == [f"{TEXTS[0]} x y"]
    assert found["q0"].log_likelihood is None
    assert found["q1"].tokens == 2
