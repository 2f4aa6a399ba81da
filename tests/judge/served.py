"""A scripted judge behind real HTTP on the loopback interface, with whatever goes wrong on the way."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.listening import listening

PARTS = re.compile(
    r"\[The question\]\n(.*)\n\[The end of the question\]\n\n\[Answer A\]\n(.*)\n\[The end of answer A\]\n\n"
    r"\[Answer B\]\n(.*)\n\[The end of answer B\]",
    re.DOTALL,
)

Script = Callable[[str, str, str], str]
"""Question, answer A and answer B to the reply's text."""

Trouble = Callable[["Served", int, str], Any]
"""The number of a request, from 0, and its prompt to what is sent instead of a reply; None: nothing goes wrong."""


@dataclass
class Served:
    """What a scripted judge was asked, and how it answers."""

    script: Script
    trouble: Trouble = lambda served, number, prompt: None
    prompts: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""


def completion(text: str, **changed: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return {"object": "chat.completion", "choices": [choice | changed], "usage": usage}


class _Handler(BaseHTTPRequestHandler):
    served: Served
    wbufsize = -1  # headers and body in one packet: two wait for each other

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        with self.served.lock:
            number = len(self.served.prompts)
            self.served.prompts.append(prompt)
            self.served.headers.append(dict(self.headers))
            self.served.bodies.append(body)
        wrong = self.served.trouble(self.served, number, prompt)
        if wrong is None:
            parts = PARTS.search(prompt)
            assert parts is not None
            content = json.dumps(completion(self.served.script(*parts.groups()))).encode()
            self._send(200, content, len(content))
            with self.served.lock:
                self.served.answered.append(prompt)
        elif wrong == "cut":
            content = json.dumps(completion("[[A]]")).encode()
            self._send(200, content[: len(content) // 2], len(content))
        elif wrong == "close":
            self.close_connection = True
        elif isinstance(wrong, dict):
            content = json.dumps(wrong).encode()
            self._send(200, content, len(content))
        else:
            status, content, extra = wrong
            self._send(status, content, len(content), extra)

    def _send(self, status: int, content: bytes, length: int, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(length), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(script: Script, trouble: Trouble | None = None) -> Iterator[Served]:
    """The judge's URL answers until the context ends."""
    served = Served(script) if trouble is None else Served(script, trouble)
    with listening(type("Handler", (_Handler,), {"served": served})) as served.url:
        yield served


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def honest(question: str, a: str, b: str) -> str:
    """Prefers the answer that is more about the question, whatever its place and length."""
    about = words(question) - words("What are is the or and of")
    first, second = (len(about & words(text)) for text in (a, b))
    verdict = "C" if first == second else "A" if first > second else "B"
    return f"It is about the question.\n\n[[{verdict}]]"


def always_a(question: str, a: str, b: str) -> str:
    del question, a, b
    return "[[A]]"


def longer(question: str, a: str, b: str) -> str:
    del question
    one, other = len(a.split()), len(b.split())
    return f"[[{'C' if one == other else 'A' if one > other else 'B'}]]"


def junk(question: str, a: str, b: str) -> str:
    del question, a, b
    return "As a language model I find both lovely."


def at_random(question: str, a: str, b: str) -> str:
    """One of the three, by a digest of what it reads: the same each time, as at temperature 0."""
    import hashlib

    number = hashlib.sha256(f"{question}\0{a}\0{b}".encode()).digest()[0]
    return f"[[{'ABC'[number % 3]}]]"
