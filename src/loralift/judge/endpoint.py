"""Who is asked: an OpenAI-compatible endpoint, a model's name, a key that is never written, and what is sent along."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from loralift import arguments
from loralift.endpoints import Address, Words, key_of, url_of
from loralift.endpoints.address import VARIABLE
from loralift.errors import JudgeError, UsageError, wrong_argument

PATH = "/chat/completions"

DEFAULTS: Mapping[str, Any] = {"temperature": 0, "max_tokens": 1024}
"""What is sent beside the model and the message, where nothing else is asked for."""

OWN = ("model", "messages", "stream", "n")
"""What a request says of itself, and no option may."""

WORDS = Words(
    who="the judge",
    url="--judge",
    model="--judge-model",
    key="--judge-key-env",
    kept="what it replied so far is kept: ask again with the same command",
    error=JudgeError,
)


@dataclass(frozen=True, slots=True)
class Endpoint(Address):
    """Who is asked.

    Attributes:
        url: What is posted to, up to and with ``/chat/completions``.
        model: Its name there.
        options: Further fields of every request, such as ``temperature``.
    """

    _: KW_ONLY
    words: Words = field(default=WORDS, repr=False)
    model: str
    options: Mapping[str, Any] = field(default_factory=lambda: DEFAULTS)

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
    plain = url_of(url, WORDS)
    return Endpoint(
        plain if plain.endswith(PATH) else plain + PATH,
        model=name,
        options={key: value for key, value in sent.items() if value is not None},
        key=key_of(key_env, environment, WORDS),
    )


def _option(text: str) -> tuple[str, Any]:
    """``NAME=JSON`` as name and value; what is not JSON is a text.

    >>> _option("temperature=null"), _option("reasoning_effort=low")
    (('temperature', None), ('reasoning_effort', 'low'))
    """
    name, equals, value = text.partition("=")
    if not equals or not VARIABLE.fullmatch(name) or name in OWN:
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
