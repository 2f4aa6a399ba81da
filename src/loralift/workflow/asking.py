"""How all variants are asked: each protocol of a run, and its prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import batched
from typing import Any

from loralift.config import RunConfig
from loralift.config.protocols import ALPACA, CHAT, FEW_SHOT, INSTRUCTED, PLAIN, VERBATIM, ProtocolConfig
from loralift.data import (
    ALPACA_SYSTEM_PROMPT,
    CHAT_SEPARATOR,
    DEFAULT_SYSTEM_PROMPT,
    PLAIN_SEPARATOR,
    chat_messages,
    render_alpaca,
    render_own,
    render_prompt,
    separator_of,
)
from loralift.errors import ModelError, shown, some
from loralift.generation import GenerationSettings, Generator, reasoning_switch, thinking_tags
from loralift.generation.model.thinking import Switch
from loralift.kept import keep
from loralift.records import AS_USUAL, TRAINING, Prompt, Protocol, Question, Style, Thinking, Turn, opened_by
from loralift.workflow.as_trained import notes_as_trained, refuse_without_place
from loralift.workflow.joins import AT_ONCE, Joins, moves_spaces
from loralift.workflow.markers import next_example

PROBE = "Instructions to be found again."


def protocols_of(config: RunConfig, questions: Sequence[Question] = ()) -> tuple[Protocol, ...]:
    """The run's protocols, the one that decides first.

    Args:
        config: What the run was told.
        questions: Those that decide: ``training`` asks as their format is trained on; none: by the plain prompt.
    """
    style: Style = questions[0].style if questions else "plain"
    return tuple(_protocol(asked, config, style) for asked in config.protocols)


def overruled(config: RunConfig, name: str, prompt: str | None = None) -> Iterator[str]:
    """What the run was told and a protocol says otherwise for itself, one sentence each.

    Args:
        config: What the run was told.
        name: The protocol's.
        prompt: Its prompt; None: what the configuration says of it.
    """
    asked = next(protocol for protocol in config.protocols if protocol.name == name)
    for field in ("system_prompt", "stop", "max_new_tokens", "temperature", "top_p"):
        own, told = getattr(asked, field), getattr(config, field)
        if own is not None and field in config.model_fields_set and own != told:
            yield f"It has a {field} of its own, {shown(own)}, and not the run's {shown(told)}."
    if (prompt or asked.prompt) not in INSTRUCTED and config.system_prompt:
        what = "each question as it stands" if prompt == VERBATIM else "a text of its own"
        yield f"Its prompt is {what}, so the run's system_prompt is not in it."


def _prompt(asked: ProtocolConfig, config: RunConfig, style: Style) -> str:
    """A protocol's prompt; that of training is the format's own, unless the user says that it was the template."""
    if asked.name != TRAINING:
        return asked.prompt
    return CHAT if config.chat_template else style


def _protocol(asked: ProtocolConfig, config: RunConfig, style: Style) -> Protocol:
    prompt = _prompt(asked, config, style)
    shots = config.num_shots if asked.name == FEW_SHOT and asked.shots is None else asked.shots
    # ours was added in training to none but plain questions
    usual = ALPACA_SYSTEM_PROMPT if prompt == ALPACA else DEFAULT_SYSTEM_PROMPT if style == PLAIN else ""
    told = (asked.system_prompt, config.system_prompt, usual)
    system = next(text for text in told if text is not None)
    return Protocol(
        name=asked.name,
        prompt=prompt,
        system_prompt=system if prompt in INSTRUCTED else "",
        shots=shots or 0,
        thinking=asked.thinking,
        stop=asked.stop if asked.stop is not None else _stops(prompt, config.stop, examples=bool(shots)),
        max_new_tokens=config.max_new_tokens if asked.max_new_tokens is None else asked.max_new_tokens,
        temperature=config.temperature if asked.temperature is None else asked.temperature,
        top_p=config.top_p if asked.top_p is None else asked.top_p,
    )


def _stops(prompt: str, run_wide: tuple[str, ...], *, examples: bool) -> tuple[str, ...]:
    """The run's stop strings; after worked examples also what opens the next one, with which a model would go on."""
    opens = next_example(prompt)
    ends = examples and prompt != CHAT and opens and opens not in run_wide
    return (*run_wide, opens) if ends else run_wide


