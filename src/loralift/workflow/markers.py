"""How a protocol's prompt opens a question, which an answer that runs on writes too."""

from __future__ import annotations

from loralift.config.protocols import ALPACA, VERBATIM
from loralift.data import PLACE_OF_QUESTION

NEXT_QUESTION = "Question:"
"""How the plain prompt opens a question; a model that runs on writes it too."""

_OPENS = {ALPACA: "### Instruction:", VERBATIM: ""}


def next_example(prompt: str) -> str:
    r"""What an answer writes where it goes on with a next example; a label of the user's own only at a line's start.

    A short one may stand in any answer: ``Q:`` in ``FAQ:``, ``Q.`` in ``Form 10-Q.``

    >>> next_example("plain"), next_example("Q: {question}\nA:"), next_example("{question}")
    ('Question:', '\nQ:', '')
    """
    marker = marker_of(prompt)
    return f"\n{marker}" if marker and PLACE_OF_QUESTION in prompt else marker


def marker_of(prompt: str) -> str:
    r"""How a protocol's prompt opens a question, which an answer that runs on writes too.

    ``Question:``, but for a prompt of the user's own the last line before the question; empty where that is no label,
    of letters and signs, and so could stand in any answer.

    >>> marker_of("plain"), marker_of("Be brief.\n### Instruction:\n{question}\n### Response:\n")
    ('Question:', '### Instruction:')
    >>> marker_of("- {question}")
    ''
    """
    if PLACE_OF_QUESTION not in prompt:
        return _OPENS.get(prompt, NEXT_QUESTION)
    lines = prompt.split(PLACE_OF_QUESTION)[0].strip().splitlines()
    label = lines[-1].strip() if lines else ""
    is_label = any(map(str.isalpha, label)) and any(not (sign.isalnum() or sign.isspace()) for sign in label)
    return label if is_label else ""
