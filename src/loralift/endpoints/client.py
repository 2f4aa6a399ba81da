"""One request to an OpenAI-compatible endpoint, again where that may help, until there is a whole reply."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

from loralift.endpoints.address import Address
from loralift.errors import shown
from loralift.reading import reason_of

MOST_BYTES = 64 << 20
"""A longer reply is not read; that of a long prompt's log-probabilities has a few."""

BUSY = frozenset({408, 409, 425, 429})
"""Beside 5xx: the server may answer later."""

OF_THIS_REQUEST = frozenset({400, 413, 422})
"""What may be wrong with one request alone, as where it is longer than the model's context."""


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The others have failed, or the user gave up."""


@dataclass(slots=True)
class Pause:
    """Until when nobody asks: a server that is busy is busy for all.

    Attributes:
        stop: Set when nothing is to be asked any more.
        until: On the monotonic clock, in seconds.
        broke: When a request last failed otherwise than by a server that says it is busy, on the same clock; 0: none.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    until: float = 0.0
    broke: float = 0.0

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
        broke: Whether it may have been restarted: all but 4xx.
        wait: Seconds that it asks us to wait; None: it says nothing.
    """

    why: str
    busy: bool = False
    broke: bool = True
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A server's no to one request.

    Attributes:
        why: In words, without the key.
        status: The HTTP status.
    """

    why: str
    status: int


def send[Reply](
    address: Address,
    url: str,
    body: Mapping[str, Any] | None,
    pause: Pause,
    read: Callable[[Any], Reply],
    *,
    refusals: frozenset[int] = OF_THIS_REQUEST,
) -> Reply | Refused:
    """The reply to one request, sent again until it is whole.

    Args:
        address: Who is asked, and how patiently.
        url: What is asked there.
        body: What is posted, as JSON; None: it is a GET.
        pause: Shared by all requests.
        read: Reads the reply's JSON; a ValueError says that it is not whole.
        refusals: The HTTP statuses that are given back; others end it, or are waited for.

    Raises:
        LoraLiftError: That of the address's words: it cannot be reached or used, or gave no whole reply in time.
        Stopped: Nothing is to be asked any more.
    """
    tries, words, began = {True: 0, False: 0}, address.words, 0.0
    while True:
        pause.over()
        found = _try(address, url, body, read, refusals)
        if not isinstance(found, _Failed):
            return found
        began = began or time.monotonic()
        if found.broke:
            pause.broke = time.monotonic()
        tries[found.busy] += 1
        enough = tries[found.busy] >= (address.busy_tries if found.busy else address.tries)
        if enough and time.monotonic() - began >= address.patience:
            within = f" and {address.patience:.0f} s" if address.patience else ""
            raise words.error(
                f"{words.who} at {address.url} gave no reply in {sum(tries.values())} tries{within}: "
                f"{safe(found.why, address)}; {words.kept}"
            )
        grown = address.wait * 2 ** min(sum(tries.values()) - 1, 30) * random.uniform(1.0, 1.25)
        wait = min(max(grown, found.wait or 0.0), address.longest_wait)
        if found.busy:
            pause.at_least(wait)
        elif pause.stop.wait(wait):
            raise Stopped


def _try[Reply](
    address: Address,
    url: str,
    body: Mapping[str, Any] | None,
    read: Callable[[Any], Reply],
    refusals: frozenset[int],
) -> Reply | Refused | _Failed:
    """One try."""
    data = None if body is None else json.dumps(body).encode("ascii")
    request = urllib.request.Request(url, data, _headers(address))
    try:
        with _opener(local=address.local).open(request, timeout=address.timeout) as response:
            content = _content(response, time.monotonic() + address.timeout)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(address, error, refusals)
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        return _Failed(reason_of(cause) if isinstance(cause, Exception) else str(cause))
    try:
        return read(json.loads(content))
    except (ValueError, RecursionError):
        said = safe(content.decode("utf-8", "replace"), address)
        return _Failed(f"the reply is not whole, or no completion: {shown(said[:80])}")


def _headers(address: Address) -> dict[str, str]:
    sent = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "loralift"}
    return sent | ({"Authorization": f"Bearer {address.key}"} if address.key else {})


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


def _refused(address: Address, error: urllib.error.HTTPError, refusals: frozenset[int]) -> Refused | _Failed:
    """What an HTTP status means.

    Raises:
        LoraLiftError: No further request would fare better.
    """
    words = address.words
    try:
        said = safe(error.read(MOST_BYTES).decode("utf-8", "replace").strip(), address)
    except (OSError, http.client.HTTPException):
        said = ""
    why = f"HTTP {error.code} {_message(said) or error.reason}"
    if error.code in refusals:
        return Refused(safe(why, address), error.code)
    if error.code in BUSY or error.code >= 500:
        return _Failed(why, busy=True, broke=error.code >= 500, wait=_retry_after(error.headers))
    hint = f"check {words.url}, {words.model} and {words.key}"
    if error.code in (401, 403):
        hint = f"check the key in the variable of {words.key}" + (", and what it may do" if error.code == 403 else "")
    elif error.code == 404:
        hint = f"check {words.url} (it mostly ends with /v1) and {words.model}"
    elif 300 <= error.code < 400:
        hint = "it redirects, which is not followed: give the URL that it redirects to"
    raise words.error(f"{words.who} at {address.url} cannot be asked: {safe(why, address)}; {hint}")


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


def count(value: Any) -> int | None:
    """A count as a server says it; None where it says none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def safe(text: str, address: Address) -> str:
    """A server's text without the key, which some servers repeat."""
    return text.replace(address.key, "(the key)") if address.key else text
