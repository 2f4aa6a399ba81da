"""The proof that a served adapter acts: by its likeliest first tokens where a server gives them, else by answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from loralift.errors import AdapterError, ModelError, some
from loralift.generation.adapter import tokenizer_match
from loralift.generation.adapter.proof import NOTHING, WEAK, spread
from loralift.generation.endpoint.ability import likeliest, top_of
from loralift.generation.endpoint.generator import EndpointGenerator
from loralift.records import BASE, AdapterProof, Prompt

SHORT = 32
"""Most tokens of the answers that are compared where there are no log-probabilities."""

SURE = 0.01
"""Changed answers prove by themselves where chance makes so many this seldom; fewer are asked for again."""

AGAIN = 4
"""How often more."""

_SHORTLY: Mapping[str, Any] = {"max_tokens": SHORT, "temperature": 0}

_LEAST = 1e-12
"""In the place of a probability that must be divided by and is 0 but for rounding."""

type Top = Mapping[str, float]
"""Text of each of the likeliest tokens to the natural logarithm of its probability."""


def prove(
    generator: EndpointGenerator, prompts: Sequence[Prompt], *, chat_template: bool = False
) -> tuple[AdapterProof, ...]:
    """Prove on at most 16 real prompts that the server lets every adapter act.

    A server computes in batches that nobody chooses, so the base's own noise is measured by asking it three times, once
    with one request at a time; an adapter must differ from the base by clearly more.

    Args:
        generator: A served base with its adapters.
        prompts: All prompts of the run; not empty.
        chat_template: Whether the base's chat template rendered them.

    Raises:
        ModelError: The prompts begin with two BOS tokens or end with an EOS, or the base's answers are not its own.
        AdapterError: An adapter acts on nothing, or as little as chance does.
    """
    tokenizer_match.refuse_misread(generator.tokenizer, prompts, chat_template=chat_template)
    few = spread(prompts)
    path, most = generator.writing.request(few[0])[0], generator.ability.top
    if path != generator.ability.path:  # chats of a server that is asked for completions otherwise
        most = likeliest(generator.server.probing(), path, generator.names[BASE])
    return _by_tokens(generator, few, path, most) if most else _by_answers(generator, few)


def divergence(one: Top, other: Top) -> float:
    """At least how far a distribution is from another, KL(one || other) in nats, of what is known of both.

    Tokens in both lists stand alone; those in the first alone are one event, of which the other list says how likely it
    can be at most; all else is one more. KL of such a partition is never above that of the whole vocabulary.
    """
    both = one.keys() & other.keys()
    terms = [(math.exp(one[token]), math.exp(other[token])) for token in sorted(both)]
    rest, rest_other = (
        (max(1.0 - math.fsum(values), 0.0) for values in zip(*terms, strict=True)) if terms else (1.0, 1.0)
    )
    own = min(math.fsum(math.exp(value) for token, value in one.items() if token not in both), rest)
    if own > 0 and rest > 0:
        most = max(1.0 - math.fsum(math.exp(value) for value in other.values()), 0.0)
        theirs = min(most, rest_other * own / rest)
        terms += [(own, theirs), (rest - own, rest_other - theirs)]
    else:
        terms.append((rest, rest_other))
    return max(math.fsum(p * math.log(p / max(q, _LEAST)) for p, q in terms if p > _LEAST), 0.0)


def _by_tokens(generator: EndpointGenerator, few: Sequence[Prompt], path: str, most: int) -> tuple[AdapterProof, ...]:
    asked = top_of(path, most)
    base = _tops(generator, BASE, few, asked, generator.concurrency)
    again = [_tops(generator, BASE, few, asked, at_a_time) for at_a_time in (1, generator.concurrency)]
    noise = max(divergence(other[key], top) for other in again for key, top in base.items())
    proofs: list[AdapterProof] = []
    adapted: dict[str, dict[str, Top]] = {}
    for name in generator.variants[1:]:
        tops = _tops(generator, name, few, asked, generator.concurrency)
        shift = [divergence(tops[key], top) for key, top in base.items()]
        if max(shift) <= max(NOTHING, WEAK * noise):
            raise _dead(
                generator,
                name,
                f"on {len(few)} prompts it shifts the next token's distribution by at most {max(shift):.1e} nats, as "
                f"far as the {most} likeliest tokens say, and the base by itself moves by {noise:.1e}",
            )
        notes = [f"The server gives the {most} likeliest tokens, so its divergence is at least that."]
        if twins := [other for other, found in adapted.items() if found == tops]:
            notes.append(f"Its likeliest tokens are the very ones of {some(twins)}: the server may mix them up.")
        adapted[name] = tops
        changed = sum(_likeliest(tops[key]) != _likeliest(top) for key, top in base.items()) / len(few)
        mean = math.fsum(shift) / len(shift)
        proofs.append(AdapterProof(name, len(few), mean, max(shift), changed, tuple(notes)))
    return tuple(proofs)


def _tops(
    generator: EndpointGenerator, variant: str, few: Sequence[Prompt], asked: Mapping[str, Any], at_a_time: int
) -> dict[str, Top]:
    """The likeliest first tokens by the prompts' ids.

    Raises:
        ModelError: A reply has none, or no numbers.
    """
    replies = generator.ask(variant, few, {"max_tokens": 1, "temperature": 0, **asked}, at_a_time)
    tops = {prompt.id: replies[prompt.id].top or {} for prompt in few}
    lacking = [key for key, top in tops.items() if not top or not all(map(_possible, top.values()))]
    if lacking:
        raise ModelError(
            f"the server gives no log-probabilities of {variant}'s first token on {len(lacking)} of {len(few)} prompts "
            f"({some(lacking, 3)}), and did before: ask another server"
        )
    return tops


def _possible(value: float) -> bool:
    """Whether it is the logarithm of a probability, but for rounding; 0 has minus infinity."""
    return value <= 1e-3


def _likeliest(top: Top) -> str:
    return max(sorted(top), key=top.__getitem__)


def _by_answers(generator: EndpointGenerator, few: Sequence[Prompt]) -> tuple[AdapterProof, ...]:
    """Each variant answers twice; an adapter acts where it agrees with itself and not with the base, which does too."""
    base = _twice(generator, BASE, few)
    steady = [key for key, (one, other) in base.items() if one == other]
    if not steady:
        raise ModelError(
            f"the base's short answers at temperature 0 differ from themselves on all {len(few)} prompts: the server "
            "samples in spite of it; let it decode greedily"
        )
    proofs = []
    for name in generator.variants[1:]:
        own = _twice(generator, name, few)
        changed = [key for key in steady if own[key][0] == own[key][1] != base[key][0]]
        mixed = [key for key in base if base[key][0] != base[key][1] and set(base[key]) == set(own[key])]
        if chance(len(changed), len(mixed)) > SURE:
            changed = _lasting(generator, name, [prompt for prompt in few if prompt.id in changed], base, own)
        if not changed:
            raise _dead(
                generator,
                name,
                f"on none of {len(steady)} prompts on which the base answers the same each time does it do so too and "
                f"otherwise ({SHORT} tokens; the server gives no log-probabilities)",
            )
        note = (
            f"That it acts was seen by answers of {SHORT} tokens: another one than the base's on {len(changed)} of "
            f"{len(few)} prompts, the same one when asked again; the server gives no log-probabilities."
        )
        proofs.append(AdapterProof(name, len(few), None, None, None, (note,)))
    return tuple(proofs)


def chance(changed: int, mixed: int) -> float:
    """How likely at least so many changed prompts are if the adapter's name is answered as the base's is.

    Two answers of either, and two of the four are one text and two another: whoever answers draws all four alike, so
    that of the six orders of these, all as likely, two have one text for the base and the other for the adapter.

    Args:
        changed: Prompts on which each agrees with itself and not with the other.
        mixed: Prompts on which both gave the same two texts, one each time.
    """
    both = changed + mixed
    return sum(math.comb(both, k) << (both - k) for k in range(changed, both + 1)) / math.pow(3, both)


def _lasting(
    generator: EndpointGenerator,
    name: str,
    changed: Sequence[Prompt],
    base: Mapping[str, tuple[str, str]],
    own: Mapping[str, tuple[str, str]],
) -> list[str]:
    """Those of the changed prompts on which base and adapter still answer as they did, each asked ``AGAIN`` times more.

    Six answers each leave chance, however the server's answers scatter, 2 / 4^6 a prompt: 0.8 % on all 16.
    """
    for _ in range(AGAIN):
        for variant, answers in ((BASE, base), (name, own)):
            replies = generator.ask(variant, changed, _SHORTLY, 1) if changed else {}
            changed = [prompt for prompt in changed if replies[prompt.id].text == answers[prompt.id][0]]
    return [prompt.id for prompt in changed]


def _twice(generator: EndpointGenerator, variant: str, few: Sequence[Prompt]) -> dict[str, tuple[str, str]]:
    """A variant's two short greedy answers by the prompts' ids, the second with one request at a time."""
    one, other = (generator.ask(variant, few, _SHORTLY, at_a_time) for at_a_time in (generator.concurrency, 1))
    return {prompt.id: (one[prompt.id].text, other[prompt.id].text) for prompt in few}


def _dead(generator: EndpointGenerator, name: str, found: str) -> AdapterError:
    error = AdapterError(
        f"`--adapter {name}={generator.names[name]}` acts on nothing: {found}; see that the server was started with it "
        "(vLLM: --enable-lora --lora-modules NAME=PATH), or evaluate its files without --engine endpoint"
    )
    error.adapter = name
    return error
