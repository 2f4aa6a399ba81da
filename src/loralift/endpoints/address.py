"""Where an endpoint is, how patiently it is asked, and a key that is never written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from urllib.parse import urlsplit

from loralift.errors import LoraLiftError, UsageError, wrong_argument

LOCAL = ("localhost", "127.0.0.1", "::1")

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Words:
    """How messages call an endpoint.

    Attributes:
        who: e.g. ``the judge``.
        url: The flag that says where it is.
        model: The flag that says what is asked there.
        key: The flag that names the key's variable.
        kept: What becomes of the replies so far, and what to do.
        error: What is raised.
    """

    who: str
    url: str
    model: str
    key: str
    kept: str
    error: type[LoraLiftError]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an endpoint is, and how patiently it is asked.

    Attributes:
        url: As it may be written.
        words: How messages call it.
        key: Sent as a bearer token; shown and written nowhere. Empty: none is sent.
        timeout: Seconds after which a request has failed.
        busy_tries: How often a request is sent to a server that says it is busy (429, 5xx).
        tries: How often one is sent that gets no whole reply.
        patience: Seconds from a request's first failure in which it is sent again whatever the number of tries.
        wait: Seconds before the second try; each further wait is twice as long, and `longest_wait` at most.
        longest_wait: In seconds; a server that asks for more (``Retry-After``) waits no longer for us.
    """

    url: str
    _: KW_ONLY
    words: Words = field(repr=False)
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    busy_tries: int = 8
    tries: int = 4
    patience: float = 0.0
    wait: float = 1.0
    longest_wait: float = 60.0

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return is_local(self.url)


def is_local(url: str) -> bool:
    """Whether a URL is of this machine."""
    return urlsplit(url).hostname in LOCAL


def url_of(text: str, words: Words) -> str:
    """A URL as it may be written, which is as it is asked; without a slash at its end.

    Raises:
        UsageError: It is none, or holds what must not be written; the message repeats no credentials.
    """
    allowed = "an http or https URL such as http://localhost:8000/v1"
    secret = f"it must hold no name, password, query or fragment, as it is written: give the key by {words.key}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"`{words.url}` must be {allowed}, and this is none: check host and port") from error
    if "@" in text or "?" in text or "#" in text:
        raise UsageError(f"`{words.url}` must be {allowed}: {secret}")
    if parts.scheme not in ("http", "https") or not host or not text.isascii() or not _KEY.fullmatch(text):
        raise UsageError(wrong_argument(words.url, allowed, text))
    return text.rstrip("/")


def key_of(variable: str | None, environment: Mapping[str, str], words: Words) -> str:
    """The key in a variable; empty where no variable is named.

    Raises:
        UsageError: There is no such variable, or no key in it.
    """
    if variable is None:
        return ""
    allowed = "the name of an environment variable that holds the key"
    # none of it is repeated, since it may be the key itself
    if not VARIABLE.fullmatch(variable) or not environment.get(variable, "").strip():
        raise UsageError(f"`{words.key}` must be {allowed}, and no variable that is set is called so")
    key = environment[variable].strip()
    if not _KEY.fullmatch(key):
        raise UsageError(f"`{words.key}` must be {allowed}: that one has spaces or characters no key has")
    return key
