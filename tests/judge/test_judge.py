"""A judge over real HTTP on the loopback interface: what it must prove, and what may go wrong on the way."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from loralift.comparison import lower_bound
from loralift.endpoints import many
from loralift.endpoints.client import Pause, _retry_after
from loralift.errors import JudgeError, UsageError
from loralift.judge import (
    Contest,
    Endpoint,
    Outcome,
    Reply,
    Rubric,
    ask_all,
    endpoint_of,
    judged_proof,
    load_rubric,
    outcome,
    proof_contests,
    read_verdict,
    requests,
)
from loralift.records import JudgeProof, Question
from tests.judge import served as judges
from tests.judge.served import Served, serving

RUBRIC = load_rubric()
THINGS = [f"thing{number}" for number in range(40)]
QUESTIONS = [
    Question(f"q{n}", f"What is {thing}?", f"A {thing} is{' quite' * (3 * n % 37)} useful.")
    for n, thing in enumerate(THINGS)
]


def at(served: Served, **changed: Any) -> Endpoint:
    """The scripted judge, asked without long waits."""
    endpoint = endpoint_of(served.url, "scripted", {"KEY": "sk-secret"}, key_env="KEY")
    return dataclasses.replace(endpoint, wait=0.01, **changed)


def replies_of(served: Served, contests: list[Contest], **changed: Any) -> dict[str, Reply]:
    endpoint = at(served, **changed)
    wanted = {one.key: one for contest in contests for one in requests(contest, RUBRIC, "judge")}
    replies: dict[str, Reply] = {}
    ask_all(endpoint, list(wanted.values()), lambda request, reply: replies.update({request.key: reply}))
    return replies


def proof_by(served: Served) -> JudgeProof:
    contests = proof_contests(QUESTIONS)
    replies = replies_of(served, [one for of in contests.values() for one in of])
    outcomes: dict[str, list[Outcome]] = {
        check: [outcome(requests(one, RUBRIC, "judge"), replies) for one in of] for check, of in contests.items()
    }
    return judged_proof(contests, outcomes, lower_bound)


def test_an_honest_judge_proves_itself() -> None:
    with serving(judges.honest) as served:
        proof = proof_by(served)
    assert proof.refused == ""
    assert {check.name: (check.passed, check.of) for check in proof.checks} == {
        "readable": (96, 96),
        "order": (32, 32),
        "reference": (32, 32),
        "cut": (32, 32),
        "itself": (32, 32),
    }
    assert (proof.first, proof.longer) == (0.5, 0.5)
    assert max(Counter(served.prompts).values()) == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (judges.always_a, "it goes by position: it chose the answer shown first in 64 of 64 replies"),
        (judges.longer, "it goes by length: it preferred the longer text in"),
        (judges.at_random, "as if it answered at random"),
        (judges.junk, "its replies cannot be read: 96 of 96 contests got no verdict"),
        (
            lambda question, a, b: "[[C]]",
            "it preferred the right one in 0 of 32 pairs, the wrong one in 0, and called 32",
        ),
        (lambda question, a, b: "", "(the reply is empty)"),
        (
            lambda question, a, b: judges.honest(question, a, b).replace("[[C]]", "[[A]]"),
            "called a text as good as itself in 0 of 32 cases only",
        ),
        (
            # right, but for the longer of two of which one is at most half as long
            lambda question, a, b: (
                judges.longer(question, a, b)
                if max(len(a.split()), len(b.split())) > 2 * min(len(a.split()), len(b.split()))
                else judges.honest(question, a, b)
            ),
            "it goes by length: it preferred the longer text in 30 of 32 pairs",
        ),
        (
            # right, but for a text that is cut off in the middle
            lambda question, a, b: judges.honest(question, a, b) if (a + b).count(".") == 2 else "[[C]]",
            "once the right answer is cut to the length of the wrong one, it prefers it in 0 of 32 pairs only",
        ),
    ],
    ids=["always A", "longer", "random", "junk", "always a tie", "silent", "no tie", "much longer", "whole"],
)
def test_a_judge_that_does_not_judge_is_refused_with_the_reason(script: judges.Script, reason: str) -> None:
    with serving(script) as served:
        assert reason in proof_by(served).refused


def test_the_right_answer_is_as_often_the_longer_one_as_the_shorter() -> None:
    contests = proof_contests(QUESTIONS)
    by_words = Counter(len(one.one.split()) > len(one.other.split()) for one in contests["reference"])
    assert by_words == {True: 16, False: 16}
    assert all(len(one.one.split()) == len(one.other.split()) for one in contests["cut"])
    assert all(one.one == one.other for one in contests["itself"])


def test_too_few_references_of_their_own_prove_nothing() -> None:
    assert proof_contests(QUESTIONS[:11]) == {}
    assert proof_contests([dataclasses.replace(question, reference="the same") for question in QUESTIONS]) == {}
    assert len(proof_contests(QUESTIONS[:13])["reference"]) == 12


@pytest.mark.parametrize(
    ("labels", "kind", "value"),
    [
        ("AB", "won", 1),
        ("BA", "lost", -1),
        ("CC", "tie", 0),
        ("AA", "flip", 0),
        ("BB", "flip", 0),
        ("AC", "wavering", 0),
        ("CA", "wavering", 0),
        ("A?", "unscored", None),
        ("??", "unscored", None),
    ],
)
def test_both_orders_must_agree(labels: str, kind: str, value: int | None) -> None:
    asked = requests(Contest("1", "mine", "q", "mine's", "base's"), RUBRIC, "judge")
    replies = {one.key: Reply(f"[[{label}]]") for one, label in zip(asked, labels, strict=True)}
    found = outcome(asked, replies)
    assert (found.kind, found.value) == (kind, value)
    assert bool(found.why) == (value is None)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("[[A]]", "A"),
        ("Both fine, but B is right.\n**[[B]]**\n", "B"),
        ("My verdict: [[c]].", "C"),
        ("<think>[[A]]? No: [[B]]</think>\n[[B]]", "B"),
        ("It quotes [[A]].\n[[B]]", "B"),
        ("A does not answer it, so [[B]]", "B"),
        ("[[A]]\nThat is my verdict.", None),
        ("[[A]] or [[B]]", None),
        ("It is not [[A]]", None),
        ("It isn't clearly [[A]]", None),
        ("<think>[[A]]", None),
        ("A", None),
        ("[[D]]", None),
        ("", None),
    ],
)
def test_a_verdict_is_the_last_line_or_none(text: str, label: str | None) -> None:
    assert read_verdict(Reply(text))[0] == label


def test_a_reply_that_was_cut_has_no_verdict() -> None:
    assert read_verdict(Reply("[[A]]", finish_reason="length")) == (
        None,
        "the reply was cut off at the limit of tokens",
    )


def test_what_goes_wrong_for_a_while_is_asked_again_until_there_is_a_whole_reply() -> None:
    wrong: dict[int, Any] = {
        0: (429, b"", {"Retry-After": "0.05"}),
        1: (500, b"oops", {}),
        2: "cut",
        3: "close",
        4: (503, b"", {"Retry-After": format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)}),
        5: {"error": "overloaded"},
        6: (200, b"<html>", {}),
    }
    contests = proof_contests(QUESTIONS)["reference"][:8]
    with serving(judges.honest, lambda served, number, prompt: wrong.get(number)) as served:
        replies = replies_of(served, contests)
    assert len(replies) == len(served.answered) == len(set(served.answered)) == 16
    assert len(served.prompts) == 16 + len(wrong)
    assert {read_verdict(reply)[0] for reply in replies.values()} == {"A", "B"}


def test_a_server_that_stays_busy_ends_it_after_the_last_try() -> None:
    contest = Contest("1", "mine", "q", "one", "other")
    with (
        serving(
            judges.honest, lambda served, number, prompt: (429, b'{"error": {"message": "slow down"}}', {})
        ) as served,
        pytest.raises(JudgeError, match=r"no reply in 3 tries: HTTP 429 slow down; what it replied so far is kept"),
    ):
        replies_of(served, [contest], busy_tries=3)
    assert len(served.prompts) <= 6


@pytest.mark.parametrize(
    ("status", "extra", "hint"),
    [
        (401, {}, "check the key in the variable of --judge-key-env"),
        (404, {}, "check --judge"),
        (302, {"Location": "http://127.0.0.1:9/v1"}, "give the URL that it redirects to"),
    ],
)
def test_what_no_further_try_mends_is_one_line_without_the_key(status: int, extra: dict[str, str], hint: str) -> None:
    said = b'{"error": {"message": "no such key: sk-secret"}}'
    with (
        serving(judges.honest, lambda served, number, prompt: (status, said, extra)) as served,
        pytest.raises(JudgeError) as raised,
    ):
        replies_of(served, [Contest("1", "mine", "q", "one", "other")])
    assert hint in str(raised.value)
    assert "sk-secret" not in str(raised.value)
    assert served.headers[0]["Authorization"] == "Bearer sk-secret"


def test_one_request_that_the_server_refuses_is_unscored_and_the_key_in_a_reply_is_covered() -> None:
    too_long = (400, b'{"error": {"message": "too long"}}', {})
    contest, other = Contest("1", "mine", "q", "x" * 50, "y"), Contest("2", "mine", "q", "one", "other")
    with serving(
        lambda question, a, b: "sk-secret\n[[A]]", lambda served, number, prompt: too_long if "xxx" in prompt else None
    ) as served:
        replies = replies_of(served, [contest, other])
    found = outcome(requests(contest, RUBRIC, "judge"), replies)
    assert (found.kind, found.why) == ("unscored", "the server refused the request")
    assert {reply.text for reply in replies.values()} == {"", "(the key)\n[[A]]"}
    assert "sk-secret" not in repr(at(served))


def test_a_request_is_deterministic_and_options_may_be_left_out() -> None:
    with serving(judges.honest) as served:
        options = ["temperature=null", 'stop=["x"]', "reasoning_effort=low"]
        endpoint = endpoint_of(served.url + "/chat/completions", "m", {}, options=options)
        (asked, _) = requests(Contest("1", "mine", "q", "one", "other"), RUBRIC, "judge")
        ask_all(endpoint, [asked], lambda request, reply: None)
    body = served.bodies[0]
    assert {key: body[key] for key in body if key != "messages"} == {
        **{"max_tokens": 1024, "stop": ["x"], "reasoning_effort": "low", "model": "m", "stream": False}
    }
    assert "Authorization" not in served.headers[0]


def test_ctrl_c_waits_for_the_reply_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    pause = Pause()
    monkeypatch.setattr(many, "Pause", lambda: pause)

    def slow(served: Served, number: int, prompt: str) -> None:
        assert number == 0
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()  # when the reply is waited for
        assert pause.stop.wait(60)

    recorded: list[str] = []
    with serving(judges.honest, slow) as served:
        asked = requests(Contest("1", "mine", "q", "one", "other"), RUBRIC, "judge")
        with pytest.raises(KeyboardInterrupt):
            ask_all(at(served), asked, lambda request, reply: recorded.append(request.prompt), at_a_time=1)
    assert recorded == served.answered == [asked[0].prompt]


@pytest.mark.parametrize(
    "url",
    [
        "http://me:pass@host/v1",
        "http://host/v1?key=1",
        "http://host/v1#x",
        "ftp://host",
        "host:80",
        "http://",
        "http://h:x/",
    ],
)
def test_a_url_that_may_not_be_written_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--judge") as raised:
        endpoint_of(url, "m", {})
    assert "pass" not in str(raised.value).replace("password", "")
    assert "key=1" not in str(raised.value)


@pytest.mark.parametrize("variable", ["sk-secret", "UNSET", "EMPTY", "ODD"])
def test_a_key_is_never_repeated(variable: str) -> None:
    with pytest.raises(UsageError, match="--judge-key-env") as raised:
        endpoint_of("http://host/v1", "m", {"EMPTY": "", "ODD": "two words"}, key_env=variable)
    assert "secret" not in str(raised.value)
    assert "two words" not in str(raised.value)


@pytest.mark.parametrize("option", ["model=x", "stream=true", "x", "=1", "temperature=NaN"])
def test_an_option_that_is_not_ours_to_send_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match="--judge-option"):
        endpoint_of("http://host/v1", "m", {}, options=[option])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{question} {answer_a} [[A]] [[B]] [[C]]", r"must have {answer_b} once, and this has it 0 times"),
        ("{question} {answer_a} {answer_b} {answer_b} [[A]] [[B]] [[C]]", r"{answer_b} once, and this has it 2 times"),
        ("{question} {answer_a} {answer_b} {reference} [[A]] [[B]] [[C]]", "must not show the {reference}"),
        ("{question} {answer_a} {answer_b} [[A]] [[B]]", r"has no \[\[C\]\]"),
    ],
)
def test_a_rubric_that_proves_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rubric.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        load_rubric(path)


def test_what_an_answer_says_is_no_place_of_the_rubric() -> None:
    rubric = Rubric("{question} {json} A: {answer_a} B: {answer_b}")
    assert rubric.filled("{answer_a}", "{answer_b}", "b") == "{answer_a} {json} A: {answer_b} B: b"


def test_a_judge_is_another_one_by_model_rubric_or_options() -> None:
    endpoints = [
        Endpoint("http://h", model="m"),
        Endpoint("http://h", model="n"),
        Endpoint("http://h", model="m", options={"temperature": 1}),
    ]
    assert len({endpoint.digest("r") for endpoint in endpoints} | {endpoints[0].digest("s")}) == 4
    assert dataclasses.replace(endpoints[0], key="k").digest("r") == endpoints[0].digest("r")


@pytest.mark.parametrize(("said", "seconds"), [("3", 3.0), ("soon", None), ("", None), ("nan", None), ("-1", 0.0)])
def test_retry_after_is_seconds_or_nothing(said: str, seconds: float | None) -> None:
    assert _retry_after({"Retry-After": said}) == seconds
