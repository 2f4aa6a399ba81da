"""One request to an OpenAI-compatible endpoint, again where that may help, until there is a whole reply."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

from loralift.errors import JudgeError, shown
from loralift.judge.endpoint import Endpoint
from loralift.judge.reply import Reply
from loralift.reading import reason_of

MOST_BYTES = 4 << 20
"""A longer reply is no verdict."""

BUSY = frozenset({408, 409, 425, 429})
"""Beside 5xx: the server may answer later."""

OF_THIS_REQUEST = frozenset({400, 413, 422})
"""What may be wrong with one request alone, as where it is longer than the model's context."""

HINTS = {
    401: "check the key in the variable of --judge-key-env",
    403: "check the key in the variable of --judge-key-env, and what it may do",
    404: "check --judge (it mostly ends with /v1) and --judge-model",
}


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The others have failed, or the user gave up."""


@dataclass(slots=True)
class Pause:
    """Until when nobody asks: a server that is busy is busy for all.

    Attributes:
        stop: Set when nothing is to be asked any more.
        until: On the monotonic clock, in seconds.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    until: float = 0.0

    def at_least(self, seconds: float) -> None:
        """Nobody asks for so long."""
        self.until = max(self.until, time.monotonic() + seconds)

    def over(self) -> None:
        """Wait until it is over.

        Raises:
            Stopped: Nothing is to be asked any more.
        """
        while (left := self.until - time.monotonic()) > 0:
            if self.stop.wait(left):
                break
        if self.stop.is_set():
            raise Stopped


@dataclass(frozen=True, slots=True)
class _Failed:
    """A try without a whole reply.

    Attributes:
        why: In words.
        busy: Whether the server said that it is busy.
        wait: Seconds that it asks us to wait; None: it says nothing.
    """

    why: str
    busy: bool = False
    wait: float | None = None


def ask(endpoint: Endpoint, prompt: str, pause: Pause) -> Reply:
    """The reply to one message.

    Raises:
        JudgeError: The endpoint cannot be reached or used, or gave no whole reply however often it was asked.
        Stopped: Nothing is to be asked any more.
    """
    tries = {True: 0, False: 0}
    while True:
        pause.over()
        found = _try(endpoint, prompt)
        if isinstance(found, Reply):
            return found
        tries[found.busy] += 1
        if tries[found.busy] >= (endpoint.busy_tries if found.busy else endpoint.tries):
            raise JudgeError(
                f"the judge at {endpoint.url} gave no reply in {sum(tries.values())} tries: "
                f"{_safe(found.why, endpoint)}; what it replied so far is kept: ask again with the same command"
            )
        grown = endpoint.wait * 2 ** (sum(tries.values()) - 1) * random.uniform(1.0, 1.25)
        wait = min(max(grown, found.wait or 0.0), endpoint.longest_wait)
        if found.busy:
            pause.at_least(wait)
        elif pause.stop.wait(wait):
            raise Stopped


def _try(endpoint: Endpoint, prompt: str) -> Reply | _Failed:
    """One try."""
    body = {
        **endpoint.options,
        "model": endpoint.model,
        "messages": [{"role": "user", "content": prompt}],
        "stream": False,
    }
    request = urllib.request.Request(endpoint.url, json.dumps(body).encode("ascii"), _headers(endpoint))
    try:
        with _opener(local=endpoint.local).open(request, timeout=endpoint.timeout) as response:
            content = _content(response, time.monotonic() + endpoint.timeout)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(endpoint, error)
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        return _Failed(reason_of(cause) if isinstance(cause, Exception) else str(cause))
    try:
        return _reply(json.loads(content), endpoint)
    except (ValueError, RecursionError):
        said = _safe(content.decode("utf-8", "replace"), endpoint)
        return _Failed(f"the reply is no whole chat completion: {shown(said[:80])}")


def _headers(endpoint: Endpoint) -> dict[str, str]:
    sent = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "loralift"}
    return sent | ({"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key to where nobody sent it, and makes a GET of a POST."""

    def redirect_request(self, *_: Any) -> None:
        return None


@cache
def _opener(*, local: bool) -> urllib.request.OpenerDirector:
    """Follows no redirect, and goes through the environment's proxy but to this machine.

    Kept, since each reads all certificates of the system: 50 ms, during which no other thread runs.
    """
    own = [urllib.request.ProxyHandler({})] if local else []
    return urllib.request.build_opener(_NoRedirect, *own)


def _content(response: Any, deadline: float) -> bytes:
    """A body, no longer and no later than it may be."""
    parts, size = [], 0
    while part := response.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise http.client.HTTPException(f"a reply of more than {MOST_BYTES >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError("the reply took too long")
    return b"".join(parts)


def _refused(endpoint: Endpoint, error: urllib.error.HTTPError) -> Reply | _Failed:
    """What an HTTP status means.

    Raises:
        JudgeError: No further request would fare better.
    """
    try:
        said = _safe(error.read(MOST_BYTES).decode("utf-8", "replace").strip(), endpoint)
    except (OSError, http.client.HTTPException):
        said = ""
    why = f"HTTP {error.code} {_message(said) or error.reason}"
    if error.code in BUSY or error.code >= 500:
        return _Failed(why, busy=True, wait=_retry_after(error.headers))
    if error.code in OF_THIS_REQUEST:
        return Reply("", refused=_safe(why, endpoint))
    hint = HINTS.get(error.code, "check --judge, --judge-model and --judge-key-env")
    if 300 <= error.code < 400:
        hint = "it redirects, which is not followed: give the URL that it redirects to"
    raise JudgeError(f"the judge at {endpoint.url} cannot be asked: {_safe(why, endpoint)}; {hint}")


def _message(said: str) -> str:
    """The message of an error's body."""
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return said[:200]
    if isinstance(found, dict) and isinstance(found.get("error"), dict):
        found = found["error"]
    if isinstance(found, dict):
        found = found.get("message") or found.get("detail") or found.get("error") or found
    return str(found)[:300]


def _retry_after(headers: Any) -> float | None:
    """Seconds that ``Retry-After`` asks for, as a number or as a date."""
    said = (headers.get("Retry-After") or "").strip()
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, min(seconds, 3600.0)) if seconds == seconds else None


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
        text=_safe(content or "", endpoint),
        finish_reason=reason if isinstance(reason, str) else None,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _safe(text: str, endpoint: Endpoint) -> str:
    """A server's text without the key, which some servers repeat."""
    return text.replace(endpoint.key, "(the key)") if endpoint.key else text
