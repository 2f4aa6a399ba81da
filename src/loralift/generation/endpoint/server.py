"""A server and what it says of itself: where it is, the models that it lists, its version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from loralift.endpoints import OF_THIS_REQUEST, Address, Pause, Refused, Words, send, url_of
from loralift.errors import ModelError
from loralift.generation.endpoint.reply import Reply, read_chat, read_completion

WORDS = Words(
    who="the server",
    url="--endpoint",
    model="--model and --adapter",
    key="--endpoint-key-env",
    kept="what was answered so far is kept: once it answers again, go on with --resume",
    error=ModelError,
)

TIMEOUT = 600.0
"""Seconds after which a request has failed: a long answer of a server that computes it on a processor."""

NOT_HERE = frozenset({404, 405, 501})
"""The server has no such place, or no such model."""

NO = OF_THIS_REQUEST | NOT_HERE | {500}
"""What is taken for a no when a server is asked what it can do; `transformers serve` fails at what it cannot."""

COMPLETIONS, CHAT = "/completions", "/chat/completions"

FACTS = ("root", "parent", "max_model_len", "owned_by")
"""What of a listed model does not depend on where and when it is asked."""

VLLM = "vllm"
NEUTRAL: Mapping[str, Any] = {"repetition_penalty": 1.0, "top_k": -1, "min_p": 0.0}
"""Sent to vLLM, which else takes them from the model's generation_config.json."""

type Api = Literal["auto", "completions", "chat"]


@dataclass(frozen=True, slots=True)
class Given:
    """What the user says of a server.

    Attributes:
        url: Up to and with ``/v1``.
        key: Sent as a bearer token; shown and written nowhere. Empty: none is sent.
        api: What is asked there; ``auto``: completions where it has them.
        tokenizer: A folder or hub id with the served base's tokenizer, so that token ids are sent; None: text is.
        concurrency: Most requests under way.
        wait: Seconds in which a server that does not answer is waited for.
    """

    url: str
    key: str = field(default="", repr=False)
    api: Api = "auto"
    tokenizer: str | None = None
    concurrency: int = 16
    wait: float = 300.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server.

    Attributes:
        address: Where it is, and how patiently it is asked.
        neutral: Fields of every request that switch its own defaults off.
    """

    address: Address
    neutral: Mapping[str, Any] = field(default_factory=dict)

    def complete(
        self,
        path: str,
        body: Mapping[str, Any],
        pause: Pause | None = None,
        *,
        refusals: frozenset[int] = NO,
        must_end: bool = False,
    ) -> Reply | Refused:
        """The reply to one request for an answer.

        Args:
            path: ``COMPLETIONS`` or ``CHAT``.
            body: All that is said of the prompt, the model and where its answer ends.
            pause: Shared by requests at the same time; None: it is alone.
            refusals: As of `send`.
            must_end: Whether a reply that does not say why the answer ended is not whole.

        Raises:
            ModelError: The server cannot be reached or used.
        """
        read: Callable[[Any], Reply] = partial(read_completion if path == COMPLETIONS else read_chat, must_end=must_end)
        sent = {**self.neutral, **body, "stream": False}
        return send(self.address, self.address.url + path, sent, pause or Pause(), read, refusals=refusals)

    def probing(self) -> Server:
        """The server, as it is asked what it can do: nobody waits for it to come back."""
        return replace(self, address=replace(self.address, patience=0.0, busy_tries=5))

    def models(
        self, refusals: frozenset[int] = NOT_HERE, pause: Pause | None = None
    ) -> dict[str, dict[str, Any]] | None:
        """Name of a listed model to its FACTS; None where the server lists none.

        Args:
            refusals: As of `send`.
            pause: Likewise; None: it is alone.

        Raises:
            ModelError: The server cannot be reached or used.
        """
        found = send(self.address, f"{self.address.url}/models", None, pause or Pause(), _listed, refusals=refusals)
        return None if isinstance(found, Refused) else found

    def version(self) -> str | None:
        """The server's version as vLLM and SGLang say it; None where it says none."""
        root = self.address.url.removesuffix("/v1")
        once = replace(self.address, patience=0.0, tries=1)
        try:
            found = send(once, f"{root}/version", None, Pause(), _version, refusals=frozenset(range(300, 600)))
        except ModelError:  # a page that is no JSON
            return None
        return None if isinstance(found, Refused) else found


def server_of(given: Given) -> Server:
    """The server that the user names.

    Raises:
        UsageError: The URL is none, or must not be written.
    """
    address = Address(url_of(given.url, WORDS), words=WORDS, key=given.key, timeout=TIMEOUT, patience=given.wait)
    return Server(address)


def _listed(found: Any) -> dict[str, dict[str, Any]] | None:
    data = found.get("data") if isinstance(found, Mapping) else None
    if not isinstance(data, list):
        return None
    models = [one for one in data if isinstance(one, Mapping) and isinstance(one.get("id"), str)]
    return {one["id"]: {name: _plain(one.get(name)) for name in FACTS} for one in models} or None


def _plain(value: Any) -> str | int | float | None:
    return value if isinstance(value, str | int | float) else None


def _version(found: Any) -> str | None:
    said = found.get("version") if isinstance(found, Mapping) else None
    return said if isinstance(said, str) else None
