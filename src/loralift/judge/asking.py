"""A judge's replies: one request as a chat completion, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loralift import endpoints
from loralift.endpoints import Pause, Refused
from loralift.judge.contest import Request
from loralift.judge.endpoint import Endpoint
from loralift.judge.reply import Reply


def ask_all(
    endpoint: Endpoint, asked: Sequence[Request], record: Callable[[Request, Reply], None], *, at_a_time: int = 8
) -> None:
    """Ask every request.

    Args:
        endpoint: Who is asked.
        asked: In this order, as far as several at a time allow.
        record: Called with each reply as soon as it is there, by one thread at a time.
        at_a_time: How many are under way at most.

    Raises:
        JudgeError: The endpoint cannot be reached or used; what was replied before is recorded.
        LoraLiftError: What ``record`` raises.
        KeyboardInterrupt: The user gave up; likewise.
    """
    endpoints.ask_all(lambda request, pause: _ask(endpoint, request.prompt, pause), asked, record, at_a_time=at_a_time)


def _ask(endpoint: Endpoint, prompt: str, pause: Pause) -> Reply:
    """The reply to one message."""
    body = {
        **endpoint.options,
        "model": endpoint.model,
        "messages": [{"role": "user", "content": prompt}],
        "stream": False,
    }
    found = endpoints.send(endpoint, endpoint.url, body, pause, lambda content: _reply(content, endpoint))
    return Reply("", refused=found.why) if isinstance(found, Refused) else found


def _reply(found: Any, endpoint: Endpoint) -> Reply:
    """A chat completion's message.

    Raises:
        ValueError: It is none.
    """
    try:
        choice = found["choices"][0]
        content = choice["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("no chat completion") from error
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    if content is not None and not isinstance(content, str):
        raise ValueError("no chat completion")
    usage = found.get("usage") if isinstance(found.get("usage"), Mapping) else {}
    reason = choice.get("finish_reason")
    return Reply(
        text=endpoints.safe(content or "", endpoint),
        finish_reason=reason if isinstance(reason, str) else None,
        prompt_tokens=endpoints.count(usage.get("prompt_tokens")),
        output_tokens=endpoints.count(usage.get("completion_tokens")),
    )
