"""All prompt text lives here: what the model was trained on is, to the byte, what it is asked with.

A plain prompt::

    {system prompt}

    Question: {question}

    Answer:

with neither space nor newline after ``Answer:``. The text to train on is that prompt, one space, and the answer:
tokenizers put the space at the front of the next word, so the space is the answer's to generate.
"""

from __future__ import annotations

DEFAULT_SYSTEM_PROMPT = (
    "You are a helpful financial assistant. Provide comprehensive, detailed answers to financial questions. "
    "Include relevant context, examples, and explanations when appropriate."
)

PLAIN_SEPARATOR = " "
"""Between a plain prompt and its answer."""

CHAT_SEPARATOR = ""
"""Between a chat prompt and its answer: the tokenizer's template ends where the answer begins."""


def render_prompt(question: str, system_prompt: str = DEFAULT_SYSTEM_PROMPT) -> str:
    """The plain prompt of a question.

    Both texts are taken literally: braces, percent signs and newlines mean nothing here.

    Args:
        question: The question.
        system_prompt: What stands before it; empty leaves it out, and the prompt starts with "Question:".

    >>> print(render_prompt("What is {x}?", "Be brief."))
    Be brief.
    <BLANKLINE>
    Question: What is {x}?
    <BLANKLINE>
    Answer:
    """
    opening = system_prompt + "\n\n" if system_prompt else ""
    return opening + "Question: " + question + "\n\nAnswer:"


def training_text(question: str, answer: str, system_prompt: str = DEFAULT_SYSTEM_PROMPT) -> str:
    r"""What a model is trained on: the plain prompt, one space, the answer.

    >>> training_text("Why?", "Because.", "")
    'Question: Why?\n\nAnswer: Because.'
    """
    return render_prompt(question, system_prompt) + PLAIN_SEPARATOR + answer


def chat_messages(question: str, system_prompt: str = DEFAULT_SYSTEM_PROMPT) -> list[dict[str, str]]:
    """The question as chat messages, for a tokenizer's ``apply_chat_template``.

    Args:
        question: The user's message, as it is.
        system_prompt: The system's message; empty leaves it out, for templates that know no system role.

    >>> chat_messages("Why?", "")
    [{'role': 'user', 'content': 'Why?'}]
    """
    user = {"role": "user", "content": question}
    return [{"role": "system", "content": system_prompt}, user] if system_prompt else [user]
