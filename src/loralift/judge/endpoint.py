"""Who is asked: an OpenAI-compatible endpoint, a model's name, a key that is never written, and what is sent along."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from loralift import arguments
from loralift.errors import UsageError, wrong_argument

PATH = "/chat/completions"

DEFAULTS: Mapping[str, Any] = {"temperature": 0, "max_tokens": 1024}
"""What is sent beside the model and the message, where nothing else is asked for."""

OWN = ("model", "messages", "stream", "n")
"""What a request says of itself, and no option may."""

LOCAL = ("localhost", "127.0.0.1", "::1")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"[\x21-\x7e]+")
_SECRET = "it must hold no name, password, query or fragment, as it is written: give the key by --judge-key-env"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who is asked.

    Attributes:
        url: What is posted to, up to and with ``/chat/completions``.
        model: Its name there.
        options: Further fields of every request, such as ``temperature``.
        key: Sent as a bearer token; shown and written nowhere. Empty: none is sent.
        timeout: Seconds after which a request has failed.
        busy_tries: How often a request is sent to a server that says it is busy (429, 5xx).
        tries: How often one is sent that gets no whole reply.
        wait: Seconds before the second try; each further wait is twice as long, and `longest_wait` at most.
        longest_wait: In seconds; a server that asks for more (``Retry-After``) waits no longer for us.
    """

    url: str
    model: str
    options: Mapping[str, Any] = field(default_factory=lambda: DEFAULTS)
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    busy_tries: int = 8
    tries: int = 4
    wait: float = 1.0
    longest_wait: float = 60.0

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return urlsplit(self.url).hostname in LOCAL

    @property
    def identity(self) -> dict[str, Any]:
        """What a verdict depends on, as it may be written."""
        return {"url": self.url, "model": self.model, "options": dict(self.options)}

    def digest(self, rubric: str) -> str:
        """A digest of the identity and of a rubric's hash: what one judge is."""
        document = json.dumps([self.identity, rubric], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(document.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def endpoint_of(
    url: str, model: str, environment: Mapping[str, str], *, key_env: str | None = None, options: Iterable[str] = ()
) -> Endpoint:
    """The endpoint that the flags name.

    Args:
        url: ``--judge``: with or without ``/chat/completions``.
        model: ``--judge-model``.
        environment: Where the key is.
        key_env: ``--judge-key-env``: the variable that holds the key; None: no key is sent.
        options: ``--judge-option``: ``NAME=JSON`` each; ``null`` leaves a field out.

    Raises:
        UsageError: One of them is something else; the message repeats neither a URL with credentials nor a key.
    """
    name = arguments.name("--judge-model", model, "the name of a model on that server")
    sent: dict[str, Any] = {**DEFAULTS, **arguments.pairs("--judge-option", map(_option, options))}
    return Endpoint(
        _url(url), name, {key: value for key, value in sent.items() if value is not None}, _key(key_env, environment)
    )


def _url(text: str) -> str:
    """A URL as it may be written, which is as it is asked."""
    allowed = "an http or https URL such as http://localhost:8000/v1"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"`--judge` must be {allowed}, and this is none: check host and port") from error
    if "@" in text or "?" in text or "#" in text:
        raise UsageError(f"`--judge` must be {allowed}: {_SECRET}")
    if parts.scheme not in ("http", "https") or not host or not text.isascii() or not _KEY.fullmatch(text):
        raise UsageError(wrong_argument("--judge", allowed, text))
    plain = text.rstrip("/")
    return plain if plain.endswith(PATH) else plain + PATH


def _key(variable: str | None, environment: Mapping[str, str]) -> str:
    if variable is None:
        return ""
    allowed = "the name of an environment variable that holds the key"
    # none of it is repeated, since it may be the key itself
    if not _VARIABLE.fullmatch(variable) or not environment.get(variable, "").strip():
        raise UsageError(f"`--judge-key-env` must be {allowed}, and no variable that is set is called so")
    key = environment[variable].strip()
    if not _KEY.fullmatch(key):
        raise UsageError(f"`--judge-key-env` must be {allowed}: that one has spaces or characters no key has")
    return key


def _option(text: str) -> tuple[str, Any]:
    """``NAME=JSON`` as name and value; what is not JSON is a text.

    >>> _option("temperature=null"), _option("reasoning_effort=low")
    (('temperature', None), ('reasoning_effort', 'low'))
    """
    name, equals, value = text.partition("=")
    if not equals or not _VARIABLE.fullmatch(name) or name in OWN:
        allowed = f"NAME=VALUE, a field of the request's body other than {', '.join(OWN)}"
        raise UsageError(wrong_argument("--judge-option", allowed, text))
    try:
        return name, json.loads(value, parse_constant=_no_number)
    except ValueError:
        return name, arguments.text("--judge-option", value, "a value that can be written as UTF-8")
    except RecursionError:
        raise UsageError(f"`--judge-option` {name} is nested too deeply") from None


def _no_number(text: str) -> Any:
    raise UsageError(wrong_argument("--judge-option", "NAME=JSON, whose numbers are finite", text))