def generation_settings(protocol: Protocol, config: RunConfig) -> GenerationSettings:
    """How answers are generated under a protocol."""
    return GenerationSettings(
        max_new_tokens=protocol.max_new_tokens,
        temperature=protocol.temperature,
        top_p=protocol.top_p,
        stop=protocol.stop,
        seed=config.seed,
        batch_size=None if config.batch_size == "auto" else config.batch_size,
    )


@dataclass(frozen=True, slots=True)
class Examples:
    """Worked examples, and where they come from in one sentence."""

    questions: tuple[Question, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """A protocol as one model is asked by it.

    Attributes:
        protocol: The protocol.
        examples: Its worked examples.
        switch: A system prompt that turns the model's thinking on or off; empty: none.
        variables: What the chat template is told besides the messages.
        in_user_turn: Whether the instructions stand in the user's turn.
        notes: What a reader must know of it, one sentence each.
    """

    protocol: Protocol
    examples: tuple[Question, ...] = ()
    switch: str = ""
    variables: Mapping[str, Any] | None = None
    in_user_turn: bool = False
    notes: tuple[str, ...] = ()

    @property
    def chat(self) -> bool:
        """Whether the tokenizer's chat template renders the prompts."""
        return self.protocol.prompt == CHAT

    @property
    def separator(self) -> str:
        """Text between a prompt and its answer, besides what is ahead of a row's own."""
        if self.chat:
            return CHAT_SEPARATOR
        if self.protocol.prompt in (ALPACA, VERBATIM):  # the one ends in a newline, the other where the data say
            return ""
        return PLAIN_SEPARATOR if self.protocol.prompt == PLAIN else separator_of(self.protocol.prompt)


def asking_of(
    protocol: Protocol, generator: Generator, examples: Examples, questions: Sequence[Question] = ()
) -> Asking:
    """Find out how a model is asked by a protocol: where its template takes instructions, how it is kept from thinking.

    Args:
        protocol: The protocol.
        generator: The model.
        examples: Worked examples, of which the first ``protocol.shots`` are shown.
        questions: All that are asked by it.

    Raises:
        ModelError: It has no chat template, or one that leaves out instructions, examples, turns or the question.
        UsageError: The protocol has no place for a row's own system message or earlier turns.
    """
    refuse_without_place(protocol, questions)
    notes = tuple(notes_as_trained(protocol, generator, questions))
    notes += (examples.source,) if protocol.shots else ()
    if 0 < protocol.shots < len(examples.questions):
        notes += (f"Of them protocol {protocol.name} shows the first {protocol.shots}.",)
    asking = Asking(protocol, examples.questions[: protocol.shots], notes=notes)
    if not asking.chat:
        return asking
    asking = _with_switch(asking, generator)
    if turning := sum(turns_switch(question, asking.switch) for question in questions):
        said = f"{turning} rows turn it themselves, in their own system messages."
        asking = replace(asking, notes=(*asking.notes, said))
    asking = _taken(asking, generator, sum(bool(question.system) for question in questions))
    _refuse_left_out(asking, generator, any(question.turns for question in questions))
    return asking


def _taken(asking: Asking, generator: Generator, own: int) -> Asking:
    """The asking, with the instructions in the turn in which the template takes them.

    Args:
        asking: How the questions are asked.
        generator: The model.
        own: How many rows have a system message of their own.
    """
    if not (asking.protocol.system_prompt or own) or asking.switch:
        return asking
    taken = _takes(asking, generator)
    if taken:
        return asking
    if own and taken is not None and asking.protocol.name == TRAINING and not asking.protocol.system_prompt:
        said = f"The chat template leaves out system messages, as in training: those of {own} rows are not asked with."
        return replace(asking, notes=(*asking.notes, said))
    if not _takes(replace(asking, in_user_turn=True), generator):
        raise ModelError(
            "the model's chat template writes the instructions neither as the system's message nor as the user's: give "
            "the model another chat_template, or leave out --chat-template and --protocol chat"
        )
    said = "The chat template takes no system message, so the instructions stand at the head of the user's."
    return replace(asking, in_user_turn=True, notes=(*asking.notes, said))


def _with_switch(asking: Asking, generator: Generator) -> Asking:
    """The asking, with the model told whether to think where it has a switch and the instructions do not turn it."""
    protocol = asking.protocol
    switch = reasoning_switch(generator, on=protocol.thinking)
    if switch is None:
        if protocol.thinking:
            raise ModelError(
                f"`thinking` of protocol {protocol.name} needs a model with a reasoning switch, and none is known of "
                "this one: leave it out, or write what turns it on into system_prompt"
            )
        return asking
    if switch.used_in(protocol.system_prompt):
        if protocol.thinking and switch.system_prompt not in " ".join(protocol.system_prompt.lower().split()):
            raise ModelError(
                f"`thinking` of protocol {protocol.name} is true, and its instructions turn thinking off: leave one out"
            )
        said = "The model has a reasoning switch, which the instructions turn themselves."
        return replace(asking, notes=(*asking.notes, said))
    if protocol.name == TRAINING:  # asked as it was trained, to the byte
        said = f"The model has a reasoning switch ({switch.said}), which this prompt leaves alone."
        return replace(asking, notes=(*asking.notes, said))
    said = f"The model has a reasoning switch: thinking is {'on' if protocol.thinking else 'off'}, by {switch.said}"
    said += ", and the instructions stand in the user's turn." if switch.system_prompt else "."
    return replace(
        asking,
        switch=switch.system_prompt,
        variables=switch.variables or None,
        in_user_turn=bool(switch.system_prompt),
        notes=(*asking.notes, said),
    )


def _takes(asking: Asking, generator: Generator) -> bool | None:
    """Whether the template writes the instructions; many drop a system message without a word; None: it refuses it."""
    probing = replace(asking, protocol=replace(asking.protocol, system_prompt=PROBE), examples=())
    try:
        return PROBE in _chat(Question("", "?", ""), probing, generator)
    except ModelError:
        if asking.in_user_turn:
            raise
        return None


def _refuse_left_out(asking: Asking, generator: Generator, has_turns: bool) -> None:
    """Refuse a template that writes the last turn alone, or the first: what it leaves out nobody would miss.

    Raises:
        ModelError: It leaves something out.
    """
    question, count = "A question to be found again.", len(asking.examples)
    protocol = replace(asking.protocol, system_prompt=PROBE if asking.protocol.system_prompt else "")
    shown = [
        Question(f"{n}", f"Example {n} to be found again.", f"Answer {n} to be found again.") for n in range(count)
    ]
    turns = (Turn("user", "A turn to be found again."), Turn("assistant", "Its answer to be found again."))
    probe = Question("", question, "", turns=turns if has_turns else ())
    text = _chat(probe, replace(asking, protocol=protocol, examples=tuple(shown)), generator)
    wanted = {
        "the instructions": [protocol.system_prompt],
        "the examples' questions": [each.question for each in shown],
        "the examples' answers": [each.reference for each in shown],
        "the earlier turns": [turn.content for turn in probe.turns],
        "the question": [question],
    }
    if lost := [name for name, probes in wanted.items() if any(probe not in text for probe in probes)]:
        raise ModelError(
            f"the model's chat template leaves out {some(lost)} of protocol {protocol.name}: give the model another "
            "chat_template, or ask by a protocol without them"
        )


def _chat(question: Question, asking: Asking, generator: Generator, answer: str | None = None) -> str:
    """A question's chat, up to where the model goes on; with an answer as training writes the whole conversation."""
    examples = [(example.question, example.reference) for example in asking.examples]
    system = question.system or asking.protocol.system_prompt
    turned = turns_switch(question, asking.switch)
    in_user_turn = asking.in_user_turn and not turned
    messages = chat_messages(question.question, system, examples, turns=question.turns, in_user_turn=in_user_turn)
    if asking.switch and not turned:
        messages = [{"role": "system", "content": asking.switch}, *messages]
    variables = asking.variables or {}
    if answer is None:
        return generator.render_chat(messages, variables)
    messages.append({"role": "assistant", "content": answer})
    return generator.render_chat(messages, {**variables, "add_generation_prompt": False})


@dataclass(frozen=True, slots=True)
class Asked:
    """How the questions of one data set are asked, and the prompts: one for each question.

    Attributes:
        asking: How.
        prompts: One for each question.
        thinking: How the model's thinking is known in answers to them.
    """

    asking: Asking
    prompts: Sequence[Prompt]
    thinking: Thinking = AS_USUAL


def turns_switch(question: Question, switch: str) -> bool:
    """Whether a row's own system message has the switch that a protocol would turn in a system prompt."""
    return Switch(switch).used_in(question.system)


def ask(generator: Generator, questions: Sequence[Question], asking: Asking) -> Asked:
    """Render and tokenise every prompt, once for all variants, and make sure that the model can answer them.

    Raises:
        ModelError: The chat template refuses, takes too long, or writes nothing; or a prompt does not fit the model.
    """
    joins = Joins(_moves_spaces(generator, questions, asking), rows=len(questions))
    prompts = keep(_prompts(generator, questions, asking, joins))
    asking = replace(asking, notes=(*asking.notes, *joins.notes()))
    try:
        generator.refuse_misfits(prompts, asking.protocol.max_new_tokens)
    except ModelError as error:
        if not asking.examples:
            raise
        few = f"{error}; protocol {asking.protocol.name} shows {len(asking.examples)} examples: lower --num-shots"
        raise ModelError(few) from error
    tags = thinking_tags(generator)
    return Asked(asking, prompts, Thinking(tags, opened_by((prompt.text for prompt in prompts), tags)))


def _moves_spaces(generator: Generator, questions: Sequence[Question], asking: Asking) -> bool:
    if asking.chat or asking.protocol.prompt in (PLAIN, ALPACA):  # whose prompts end as the template, or we, wrote it
        return False
    return moves_spaces(generator, ((_text(one, asking, generator), one.reference) for one in questions))


def _prompts(generator: Generator, questions: Sequence[Question], asking: Asking, joins: Joins) -> Iterator[Prompt]:
    refuse_without_place(asking.protocol, questions)
    # a server whose own template renders the chats shows none of them
    rendered_here = asking.chat and bool(generator.tokenizer.chat_template)
    empty: list[str] = []
    for some_of in batched(questions, AT_ONCE):
        texts = [joins.parted(_text(question, asking, generator)) for question in some_of]
        # A chat template writes its own special tokens; adding them again would double the BOS.
        ids = generator.encode([text for text, _ in texts], add_special_tokens=not asking.chat)
        behind = []
        for question, (text, given), tokens in zip(some_of, texts, ids, strict=True):
            empty.extend([] if tokens else [question.id])
            ahead: str | None = given
            if rendered_here:
                ahead = joins.find(text, question.reference, partial(_chat, question, asking, generator))
            if ahead is not None and (asking.protocol.prompt == VERBATIM or text.endswith(" ")):
                behind.append((text, ahead + asking.separator + question.reference))
            yield Prompt(question.id, text, tokens, ahead)
        joins.count(generator, behind)
    if empty:
        raise ModelError(
            f"the model's chat template makes prompts without any token ({some(empty)}): give it another one"
        )


def _text(question: Question, asking: Asking, generator: Generator) -> str:
    """A question's prompt; what the row says itself goes before what the protocol says."""
    protocol = asking.protocol
    examples = [(example.question, example.reference) for example in asking.examples]
    if asking.chat:
        try:
            return _chat(question, asking, generator)
        except ModelError as error:
            raise ModelError(f"{question.id}: {error}") from error
    if protocol.prompt == PLAIN:
        return render_prompt(question.question, question.system or protocol.system_prompt, examples)
    if protocol.prompt == ALPACA:
        return render_alpaca(question.question, question.input, protocol.system_prompt, question.system, examples)
    if protocol.prompt == VERBATIM:
        return question.question
    return render_own(protocol.prompt, question.question, examples)
