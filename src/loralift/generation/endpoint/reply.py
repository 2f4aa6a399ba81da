"""What a server replies: an answer, why it ended, and log-probabilities where it gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loralift.endpoints import count
from loralift.errors import ModelError, shown
from loralift.generation.base import GenerationSettings
from loralift.records import FinishReason

STOP = ("stop", "eos", "eos_token", "stop_sequence", "end_turn")
LENGTH = ("length", "max_tokens")

SPECIAL = re.compile(r"(<\|[^|<>\s]+\|>|</s>|<eos>|<end_of_turn>|\[/INST\])\Z")
"""What an answer ends with where a server leaves special tokens in texts."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as the server gives it.

    Attributes:
        text: As it came.
        ended: Why it ended, as the server calls it; None where it does not say.
        model: The model that answered, as the server calls it; None likewise.
        prompt_tokens: As the server counts them; None likewise.
        output_tokens: Likewise.
        top: Text of a token to the natural logarithm of its probability, of the likeliest first tokens; None where the
            server gives none.
        echoed: The text of each token of prompt and answer and the logarithm of its probability, which the first has
            none of; None where the server gives none.
        prompt: vLLM's ``prompt_logprobs``; None where there are none.
    """

    text: str
    ended: str | None
    model: str | None
    prompt_tokens: int | None
    output_tokens: int | None
    top: Mapping[str, float] | None = None
    echoed: tuple[tuple[str, float | None], ...] | None = None
    prompt: Sequence[Any] | None = None


def read_completion(found: Any, *, must_end: bool = False) -> Reply:
    """A reply of ``/v1/completions``.

    Args:
        found: Its JSON.
        must_end: Whether one that does not say why the answer ended is not whole.

    Raises:
        ValueError: It is not whole.
    """
    choice = _choice(found, must_end=must_end)
    text = choice.get("text")
    if not isinstance(text, str):
        raise ValueError("no text")
    said = choice.get("logprobs")
    logprobs: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    tops = logprobs.get("top_logprobs")
    first = tops[0] if isinstance(tops, list) and tops else None
    top = {key: number for key, value in first.items() if (number := _number(value)) is not None} if first else None
    prompt = choice.get("prompt_logprobs")
    return _reply(found, choice, text, top, _echoed(logprobs), prompt if isinstance(prompt, list) else None)


def read_chat(found: Any, *, must_end: bool = False) -> Reply:
    """A reply of ``/v1/chat/completions``; a message without content is an empty answer.

    Args:
        found: Its JSON.
        must_end: As of `read_completion`.

    Raises:
        ValueError: It is not whole.
    """
    choice = _choice(found, must_end=must_end)
    message = choice.get("message")
    content = message.get("content") if isinstance(message, Mapping) else 0
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    if content is not None and not isinstance(content, str):
        raise ValueError("no message")
    said = choice.get("logprobs")
    tokens = said.get("content") if isinstance(said, Mapping) else None
    first = tokens[0].get("top_logprobs") if isinstance(tokens, list) and tokens else None
    top = {str(one["token"]): float(one["logprob"]) for one in first} if first else None
    return _reply(found, choice, content or "", top)


def ended_by(reply: Reply, question: str) -> FinishReason | None:
    """Why an answer ended; None where the server does not say.

    Raises:
        ModelError: Something else than the model ended it.
    """
    if reply.ended is None:
        return None
    if reply.ended in STOP:
        return "stop"
    if reply.ended in LENGTH:
        return "length"
    raise ModelError(
        f"the server ended its answer to {question} for a reason that is not the model's ({shown(reply.ended)}): "
        "switch filters and tools off there, or leave that question out"
    )


def cut(text: str, stop: Sequence[str]) -> str:
    """A text up to the first stop string, which servers may leave in it or not look for."""
    return text[: min((place for place in map(text.find, stop) if place >= 0), default=len(text))]


def refuse_unlike(reply: Reply, question: str, settings: GenerationSettings) -> None:
    """Refuse an answer that ended otherwise than it was asked to.

    Raises:
        ModelError: Something else than the model ended it, it has more tokens than asked for or was cut before so many,
            or it ends with what is mostly a special token.
    """
    ended, most, made = ended_by(reply, question), settings.max_new_tokens, reply.output_tokens
    text = cut(reply.text, settings.stop)
    whole = text == reply.text
    if made is not None and made > most + 1:
        raise ModelError(f"the server wrote {made} tokens to {question}, and was asked for {most} at most: use another")
    # one less: some count the token that ends an answer, and some don't
    if whole and ended == "length" and made is not None and made < most - 1:
        raise ModelError(
            f"the server cut its answer to {question} after {made} tokens, and {most} were asked for: raise its limit "
            f"or its context window, or lower --max-new-tokens to {made}"
        )
    if ended == "stop" and (found := SPECIAL.search(text.strip())):
        raise ModelError(
            f"the answer to {question} ends with {found[0]!r}, mostly a special token that is no part of a text: let "
            f"the server leave special tokens out, or cut it with --stop '{found[0]}'"
        )


def _reply(
    found: Mapping[str, Any],
    choice: Mapping[str, Any],
    text: str,
    top: Mapping[str, float] | None = None,
    echoed: tuple[tuple[str, float | None], ...] | None = None,
    prompt: Sequence[Any] | None = None,
) -> Reply:
    said = found.get("usage")
    usage: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    ended, model = choice.get("finish_reason"), found.get("model")
    return Reply(
        text,
        ended if isinstance(ended, str) else None,
        model if isinstance(model, str) else None,
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
        top or None,
        echoed,
        prompt,
    )


def _choice(found: Any, *, must_end: bool) -> Mapping[str, Any]:
    choices = found.get("choices") if isinstance(found, Mapping) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise ValueError("no choices")
    if must_end and not isinstance(choices[0].get("finish_reason"), str):
        raise ValueError("no end")
    return choices[0]


def _echoed(logprobs: Mapping[str, Any]) -> tuple[tuple[str, float | None], ...] | None:
    tokens, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        return None
    if not all(isinstance(token, str) for token in tokens):
        return None
    return tuple(zip(tokens, map(_number, values), strict=True))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
