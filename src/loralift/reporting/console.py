"""What the terminal is given: each text by `shown`, so that nothing in it moves the cursor, hides or is markup."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from loralift.errors import MOST_CHARACTERS
from loralift.visible import clipped, visible

LEAST_WIDTH = 20


class Terminal(Console):
    """Rich's console, which leaves it to the command line how a command ends whose output nobody reads any more."""

    def __init__(self, **given: Any) -> None:
        """As rich's, but never so narrow (``COLUMNS=0``) that nothing at all is printed."""
        super().__init__(**given)
        if self.width < LEAST_WIDTH:
            self.width = LEAST_WIDTH

    def on_broken_pipe(self) -> None:
        """Let the error through; rich would exit with 1, which a gate reads as `worse`.

        Raises:
            BrokenPipeError: Always.
        """
        raise BrokenPipeError


def shown(text: str, style: str = "", *, most: int = MOST_CHARACTERS) -> Text:
    """A stranger's text, or a sentence that holds some, as the terminal shows it.

    Args:
        text: Anything.
        style: Rich's name of a style.
        most: Characters that are shown at most; how many more there are is said.
    """
    return Text(visible(clipped(text, most)), style=style)
