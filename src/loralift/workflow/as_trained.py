"""What a format's training showed of a row: the prompt that asks so, and what other prompts have no place for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loralift.config.protocols import ALPACA, CHAT, INSTRUCTED, PLAIN, VERBATIM
from loralift.data import ALPACA_SYSTEM_PROMPT, DEFAULT_SYSTEM_PROMPT
from loralift.errors import ModelError, UsageError, some
from loralift.generation import Generator
from loralift.generation.model.ends import special_tokens
from loralift.metrics.perplexity import PERPLEXITY
from loralift.records import TRAINING, Protocol, Question
from loralift.workflow.joins import PROBE

TRAINED = {
    CHAT: "The data are conversations, so the tokenizer's chat template asks, as they are trained on.",
    ALPACA: "The data are Alpaca's, so Stanford Alpaca's prompt asks, as Axolotl's alpaca trains on it; LLaMA-Factory "
    "trains on instruction and input in a turn of the chat template: --chat-template asks so.",
    VERBATIM: "The data are prompts and completions, so each prompt asks as it stands and its answer begins right "
    "behind it, as TRL trains on them; --format qa asks by LoraLift's own prompt.",
}
"""Why the training protocol asks as it does, by the format's style."""


def notes_as_trained(protocol: Protocol, generator: Generator, questions: Sequence[Question]) -> Iterator[str]:
    """Why a format's own prompt asks.

    Raises:
        ModelError: It is the chat template, and there is none.
    """
    style = questions[0].style if questions else PLAIN
    if protocol.name != TRAINING or style == PLAIN or protocol.prompt != style:
        return
    if style == CHAT and generator.tokenizer.chat_template is None:
        raise ModelError(
            "the data are conversations, which a chat template asks, and this model's tokenizer has none: put that of "
            "the training (chat_template.jinja; many an adapter's folder has it) into the model's folder, or describe "
            "a protocol with a prompt of its own in the configuration file"
        )
    yield TRAINED[style]
    if style == CHAT and not protocol.system_prompt:
        own = sum(bool(question.system) for question in questions)
        yield f"No system message but the rows' own is put into it ({own} of {len(questions)} rows have one)."


def end_of_turn(generator: Generator) -> Iterator[str]:
    """Let answers end where the chat template ends the assistant's turn, if the model's configuration does not.

    Args:
        generator: A model with a chat template.

    Yields:
        A note where it did not.
    """
    messages = [{"role": role, "content": text} for role, text in (("user", "?"), ("assistant", PROBE), ("user", "?"))]
    try:
        text = generator.render_chat(messages)
    except ModelError:
        return
    (ids,) = generator.encode([text.partition(PROBE)[2].lstrip()], add_special_tokens=False)
    token = generator.tokenizer.convert_ids_to_tokens(ids[0]) if ids else None
    if token in special_tokens(generator.tokenizer) and ids[0] not in _ends(generator):
        generator.end_at(ids[0])
        yield (
            f"The chat template ends a turn with {token}, which the model's generation_config does not name: answers "
            "end there too."
        )


def unanswerable(generator: Generator, questions: Sequence[Question], primary: str | None) -> Iterator[str]:
    """Refuse references that end with a special token's text, as some trainings' files do: no answer holds one.

    Args:
        generator: A model; where its tokenizer is not known, nothing is.
        questions: With their references.
        primary: The metric that decides.

    Yields:
        A note where these are fewer than half, or where the metric looks at no answer.

    Raises:
        UsageError: They are more.
    """
    special = tuple(special_tokens(generator.tokenizer))
    ended = sum(any(text.rstrip().endswith(special) for text in each.references) for each in questions)
    if not special or not ended:
        return
    said = (
        f"{ended} of {len(questions)} references end with a special token of the model ("
        f"{some(sorted({token for token in special if _ends_one(token, questions)}))}), which no answer holds, since "
        "those are left out of texts"
    )
    if 2 * ended > len(questions) and primary != PERPLEXITY.name:
        raise UsageError(f"`--dataset` cannot be judged: {said}; take it out of the references")
    yield f"{said}."


def _ends_one(token: str, questions: Sequence[Question]) -> bool:
    return any(text.rstrip().endswith(token) for each in questions for text in each.references)


def refuse_unheard_stops(protocol: Protocol, generator: Generator) -> None:
    """Refuse a protocol's own stop string that is a special token: no text has one, so it would end nothing.

    Raises:
        UsageError: There is one that ends no answer otherwise.
    """
    special = [text for text in protocol.stop if text in special_tokens(generator.tokenizer)]
    if lost := [text for text in special if generator.tokenizer.convert_tokens_to_ids(text) not in _ends(generator)]:
        raise UsageError(
            f"`stop` of protocol {protocol.name} has the special token {lost[0]!r}, which is left out of texts: "
            "give it to the whole run, with --eos-token"
        )


def _ends(generator: Generator) -> set[int]:
    """The ids of the tokens that end an answer."""
    return set(generator.describe().information.get("eos_token_ids", ()))


def refuse_without_place(protocol: Protocol, questions: Sequence[Question]) -> None:
    """Refuse to ask rows without what their training showed of them.

    Raises:
        UsageError: They have earlier turns or a system message that the prompt has no place for, or two of them.
    """
    named = f"protocol {protocol.name}"
    turned = [question.id for question in questions if question.turns]
    if turned and (protocol.prompt != CHAT or protocol.shots):
        why = "would put its worked examples among" if protocol.prompt == CHAT else "has no place for"
        raise UsageError(
            f"{named} {why} the earlier turns of {len(turned)} rows ({some(turned)}): ask them through the chat "
            "template without examples (--chat-template, or prompt: chat), or leave these rows out"
        )
    own = [question.id for question in questions if question.system]
    if own and protocol.prompt not in INSTRUCTED:
        raise UsageError(
            f"{named} has no place for the system messages of {len(own)} rows ({some(own)}): ask by prompt chat, "
            "plain or alpaca, or take them out of the data"
        )
    if own and protocol.system_prompt not in ("", DEFAULT_SYSTEM_PROMPT, ALPACA_SYSTEM_PROMPT):
        raise UsageError(
            f"`--system-prompt` of {named} would stand in the place of the system messages that {len(own)} rows "
            f"({some(own)}) have: leave it out, or take those out of the data"
        )
