"""An OpenAI-compatible server on the loopback interface, scripted or with a real tiny model, and all its faults."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol

from loralift.generation import GenerationSettings
from loralift.records import Prompt
from tests.listening import listening

Asked = str | list[int]

Trouble = Callable[["Served", int, str, dict[str, Any]], Any]
"""The number of a request for an answer, from 0, its path and its body to what is sent instead; None: all is well.

``cut`` sends half a reply, ``close`` none, a dictionary is sent as the reply, a triple is status, body and headers.
"""


class Backend(Protocol):
    """What answers behind the server."""

    def tokens(self, text: Asked) -> list[str]: ...

    def answer(self, model: str, text: Asked, most: int, stop: Sequence[str]) -> tuple[str, str, int]: ...

    def top(self, model: str, text: Asked, most: int) -> dict[str, float]: ...

    def echo(self, model: str, text: Asked) -> list[float | None]: ...


class Script:
    """Words as tokens; every model but the base says its name, and ``dead`` is the base by another name."""

    def tokens(self, text: Asked) -> list[str]:
        return re.findall(r"\s*\S+|\s+\Z", text) if isinstance(text, str) else [chr(one) for one in text]

    def answer(self, model: str, text: Asked, most: int, stop: Sequence[str]) -> tuple[str, str, int]:
        said = "" if model in ("base-1", "dead") else f" as {model} says"
        words = self.tokens(f" Some{said} answer to {text if isinstance(text, str) else len(text)!s}"[:200])[:most]
        return "".join(words), "length" if len(words) == most else "stop", len(words)

    def top(self, model: str, text: Asked, most: int) -> dict[str, float]:
        return {f" t{number}": self._value(model, f"{text}{number}", -3.5) for number in range(min(most, 5))}

    def echo(self, model: str, text: Asked) -> list[float | None]:
        return [None, *(self._value(model, one, 0.0) for one in self.tokens(text)[1:])]

    def _value(self, model: str, text: str, highest: float) -> float:
        who = "base-1" if model == "dead" else model
        return highest - hashlib.sha256(f"{who}{text}".encode()).digest()[0] / 256


class Tiny:
    """A real model of transformers: ``base-1`` is its base, the adapters go by their own names."""

    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self.lock = threading.Lock()
        self.decode = generator.tokenizer.decode

    def ids(self, text: Asked) -> tuple[int, ...]:
        return self.generator.encode([text], True)[0] if isinstance(text, str) else tuple(text)

    def tokens(self, text: Asked) -> list[str]:
        return [self.decode([one]) for one in self.ids(text)]

    def variant(self, model: str) -> str:
        return "base" if model == "base-1" else model

    def answer(self, model: str, text: Asked, most: int, stop: Sequence[str]) -> tuple[str, str, int]:
        prompt = Prompt("q", str(text), self.ids(text))
        settings = GenerationSettings(max_new_tokens=most, stop=tuple(stop))
        with self.lock:
            (answer,) = self.generator.generate(self.variant(model), [prompt], settings)
        assert answer.finish_reason is not None
        return f" {answer.text}", answer.finish_reason, answer.output_tokens

    def top(self, model: str, text: Asked, most: int) -> dict[str, float]:
        with self.lock:
            (row,) = self.generator.next_token_log_probabilities(
                self.variant(model), [Prompt("q", str(text), self.ids(text))]
            )
        return {self.decode([int(one)]): float(row[one]) for one in row.argsort()[::-1][:most]}

    def echo(self, model: str, text: Asked) -> list[float | None]:
        ids = self.ids(text)
        heads = [Prompt(str(end), "", ids[:end]) for end in range(1, len(ids))]
        with self.lock:
            rows = self.generator.next_token_log_probabilities(self.variant(model), heads)
        return [None, *(float(row[token]) for row, token in zip(rows, ids[1:], strict=True))]


@dataclass
class Served:
    """A server, how it behaves, and what it was asked."""

    backend: Backend = field(default_factory=Script)
    models: tuple[str, ...] = ("base-1", "good", "dead")
    lists: bool = True
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    any_name: bool = False
    completions: bool = True
    chat: bool = True
    takes_ids: bool = True
    top: bool = True
    echo: bool = True
    counts: bool = True
    says_end: bool = True
    drops_system: bool = False
    wraps: str = ""
    answers_as: str | None = None
    trouble: Trouble = lambda served, number, path, body: None
    bodies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answered: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    listings: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def reply(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        chat = path.endswith("/chat/completions")
        if not (self.chat if chat else self.completions):
            return 404, {"detail": "Not Found"}
        if body["model"] not in self.models and not self.any_name:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        text: Asked
        if chat:
            kept = [one for one in body["messages"] if not (self.drops_system and one["role"] == "system")]
            text = "".join(f"[{one['role']}] {one['content']}\n" for one in kept)
        else:
            text = body["prompt"]
            if isinstance(text, list) and not self.takes_ids:
                return 400, {"detail": "prompt must be a string."}
            text = f"{self.wraps}{text}{self.wraps}" if isinstance(text, str) else text
        if not self.echo and body.get("echo"):
            return 422, {"detail": "echo is not supported"}
        return 200, self._completion(body, text, chat=chat)

    def _completion(self, body: dict[str, Any], text: Asked, *, chat: bool) -> dict[str, Any]:
        model, most, echo = body["model"], body["max_tokens"], body.get("echo", False)
        said, ended, count = (
            ("", "length", 0) if most == 0 else self.backend.answer(model, text, most, body.get("stop", ()))
        )
        choice: dict[str, Any] = {"index": 0, **({"finish_reason": ended} if self.says_end else {})}
        tokens = self.backend.tokens(text)
        wanted = body.get("top_logprobs") or body.get("logprobs")
        if chat:
            choice["message"] = {"role": "assistant", "content": said}
        else:
            choice["text"] = ("".join(tokens) if echo else "") + said
        if echo:
            values = [*self.backend.echo(model, text), *([-1.0] * count)]
            choice["logprobs"] = {"tokens": [*tokens, *(["x"] * count)], "token_logprobs": values}
        elif wanted and self.top:
            top = self.backend.top(model, text, wanted)
            entries = [{"token": token, "logprob": value} for token, value in top.items()]
            choice["logprobs"] = {"content": [{"top_logprobs": entries}]} if chat else {"top_logprobs": [top]}
        usage = {"usage": {"prompt_tokens": len(tokens), "completion_tokens": count}} if self.counts else {}
        return {"choices": [choice], "model": self.answers_as or model, **usage}


class _Handler(BaseHTTPRequestHandler):
    served: Served
    wbufsize = -1  # headers and body in one packet: two wait for each other

    def do_GET(self) -> None:
        if self.path == "/version":
            self._send(200, {"version": "1.2.3"})
        elif self.path == "/v1/models" and self.served.lists:
            self.served.listings += 1
            data = [
                {"id": name, "owned_by": "us", "created": 1, **self.served.facts.get(name, {})}
                for name in self.served.models
            ]
            self._send(200, {"object": "list", "data": data})
        else:
            self._send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        served = self.served
        with served.lock:
            number = len(served.bodies)
            served.bodies.append((self.path, body))
            served.headers.append(dict(self.headers))
        wrong = served.trouble(served, number, self.path, body)
        if wrong == "close":
            self.close_connection = True
        elif isinstance(wrong, tuple):
            self._send(*wrong)
        elif isinstance(wrong, dict):
            self._send(200, wrong)
        else:
            status, reply = served.reply(self.path, body)
            self._send(status, reply, cut=wrong == "cut")
            if status == 200 and wrong is None:
                with served.lock:
                    served.answered.append(body)

    def _send(self, status: int, reply: Any, extra: dict[str, str] | None = None, *, cut: bool = False) -> None:
        content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(extra or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = cut

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(served: Served, port: int = 0) -> Iterator[Served]:
    """The server answers until the context ends."""
    with listening(type("Handler", (_Handler,), {"served": served}), port) as served.url:
        yield served


__all__ = ["Served", "Tiny", "replace", "serving"]
