"""All prompt text lives here: what the model was trained on is, to the byte, what it is asked with.

A plain prompt::

    {system prompt}

    Question: {question}

    Answer:

with neither space nor newline after ``Answer:``. The text to train on is that prompt, one space, and the answer:
tokenizers put the space at the front of the next word, so the space is the answer's to generate.
"""

from __future__ import annotations

from collections.abc import Sequence

from loralift.records import Turn

DEFAULT_SYSTEM_PROMPT = (
    "You are a helpful financial assistant. Provide comprehensive, detailed answers to financial questions. "
    "Include relevant context, examples, and explanations when appropriate."
)

PLAIN_SEPARATOR = " "
"""Between a plain prompt and its answer."""

CHAT_SEPARATOR = ""
"""Between a chat prompt and its answer, where the model goes on; what templates train with there each prompt says."""


ALPACA_SYSTEM_PROMPT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
)
"""What Stanford Alpaca's prompt opens with; where there is an input it says so, as ``_ALPACA_WITH_INPUT``."""

_ALPACA_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
)

type Example = tuple[str, str]
"""A worked example: a question and its answer."""

PLACE_OF_QUESTION = "{question}"
"""In a prompt of the user's own, where the question goes."""

BETWEEN_EXAMPLES = "\n\n"


def render_prompt(question: str, system_prompt: str = DEFAULT_SYSTEM_PROMPT, examples: Sequence[Example] = ()) -> str:
    """The plain prompt of a question.

    All texts are taken literally: braces, percent signs and newlines mean nothing here.

    Args:
        question: The question.
        system_prompt: What stands before it; empty leaves it out, and the prompt starts with "Question:".
        examples: Worked examples between the two, in the same form.

    >>> print(render_prompt("What is {x}?", "Be brief.", [("Who?", "Me.")]))
    Be brief.
    <BLANKLINE>
    Question: Who?
    <BLANKLINE>
    Answer: Me.
    <BLANKLINE>
    Question: What is {x}?
    <BLANKLINE>
    Answer:
    """
    opening = system_prompt + "\n\n" if system_prompt else ""
    return opening + render_own("Question: {question}\n\nAnswer:", question, examples)


def render_own(template: str, question: str, examples: Sequence[Example] = ()) -> str:
    r"""The prompt of a question in a form of the user's own, of which only ``{question}`` means something.

    Args:
        template: A text that holds ``{question}`` once.
        question: The question.
        examples: Worked examples before it, in the same form.

    >>> render_own("Q: {question}\nA:", "Why?", [("Who?", "Me.")])
    'Q: Who?\nA: Me.\n\nQ: Why?\nA:'
    """
    before, after = template.split(PLACE_OF_QUESTION)
    shown = [before + asked + after + separator_of(template) + answer for asked, answer in examples]
    return BETWEEN_EXAMPLES.join([*shown, before + question + after])


def render_alpaca(
    question: str,
    given: str = "",
    system_prompt: str = ALPACA_SYSTEM_PROMPT,
    own_system: str = "",
    examples: Sequence[Example] = (),
) -> str:
    r"""Stanford Alpaca's prompt (tatsu-lab/stanford_alpaca, ``train.py``), as Axolotl's ``alpaca`` writes it.

    Args:
        question: The instruction; with an input, that stands behind it and a newline.
        given: The input; empty: none.
        system_prompt: What stands before it; empty leaves it out.
        own_system: The row's own, in its place, as Axolotl's ``alpaca_w_system`` writes it.
        examples: Worked examples before it, without inputs.

    >>> render_alpaca("Sum up.\nGold is dear.", "Gold is dear.", "")
    '### Instruction:\nSum up.\n\n### Input:\nGold is dear.\n\n### Response:\n'
    """
    if given and system_prompt == ALPACA_SYSTEM_PROMPT:
        system_prompt = _ALPACA_WITH_INPUT
    opening = f"### System:\n{own_system}\n\n" if own_system else f"{system_prompt}\n\n" if system_prompt else ""
    instruction = question.removesuffix(f"\n{given}") if given else question
    middle = f"### Input:\n{given}\n\n" if given else ""
    shown = [f"### Instruction:\n{asked}\n\n### Response:\n{answer}" for asked, answer in examples]
    whole = f"### Instruction:\n{instruction}\n\n{middle}### Response:\n"
    return opening + BETWEEN_EXAMPLES.join([*shown, whole])


def separator_of(template: str) -> str:
    r"""What stands between a prompt of the user's own and its answer: a space, unless the prompt ends with white space.

    >>> separator_of("Q: {question}\nA:"), separator_of("### Response:\n")
    (' ', '')
    """
    return "" if template[-1:].isspace() else PLAIN_SEPARATOR


def training_text(question: str, answer: str, system_prompt: str = DEFAULT_SYSTEM_PROMPT) -> str:
    r"""What a model is trained on: the plain prompt, one space, the answer.

    >>> training_text("Why?", "Because.", "")
    'Question: Why?\n\nAnswer: Because.'
    """
    return render_prompt(question, system_prompt) + PLAIN_SEPARATOR + answer


def chat_messages(
    question: str,
    system_prompt: str = DEFAULT_SYSTEM_PROMPT,
    examples: Sequence[Example] = (),
    *,
    turns: Sequence[Turn] = (),
    in_user_turn: bool = False,
) -> list[dict[str, str]]:
    r"""The question as chat messages, for a tokenizer's ``apply_chat_template``.

    Args:
        question: The user's last message, as it is.
        system_prompt: The system's message; empty leaves it out.
        examples: Worked examples, each a turn of the user and one of the assistant.
        turns: What was said before the question.
        in_user_turn: Whether the system's message stands at the head of the first user's message instead, for
            templates that know no system role.

    >>> chat_messages("Why?", "")
    [{'role': 'user', 'content': 'Why?'}]
    >>> chat_messages("Why?", "Be brief.", in_user_turn=True)
    [{'role': 'user', 'content': 'Be brief.\n\nWhy?'}]
    """
    messages = [
        {"role": role, "content": text}
        for asked, answer in examples
        for role, text in (("user", asked), ("assistant", answer))
    ]
    messages += [{"role": turn.role, "content": turn.content} for turn in turns]
    messages.append({"role": "user", "content": question})
    if not system_prompt:
        return messages
    if in_user_turn:
        first = next(message for message in messages if message["role"] == "user")
        first["content"] = f"{system_prompt}\n\n{first['content']}"
        return messages
    return [{"role": "system", "content": system_prompt}, *messages]
